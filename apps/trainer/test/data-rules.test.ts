// inspect, train and eval judge data by the same rules: what inspect calls an error stops a training, before its first step, and nothing else does.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mrcnn, temporaryFolder, tinyConfig, writeJson } from "./command.ts";
import { shapesSet } from "./shapes-set.ts";

type Entry = Record<string, unknown>;
interface Coco {
  images: Entry[];
  annotations: Entry[];
  categories: Entry[];
}

const folder = temporaryFolder();
const set = shapesSet<Coco>(join(folder, "good"));
const { images, changed } = set;
const every = (values: Entry) => (json: Coco) =>
  json.annotations.forEach((annotation) => Object.assign(annotation, values));
const first = (values: Entry) => (json: Coco) => Object.assign(json.annotations[0]!, values);

interface Judged {
  readonly inspect: Awaited<ReturnType<typeof mrcnn>>;
  readonly train: Awaited<ReturnType<typeof mrcnn>>;
  readonly annotations: string;
  readonly run: string;
}

/** What inspect and train say of annotations, both for the training of the same config and the same --set. */
async function judge(json: Coco, ...set: string[]): Promise<Judged> {
  const annotations = writeJson(folder, `judged-${Math.random()}.json`, json);
  const config = writeJson(folder, "config.json", {
    ...tinyConfig,
    data: { train: { images, annotations } },
    training: { ...tinyConfig.training, steps: 1, accumulate: 1, workers: 0 },
  });
  const sets = set.flatMap((one) => ["--set", one]);
  const run = join(folder, `run-${Math.random()}`);
  const inspect = await mrcnn("inspect", "--config", config, ...sets);
  const train = await mrcnn("train", config, "--out", run, "--backend", "cpu", ...sets);
  return { inspect, train, annotations, run };
}

describe("inspect and train stop for the same reason, which names the file and the entry", () => {
  it.each<[string, (json: Coco) => unknown, string, string?]>([
    ["every object a crowd", every({ iscrowd: 1 }), "every object is a crowd"],
    ["null in a box", first({ bbox: [1, 2, null, 4] }), "got [1,2,null,4]"],
    ["text in a polygon", first({ segmentation: [[1, 2, "3", 4, 5, 6]] }), 'got "3" at place 2'],
    [
      "a part of one point alone",
      first({ segmentation: [[1, 2]] }),
      "no part with three points",
      "data.train.degenerate=drop",
    ],
    ["one object without a mask", first({ segmentation: [] }), "has no mask", "data.train.degenerate=drop"],
    [
      "a box without area",
      first({ bbox: [5, 5, 9, 0] }),
      "must have a positive width and height",
      "data.train.degenerate=drop",
    ],
    [
      "a set of boxes",
      every({ segmentation: [[]] }),
      "this is a set of boxes, and masks are needed",
      "model.mask=false",
    ],
    [
      "a set of boxes, with null",
      every({ segmentation: null }),
      "this is a set of boxes, and masks are needed",
      "model.mask=false",
    ],
    [
      "run lengths of another size",
      first({ segmentation: { size: [4, 4], counts: [16] } }),
      "must be of the image's size 128 x 128",
    ],
    ["iscrowd as text", first({ iscrowd: "0" }), 'iscrowd must be the number 0 or 1, got "0"'],
    ["an image id as text", first({ image_id: "1" }), 'numbers: 1 without quotes, got "1"'],
    [
      "a category named twice",
      (json) => json.categories.push({ id: 0, name: "circle", supercategory: "none" }),
      'both are named "circle"',
      "data.train.emptyCategories=drop",
    ],
    [
      "corners for sizes",
      (json) =>
        json.annotations.forEach(
          (one) => (one.bbox = ((b) => [b[0]!, b[1]!, b[0]! + b[2]!, b[1]! + b[3]!])(one.bbox as number[])),
        ),
      "boxes are corners (x1, y1, x2, y2), not",
    ],
    [
      "fractions for pixels",
      (json) => json.annotations.forEach((one) => (one.bbox = (one.bbox as number[]).map((v) => v / 128))),
      "boxes are fractions of the image",
    ],
    ["no objects", (json) => (json.annotations = []), "so nothing can be learned"],
    [
      "a width in text",
      (json) => (json.images[0]!.width = "128"),
      'width must be a whole number > 0, got "128"',
    ],
    [
      "a category named by a number",
      (json) => ((json.categories[0] as { name: unknown }).name = 5),
      "category 1: name must be a string, got 5",
    ],
  ])("%s", async (_, change, message, way) => {
    const json = changed(change);
    const { inspect, train, annotations, run } = await judge(json);
    expect([inspect.code, train.code], train.err).toEqual([1, 1]);
    expect(inspect.out).toContain(message);
    expect(inspect.out).not.toContain("annotated 128x128"); // sizes that are none are not compared
    expect(train.err).toContain(message);
    expect(train.err).toMatch(/^error: /);
    expect(train.err).toContain(annotations);
    expect(existsSync(join(run, "metrics.jsonl"))).toBe(false);
    // Options of the command, not of functions.
    expect(train.err + inspect.out).not.toMatch(
      /emptyBoxes|degenerate: "drop"|emptyCategories: "drop"|masks: "unneeded"|evaluateCoco/,
    );
    if (way === undefined) return;
    expect(train.err).toContain(`--set ${way}`);
    expect(inspect.out).toContain(`--set ${way}`);
    const again = await mrcnn("inspect", "--images", images, "--annotations", annotations, "--set", way);
    expect(again, again.out).toMatchObject({ code: 0 });
  });
});

describe("inspect passes and training runs", () => {
  it.each<[string, (json: Coco) => unknown, string[], RegExp]>([
    [
      "on a set of boxes without masks",
      every({ segmentation: null }),
      ["model.mask=false"],
      /No problems|category without objects/,
    ],
    [
      "past a part of one point, which is said",
      (json) =>
        Object.assign(json.annotations[0]!, { segmentation: [[5, 5], ...boxOf(json.annotations[0]!)] }),
      [],
      /part with fewer than three points: 1[\s\S]*polygon 0 has 2 numbers: \[5,5\]/,
    ],
    [
      "without an object that has no mask",
      first({ segmentation: [] }),
      ["data.train.degenerate=drop"],
      /object left out: 1[\s\S]*annotation 1 of shapes-0000\d\.png: has no mask/,
    ],
    [
      "on ids as text, which is said",
      (json) =>
        [
          ...json.images,
          ...json.annotations.map((one) => ({
            get id() {
              return one.image_id;
            },
            set id(id: unknown) {
              one.image_id = id;
            },
          })),
        ].forEach((one) => (one.id = String(one.id))),
      [],
      /image ids are text, for example "1"/,
    ],
  ])("%s", async (_, change, set, message) => {
    const { inspect, train, run } = await judge(changed(change), ...set);
    expect(inspect, inspect.out).toMatchObject({ code: 0 });
    expect(inspect.out).toMatch(message);
    expect(train, train.err).toMatchObject({ code: 0 });
    expect(existsSync(join(run, "report.html"))).toBe(true);
  });
});

const boxOf = ({ bbox }: Entry): number[][] => {
  const [x, y, w, h] = bbox as [number, number, number, number];
  return [[x, y, x + w, y, x + w, y + h, x, y + h]];
};

describe("categories without objects", () => {
  it("are no class when that is said", async () => {
    const { train, run } = await judge(
      changed((json) => json.categories.unshift({ id: 0, name: "shapes", supercategory: "none" })),
      "data.train.emptyCategories=drop",
      "training.steps=1",
    );
    expect(train, train.err).toMatchObject({ code: 0 });
    const config = JSON.parse(readFileSync(join(run, "config.json"), "utf8")) as {
      model: { classes: string[] };
    };
    const used = new Set(set.coco.annotations.map(({ category_id }) => category_id));
    expect(config.model.classes).toEqual(
      set.coco.categories.filter(({ id }) => used.has(id)).map(({ name }) => name),
    );
  });
});

describe("inspect", () => {
  it("without a config takes a set of boxes for what it is", async () => {
    const annotations = writeJson(folder, "boxes.json", changed(every({ segmentation: [] })));
    const { code, out } = await mrcnn("inspect", "--images", images, "--annotations", annotations);
    expect(code).toBe(0);
    expect(out).toContain(", 3 objects (0 with masks");
    expect(out).toContain("this is a set of boxes");
  });
  it("needs to know what to look at", async () => {
    expect(await mrcnn("inspect", "--annotations", "a.json")).toMatchObject({
      code: 2,
      err: expect.stringContaining("inspect needs --images DIR and --annotations FILE, or --config FILE"),
    });
    const config = writeJson(folder, "shapes.json", tinyConfig);
    expect(await mrcnn("inspect", "--config", config)).toMatchObject({
      code: 2,
      err: expect.stringContaining('has format "shapes"'),
    });
    expect(
      await mrcnn(
        "inspect",
        "--config",
        config,
        "--images",
        images,
        "--annotations",
        join(folder, "good", "annotations.json"),
      ),
    ).toMatchObject({ code: 0, out: expect.stringContaining("Memory for training") });
  });
  it("names classes of the config that the data does not have, as train does", async () => {
    const { inspect, train } = await judge(set.coco, 'model.classes=["cat"]');
    expect([inspect.code, train.code]).toEqual([1, 1]);
    expect(inspect.out).toContain("model.classes are cat, the data has circle, rectangle, triangle");
    expect(train.err).toContain("model.classes are cat, the data has circle, rectangle, triangle");
  });
});

describe("eval --results", () => {
  const score = (json: Coco, type: string, results: unknown): ReturnType<typeof mrcnn> =>
    mrcnn(
      "eval",
      "--results",
      writeJson(folder, "results.json", results),
      "--annotations",
      writeJson(folder, "gt.json", json),
      "--iou-type",
      type,
    );
  const boxes = (json: Coco): Entry[] =>
    json.annotations.map(({ image_id, category_id, bbox }) => ({ image_id, category_id, bbox, score: 1 }));
  const masks = (json: Coco): Entry[] =>
    json.annotations.map(({ image_id, category_id, segmentation }) => ({
      image_id,
      category_id,
      segmentation,
      score: 1,
    }));
  const AP = (out: string): string => out.split("\n")[1]!.slice(-5);

  it("by boxes needs no masks, by masks no boxes", async () => {
    for (const segmentation of [null, [], [[]]]) {
      const { code, out } = await score(changed(every({ segmentation })), "bbox", boxes(set.coco));
      expect([code, AP(out)]).toEqual([0, "1.000"]);
    }
    for (const bbox of [undefined, null, [1, 2]]) {
      const { code, out } = await score(changed(every({ bbox })), "segm", masks(set.coco));
      expect([code, AP(out)]).toEqual([0, "1.000"]);
    }
  });
  it("says why it can't, naming the file and an option of its own", async () => {
    const { code, err } = await score(changed(every({ segmentation: [] })), "segm", masks(set.coco));
    expect(code).toBe(1);
    expect(err).toContain(`${join(folder, "gt.json")}: no object has a mask`);
    expect(err).toContain("evaluate boxes alone with --iou-type bbox");
    expect((await score(changed(first({ iscrowd: "0" })), "bbox", boxes(set.coco))).err).toContain(
      "gt.json: annotation 1 of shapes-0000",
    );
  });
  it("of annotations without objects is -1, not a set of boxes", async () => {
    const { code, out, err } = await score(
      changed((json) => (json.annotations = [])),
      "segm",
      [],
    );
    expect(code).toBe(0);
    expect(out.split("\n")[1]).toMatch(/= -1\.000$/);
    expect(err).not.toMatch(/set of boxes|without masks/);
  });
});

describe("a validation set", () => {
  it("without objects, with boxes without area, or with a category that the training has not and no object is of, is evaluated", async () => {
    const annotations = writeJson(folder, "train.json", set.coco);
    const sets: [string, Coco][] = [
      ["none.json", changed((json) => (json.annotations = []))],
      ["flat.json", changed(first({ bbox: [5, 5, 9, 0] }))],
      [
        "more.json",
        changed((json) => json.categories.unshift({ id: 0, name: "shapes", supercategory: "none" })),
      ],
      [
        "fewer.json",
        changed((json) => [
          (json.categories = json.categories.filter(({ id }) =>
            json.annotations.some(({ category_id }) => category_id === id),
          )),
        ]),
      ],
    ];
    for (const [name, json] of sets) {
      const config = writeJson(folder, "validated.json", {
        ...tinyConfig,
        data: {
          train: { images, annotations },
          validation: { images, annotations: writeJson(folder, name, json) },
        },
        training: { ...tinyConfig.training, steps: 1, accumulate: 1 },
      });
      const { code, err } = await mrcnn(
        "train",
        config,
        "--out",
        join(folder, `run-${name}`),
        "--backend",
        "cpu",
      );
      expect(code, err).toBe(0);
      expect(err).toContain(name === "none.json" ? "AP -1.000" : "box AP 0.000");
    }
  });
});
