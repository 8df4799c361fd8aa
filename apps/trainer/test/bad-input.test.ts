// What is wrong outside gets a clear line, exit code 1, and nothing half-written.
import { cpSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { mrcnn, temporaryFolder, tinyConfig, writeJson } from "./command.ts";
import { shapesSet } from "./shapes-set.ts";
import type { ShapesJson } from "./shapes-set.ts";

const folder = temporaryFolder();
const good = join(folder, "good");
const set = shapesSet(good);
const { images, changed } = set;

/** Trains on images and annotations; a run that fails leaves no config, no log, no checkpoint. */
async function trainOn(annotations: unknown, imageFolder = images): Promise<string> {
  const run = join(folder, `run-${Math.random()}`);
  const data = {
    train: { images: imageFolder, annotations: writeJson(folder, "annotations.json", annotations) },
  };
  const config = writeJson(folder, "config.json", { ...tinyConfig, data });
  const { code, err } = await mrcnn("train", config, "--out", run, "--backend", "cpu");
  expect(code).toBe(1);
  expect(err.split("\n").at(-1)).toMatch(/^error: /);
  expect(existsSync(join(run, "metrics.jsonl"))).toBe(false);
  expect(existsSync(join(run, "checkpoints"))).toBe(false);
  return err;
}

describe("training data", () => {
  it.each<[string, (c: ShapesJson) => void, RegExp]>([
    [
      "an image id that is not listed",
      (c) => (c.annotations[0]!.image_id = 99),
      /annotation 1: image_id .*99/,
    ],
    [
      "a category id that is not listed",
      (c) => (c.annotations[0]!.category_id = 99),
      /annotation 1 of shapes-0000.\.png: category_id .*99/,
    ],
    ["a box without area", (c) => (c.annotations[0]!.bbox[2] = 0), /annotation 1/],
    ["a box with a negative side", (c) => (c.annotations[0]!.bbox[3] = -4), /annotation 1/],
    [
      "a mask of the wrong size",
      (c) => ((c.annotations[0]!.segmentation as { size: number[] }).size = [64, 64]),
      /annotation 1.*64/,
    ],
    [
      "an image of another size",
      (c) => c.images.forEach((image) => (image.width = 127)),
      /shapes-0000.\.png|annotation 1/,
    ],
    ["no categories", (c) => delete (c as Partial<ShapesJson>).categories, /"categories" must be a list/],
  ])("%s", async (_, change, message) => expect(await trainOn(changed(change))).toMatch(message));

  it("an image that is missing", async () => {
    const err = await trainOn(changed((c) => c.images.forEach((image) => (image.file_name = "gone.png"))));
    expect(err).toMatch(
      /gone\.png: the image is missing; .*Look whether the folder of the images is the right one\./,
    );
  });

  it("an image that is cut", async () => {
    const cut = join(folder, "cut");
    cpSync(images, cut, { recursive: true });
    for (const name of readdirSync(cut)) truncateSync(join(cut, name), 2000);
    expect(await trainOn(set.coco, cut)).toMatch(/shapes-0000.\.png: the image can't be read/);
  });

  it("annotations that are cut", async () => {
    const path = join(folder, "half.json");
    writeFileSync(path, JSON.stringify(set.coco).slice(0, 500));
    const config = writeJson(folder, "config.json", {
      ...tinyConfig,
      data: { train: { images, annotations: path } },
    });
    const { code, err } = await mrcnn("train", config, "--out", join(folder, "none"), "--backend", "cpu");
    expect(code).toBe(1);
    expect(err).toContain(`${path}: annotations must be a readable JSON file`);
    expect(existsSync(join(folder, "none"))).toBe(false);
  });

  it("inspect lists the same mistakes at once, and ends with 1", async () => {
    const annotations = writeJson(
      folder,
      "many.json",
      changed((c) => {
        c.images.push({ id: 50, file_name: "gone.png", width: 8, height: 8 });
        c.annotations[0]!.bbox[2] = 0;
        c.annotations.push({ ...c.annotations[0]!, id: 77, image_id: 99 });
        c.categories.push({ id: 9, name: "square" });
      }),
    );
    const html = join(folder, "inspect.html");
    const { code, out } = await mrcnn(
      "inspect",
      "--images",
      images,
      "--annotations",
      annotations,
      "--html",
      html,
    );
    expect(code).toBe(1);
    expect(out).toMatch(/error {2}image file that is missing: 1\n *\S*gone\.png: the image is missing/);
    expect(out).toMatch(/error {2}box without area: 2\n *annotation 1/);
    expect(out).toMatch(
      /error {2}annotation of an image that is not listed: 1\n *annotation 77: image_id must be the id of an image of the file, got 99/,
    );
    expect(out).toMatch(
      /note {3}category without objects: 2\n *category 1, "circle": has no objects\n *category 9, "square"/,
    );
    expect(readFileSync(html, "utf8")).toContain("box without area");
    expect(
      await mrcnn("inspect", "--images", images, "--annotations", join(good, "annotations.json")),
    ).toMatchObject({ code: 0, out: expect.not.stringContaining("error") });
  });
});

describe("a run", () => {
  const run = join(folder, "run");
  const evaluate = (model: string, annotations: unknown): ReturnType<typeof mrcnn> =>
    mrcnn(
      "eval",
      "--model",
      model,
      "--images",
      images,
      "--annotations",
      writeJson(folder, "gt.json", annotations),
      "--backend",
      "wasm",
      "--json",
      join(folder, "scores.json"),
    );

  beforeAll(async () => {
    const config = writeJson(folder, "tiny.json", {
      ...tinyConfig,
      data: { train: tinyConfig.data.train },
      training: { ...tinyConfig.training, steps: 1 },
    });
    expect(await mrcnn("train", config, "--out", run, "--backend", "wasm")).toMatchObject({ code: 0 });
  });

  const copyOf = (name: string): { path: string; weights: string } => {
    const path = join(folder, name);
    cpSync(run, path, { recursive: true });
    return { path, weights: join(path, "checkpoints", "step-00000001", "weights.safetensors") };
  };

  it("lacks a category of the annotations", async () => {
    const { code, err } = await evaluate(
      run,
      changed((c) => {
        c.categories[0]!.name = "cirle";
        c.annotations[0]!.category_id = c.categories[0]!.id;
      }),
    );
    expect(code).toBe(1);
    expect(err).toContain(
      'the model has no class "cirle"; it knows circle, rectangle, triangle. Did you mean "circle"?',
    );
    expect(existsSync(join(folder, "scores.json"))).toBe(false);
  });

  it("has a checkpoint that is cut in the middle", async () => {
    const { path, weights } = copyOf("cut-run");
    truncateSync(weights, 50_000);
    const { code, err } = await evaluate(path, set.coco);
    expect(code).toBe(1);
    expect(err).toMatch(/weights\.safetensors.*(ends at|cut)/);
  });

  it("has a checkpoint of another architecture", async () => {
    const { path } = copyOf("other-run");
    const config = JSON.parse(readFileSync(join(path, "config.json"), "utf8")) as {
      model: { fpn: { channels: number } };
    };
    config.model.fpn.channels = 16;
    writeFileSync(join(path, "config.json"), JSON.stringify(config));
    const { code, err } = await evaluate(path, set.coco);
    expect(code).toBe(1);
    expect(err).toMatch(/of the wrong shape .*needs \[.*another architecture/);
  });

  it("is not one", async () => {
    expect((await evaluate(good, set.coco)).err).toContain("has no config.json");
    expect((await evaluate("maskrcnn_resnet50_fnp", set.coco)).err).toContain(
      'is neither a run directory nor a file of weights, nor in the catalog. Did you mean "maskrcnn_resnet50_fpn"?',
    );
  });

  it("can't be written where a file is", async () => {
    const blocked = join(folder, "blocked");
    writeFileSync(blocked, "");
    const { code, err } = await mrcnn(
      "train",
      join(folder, "tiny.json"),
      "--out",
      join(blocked, "run"),
      "--backend",
      "wasm",
    );
    expect(code).toBe(1);
    expect(err).toContain("a part of the path is a file, not a folder");
  });
});

describe("a results file", () => {
  const score = (results: unknown, ...more: string[]): ReturnType<typeof mrcnn> =>
    mrcnn(
      "eval",
      "--results",
      writeJson(folder, "results.json", results),
      "--annotations",
      join(good, "annotations.json"),
      "--iou-type",
      "bbox",
      ...more,
    );

  it.each<[string, unknown, RegExp]>([
    [
      "with a negative size",
      [{ image_id: 1, category_id: 1, score: 1, bbox: [0, 0, 1, -1] }],
      /results.json\[0\]: bbox must be .* sizes >= 0, got \[0,0,1,-1\]/,
    ],
    [
      "of an unknown category",
      [{ image_id: 1, category_id: 77, score: 1, bbox: [0, 0, 1, 1] }],
      /category_id must be the id of a category of the ground truth, got 77/,
    ],
    [
      "without a score",
      [{ image_id: 1, category_id: 1, score: null, bbox: [0, 0, 1, 1] }],
      /score must be a finite number, got null/,
    ],
    ["of annotations", { images: [] }, /must be a JSON list of COCO results/],
    [
      "without boxes",
      [{ image_id: 1, category_id: 1, score: 1 }],
      /results.json\[0\]: must have a bbox to be evaluated/,
    ],
    [
      "of another data set",
      [{ image_id: 77, category_id: 1, score: 1, bbox: [0, 0, 1, 1] }],
      /results.json\[0\]: image_id must be the id of an image of the ground truth, got 77/,
    ],
  ])("%s", async (_, results, message) => {
    const json = join(folder, "nothing.json");
    const { code, err, out } = await score(results, "--json", json);
    expect({ code, out, written: existsSync(json) }).toEqual({ code: 1, out: "", written: false });
    expect(err).toMatch(message);
  });

  it("of the annotations themselves scores 1", async () => {
    const results = set.coco.annotations.map(({ image_id, category_id, bbox }) => ({
      image_id,
      category_id,
      bbox,
      score: 1,
    }));
    const { code, out } = await score(results);
    expect(code).toBe(0);
    expect(out.split("\n")[1]).toBe(
      " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 1.000",
    );
  });
});
