// What the commands say of files: pictures that are missing or turned, annotations that are no file or ask for too much.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { mrcnn, temporaryFolder, tinyConfig, writeJson } from "./command.ts";
import { shapesSet } from "./shapes-set.ts";
import type { ShapesJson } from "./shapes-set.ts";

const folder = temporaryFolder();
const good = join(folder, "good");
const set = shapesSet(good);
const { images } = set;

let files = 0;
const written = (change: (copy: ShapesJson) => void): string =>
  writeJson(folder, `a${files++}.json`, set.changed(change));
const inspect = (annotations: string, ...more: string[]): ReturnType<typeof mrcnn> =>
  mrcnn("inspect", "--images", images, "--annotations", annotations, ...more);
const train = (annotations: string, pictures = images): ReturnType<typeof mrcnn> =>
  mrcnn(
    "train",
    writeJson(folder, "config.json", { ...tinyConfig, data: { train: { images: pictures, annotations } } }),
    "--out",
    join(folder, `run${files++}`),
    "--backend",
    "cpu",
  );
const evaluate = (annotations: string, pictures = images): ReturnType<typeof mrcnn> =>
  mrcnn("eval", "--model", "nuclei", "--images", pictures, "--annotations", annotations, "--backend", "wasm");

describe("a picture that is missing", () => {
  it.each<[string, (name: string) => string, string]>([
    ["backslashes", (name) => `images\\${name}`, "in its backslashes and in its folders"],
    ["a path of another machine", (name) => `/data/upload/4/${name}`, "in its folders"],
    ["other letter case", (name) => name.toUpperCase(), "in letter case"],
  ])(
    "with %s is said, with what lies there, by inspect, train and eval alike",
    async (_, rename, differs) => {
      const name = set.coco.images[0]!.file_name;
      const annotations = written((c) => (c.images[0]!.file_name = rename(name)));
      const words = `${join(images, rename(name))}: the image is missing, but ${join(images, name)} is there, which differs ${differs}`;
      const advice = "Correct file_name in the annotations, or rename the file.";
      const found = await inspect(annotations);
      expect(found.code).toBe(1);
      expect(found.out).toContain(words);
      expect(found.out).toContain(advice);
      for (const { code, err } of [await train(annotations), await evaluate(annotations)]) {
        expect(code).toBe(1);
        expect(err).toContain(`error: ${annotations}: ${words}. ${advice}`);
      }
    },
  );
  it("in another Unicode form", async () => {
    const pictures = join(folder, "pictures");
    cpSync(images, pictures, { recursive: true });
    renameSync(join(pictures, set.coco.images[0]!.file_name), join(pictures, "u\u0308.png"));
    const annotations = written((c) => (c.images[0]!.file_name = "\u00fc.png"));
    const { code, out } = await mrcnn("inspect", "--images", pictures, "--annotations", annotations);
    expect(code).toBe(1);
    expect(out).toContain("which differs in the Unicode form of its letters (they look the same)");
  });
});

describe("a photo that EXIF says is turned", () => {
  const pictures = join(folder, "turned");
  // Orientation 6 of a picture that is stored as wide as high, and of one that is not.
  beforeAll(async () => {
    mkdirSync(pictures);
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 251);
    await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toFile(join(pictures, "square.jpg"));
    await sharp(noise.subarray(0, 64 * 48 * 3), { raw: { width: 64, height: 48, channels: 3 } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toFile(join(pictures, "wide.jpg"));
  });
  const of = (file_name: string, width: number, height: number): string =>
    writeJson(folder, `turned${files++}.json`, {
      images: [{ id: 1, file_name, width, height }],
      categories: [{ id: 1, name: "nucleus" }],
      annotations: [
        {
          id: 1,
          image_id: 1,
          category_id: 1,
          bbox: [4, 4, 20, 20],
          segmentation: [[4, 4, 24, 4, 24, 24, 4, 24]],
        },
      ],
    });
  it("is a note where its size doesn't tell, everywhere", async () => {
    const annotations = of("square.jpg", 64, 64);
    const words =
      "square.jpg: EXIF says that it is turned or mirrored (orientation 6); it is read as it is stored, and its annotated size does not tell which way up it was annotated";
    const found = await mrcnn("inspect", "--images", pictures, "--annotations", annotations);
    expect(found).toMatchObject({
      code: 0,
      out: expect.stringMatching(/note {3}photo that EXIF says is turned: 1/),
    });
    expect(found.out).toContain(words);
    expect(found.out).toContain("choose --set data.train.orientation=exif.");
    expect((await train(annotations, pictures)).err).toContain(words);
    const evaluated = await evaluate(annotations, pictures);
    expect(evaluated.code).toBe(0);
    expect(evaluated.err).toContain(words);
    expect(evaluated.err).toContain("add --orientation exif.");
  });
  it("is an error where its size tells, with the choice that helps", async () => {
    const annotations = of("wide.jpg", 48, 64);
    const found = await mrcnn("inspect", "--images", pictures, "--annotations", annotations);
    expect(found).toMatchObject({
      code: 1,
      out: expect.stringMatching(/error {2}photo that EXIF says is turned: 1/),
    });
    expect(found.out).not.toContain("image of another size");
    expect(
      await mrcnn(
        "inspect",
        "--images",
        pictures,
        "--annotations",
        annotations,
        "--set",
        "data.train.orientation=exif",
      ),
    ).toMatchObject({ code: 0, out: expect.not.stringContaining("EXIF") });
    const trained = await train(annotations, pictures);
    expect(trained.code).toBe(1);
    expect(trained.err).toContain(
      "its annotated size is that of the other way up. Look at its objects. Where photos were annotated upright, as EXIF turns them, choose --set data.train.orientation=exif.",
    );
    expect(
      await mrcnn(
        "eval",
        "--model",
        "nuclei",
        "--images",
        pictures,
        "--annotations",
        annotations,
        "--backend",
        "wasm",
        "--orientation",
        "exif",
      ),
    ).toMatchObject({ code: 0 });
  });
});

describe("annotations", () => {
  it("that are no file are not waited for", async () => {
    const fifo = join(folder, "fifo");
    execFileSync("mkfifo", [fifo]);
    for (const path of [fifo, "/dev/zero"]) {
      for (const run of [inspect, train, evaluate]) {
        const { code, err } = await run(path);
        expect({ code, err }).toMatchObject({
          code: 1,
          err: expect.stringContaining(
            `${path}: annotations must be a readable JSON file: it is a ${path === fifo ? "pipe" : "device"}, not a regular file`,
          ),
        });
      }
    }
    const results = await mrcnn(
      "eval",
      "--results",
      fifo,
      "--annotations",
      join(good, "annotations.json"),
      "--iou-type",
      "bbox",
    );
    expect(results).toMatchObject({
      code: 1,
      err: expect.stringContaining(`The results file ${fifo} is a pipe, not a regular file`),
    });
    expect(await mrcnn("train", fifo, "--out", join(folder, "none"))).toMatchObject({
      code: 1,
      err: expect.stringContaining(`The config ${fifo} is a pipe`),
    });
  });
  it.each<[string, (c: ShapesJson) => void, string]>([
    [
      "claim a huge image",
      (c) => Object.assign(c.images[0]!, { width: 60_000, height: 60_000 }),
      "has 60000x60000 pixels, more than the limit of 178956970 in all",
    ],
    [
      "have an outline back and forth",
      (c) =>
        (c.annotations[0]!.segmentation = [
          Array.from({ length: 200_000 }, (_, i) => (i % 4 === 0 ? 0 : 127)),
        ]),
      "goes back and forth over its image of 128x128 pixels: 100000 points",
    ],
    [
      "have run lengths of another size",
      (c) => (c.annotations[0]!.segmentation = { size: [65_535, 65_535], counts: [0, 4_294_836_225] }),
      "segmentation must be of the image's size 128 x 128 (height x width), got 65535 x 65535",
    ],
  ])("that %s are refused by inspect and train, before any work", async (_, change, words) => {
    const annotations = written(change);
    expect(await inspect(annotations)).toMatchObject({ code: 1, out: expect.stringContaining(words) });
    const { code, err } = await train(annotations);
    expect(code).toBe(1);
    expect(err).toContain(annotations);
    expect(err).toContain(words);
  });
  it("of another format are named", async () => {
    const path = join(folder, "voc.xml");
    writeFileSync(path, "<annotation><filename>a.jpg</filename></annotation>");
    for (const run of [inspect, train, evaluate])
      expect(await run(path)).toMatchObject({
        code: 1,
        err: expect.stringContaining(
          `${path}: annotations must be a readable JSON file: it is XML of Pascal VOC`,
        ),
      });
  });
});

describe("weights", () => {
  it.each(["fifo", "/dev/zero", "a folder"])("that are no file are not waited for: %s", async (kind) => {
    const path =
      kind === "/dev/zero" ? kind : join(folder, kind === "fifo" ? "weights-fifo" : "images-of-none");
    if (kind === "fifo") execFileSync("mkfifo", [path]);
    if (kind === "a folder") mkdirSync(path);
    const words =
      kind === "fifo" ? "it is a pipe, not a regular file"
      : kind === "a folder" ? "it is a folder. Name a file."
      : "it is a device, not a regular file";
    const picture = join(images, set.coco.images[0]!.file_name);
    for (const args of [
      ["detect", picture, "--model", "maskrcnn_resnet50_fpn", "--weights", path],
      ["convert", path, "--out", join(folder, "none.safetensors")],
    ]) {
      const { code, err } = await mrcnn(...args);
      expect(code).toBe(1);
      expect(err).toContain(`${path}: the weights can't be read: ${words}`);
    }
  });
});
