// How a data source of a config is opened: by which rules, under which names, and what is said meanwhile.
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import * as datasets from "@mrcnn/datasets/node";
import { segmentationToRle } from "@mrcnn/masks";
import type { CocoJson } from "@mrcnn/masks";
import sharp from "sharp";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { noteLines, openSource, resolveSource, reviewOptionsOf } from "../src/data-source.ts";
import type { DataSource } from "../src/config.ts";
import type { OpenSource } from "../src/data-source.ts";
import { temporaryFolder, writeJson } from "./command.ts";

vi.mock("@mrcnn/datasets/node", { spy: true });

const folder = temporaryFolder();
const images = join(folder, "images");
const training = { purpose: "training", masks: true } as const;
const open = (
  source: Partial<DataSource>,
  use: Parameters<typeof openSource>[2] = training,
): Promise<OpenSource> => openSource({ format: "coco", ...source }, "data.train", use);
const advice = {
  "drop degenerate": "Or leave such objects out with --set data.train.degenerate=drop.",
  "drop empty categories":
    "Or leave categories without objects out with --set data.train.emptyCategories=drop.",
  "boxes alone": "Or train on boxes alone with --set model.mask=false.",
  "more pixels": "Or raise the limit with --set data.train.maxPixels=N if there is the memory.",
  "turn photos":
    "Where photos were annotated upright, as EXIF turns them, choose --set data.train.orientation=exif.",
};
const png = (width: number, height: number, data: Uint8Array, channels: 1 | 3): Promise<Buffer> =>
  sharp(data, { raw: { width, height, channels } }).png().toBuffer();

const json = (): CocoJson => ({
  images: ["a.png", "b.png", "c.png"].map((file_name, i) => ({
    id: 10 + i,
    width: 12,
    height: 8,
    file_name,
  })),
  // Not in the order of their ids, which is that of the labels.
  categories: [
    { id: 9, name: "dog" },
    { id: 3, name: "cat" },
    { id: 5, name: "cow" },
  ],
  annotations: [
    { id: 1, image_id: 10, category_id: 9, bbox: [1, 1, 4, 4], segmentation: [[1, 1, 5, 1, 5, 5, 1, 5]] },
    { id: 2, image_id: 11, category_id: 3, bbox: [2, 2, 4, 4], segmentation: [[2, 2, 6, 2, 6, 6, 2, 6]] },
    { id: 3, image_id: 12, category_id: 3, bbox: [3, 3, 4, 4], segmentation: [[3, 3, 7, 3, 7, 7, 3, 7]] },
  ],
});
let annotations: string;
beforeAll(async () => {
  mkdirSync(images);
  for (const name of ["a", "b", "c"])
    writeFileSync(join(images, `${name}.png`), await png(12, 8, new Uint8Array(12 * 8 * 3), 3));
  annotations = writeJson(folder, "a.json", json());
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.clearAllMocks();
});

describe("reviewOptionsOf", () => {
  it("is what the source says, with its own options as advice", () => {
    expect(reviewOptionsOf({}, "data.train", training)).toEqual({
      purpose: "training",
      masks: "needed",
      advice,
    });
    expect(
      reviewOptionsOf({ degenerate: "error", emptyCategories: "drop", maxPixels: 7 }, "data.train", {
        purpose: "training",
        masks: false,
      }),
    ).toEqual({
      purpose: "training",
      masks: "unneeded",
      degenerate: "error",
      emptyCategories: "drop",
      maxPixels: 7,
      advice,
    });
    expect(reviewOptionsOf({}, "data.validation", training).advice!["more pixels"]).toBe(
      "Or raise the limit with --set data.validation.maxPixels=N if there is the memory.",
    );
  });

  it("counts in an evaluation what can't be learned, unless that is dropped", () => {
    const of = (degenerate?: "error" | "drop"): unknown =>
      reviewOptionsOf({ degenerate }, "data.validation", { purpose: "evaluation", masks: true }).degenerate;
    expect([of(), of("error"), of("drop")]).toEqual([undefined, undefined, "drop"]);
    expect(reviewOptionsOf({ degenerate: "drop" }, "data.train", training).degenerate).toBe("drop");
  });
});

it("noteLines says each finding in a line that begins with the file", () => {
  const finding = { severity: "note", count: 1, advice: "Look." } as const;
  expect(
    noteLines(
      [
        { ...finding, kind: "x", examples: ["image 1: odd"] },
        { ...finding, kind: "y", examples: ["image 2: even"] },
      ],
      "a.json",
    ),
  ).toEqual(["a.json: image 1: odd. Look.", "a.json: image 2: even. Look."]);
});

it("resolveSource makes each path absolute, and leaves the rest", () => {
  const source: DataSource = {
    format: "folders",
    images: "i",
    annotations: "a.json",
    folder: "/f",
    masks: "m",
    className: "c",
    maxPixels: 7,
  };
  expect(resolveSource(source)).toEqual({
    ...source,
    images: resolve("i"),
    annotations: resolve("a.json"),
    folder: resolve("/f"),
    masks: resolve("m"),
  });
  expect(resolveSource({ format: "shapes" })).toEqual({ format: "shapes" });
});

describe("openSource of what is not given says what is missing", () => {
  it.each<[string, DataSource]>([
    ["images", { format: "coco", annotations: "a.json" }],
    ["annotations", { format: "coco", images: "i" }],
    ["folder", { format: "folders" }],
    ["folder", { format: "folders", masks: "m" }],
    ["masks", { format: "folders", images: "i" }],
    ["shapes", { format: "shapes" }],
  ])("%s of %j", async (what, source) => {
    await expect(openSource(source, "data.validation", training)).rejects.toThrow(
      `data.validation: ${what} must be given for format "${source.format}". Set it in the config, or with --set data.validation.${what}=…`,
    );
  });
});

describe("openSource of COCO annotations", () => {
  it("gives classes their ids in the file, in the order of the labels, and says what is odd", async () => {
    const source = await open({ images, annotations });
    expect(source.categories).toEqual([
      { id: 3, name: "cat" },
      { id: 5, name: "cow" },
      { id: 9, name: "dog" },
    ]);
    expect(source.usedClasses).toEqual(["cat", "dog"]);
    expect(source.name).toBe(annotations);
    expect(source.notes).toEqual([
      `${annotations}: category 5, "cow": has no objects. It is a class of the model all the same. Or leave categories without objects out with --set data.train.emptyCategories=drop.`,
    ]);
    expect(source.description).toEqual({
      kind: "coco",
      images,
      annotations,
      purpose: "training",
      masks: "needed",
      advice,
    });
    expect(source.dataset.length).toBe(3);
  });

  it("goes by the rules that are set", async () => {
    const rules = {
      degenerate: "drop",
      emptyCategories: "drop",
      orientation: "exif",
      maxPixels: 96,
    } as const;
    const source = await open({ images, annotations, ...rules });
    expect(source.description).toMatchObject({ kind: "coco", ...rules });
    expect(source.categories.map(({ name }) => name)).toEqual(["cat", "dog"]);
    await expect(open({ images, annotations, maxPixels: 95 })).rejects.toThrow(
      "more than the limit of 95 in all",
    );
  });

  it("gives the annotations of the first `limit` images, or all", async () => {
    const source = await open({ images, annotations });
    const all = json();
    expect(await source.annotations()).toEqual(all);
    expect(await source.annotations(3)).toEqual(all);
    expect(await source.annotations(2)).toEqual({
      images: all.images.slice(0, 2),
      categories: all.categories,
      annotations: all.annotations.slice(0, 2),
    });
  });
});

describe("openSource of generated shapes", () => {
  const shapes = {
    count: 3,
    seed: 4,
    size: { height: 64, width: 48 },
    objectSize: [16, 40] as [number, number],
  };

  it("numbers the classes from 1, and is called by its place in the config", async () => {
    const source = await open({ format: "shapes", shapes });
    const names = ["circle", "rectangle", "triangle"];
    expect(source.categories).toEqual(names.map((name, i) => ({ id: i + 1, name })));
    expect(source.usedClasses).toEqual(names);
    expect([source.name, source.notes]).toEqual(["data.train", []]);
    expect(source.description).toEqual({ kind: "shapes", ...shapes });
    // They can't be cut.
    expect(datasets.readThrough).not.toHaveBeenCalled();
  });

  it("gives its objects as COCO annotations, of the first `limit` images or all", async () => {
    const source = await open({ format: "shapes", shapes });
    const all = await source.annotations();
    expect(all.images).toHaveLength(3);
    for (const [i, image] of all.images.entries()) {
      const { id, name, groundTruth } = await source.dataset.get(i);
      expect(image).toEqual({ id, file_name: name, width: 48, height: 64 });
      const own = all.annotations.filter(({ image_id }) => image_id === id);
      expect(own.map(({ category_id }) => category_id)).toEqual([...groundTruth.labels]);
    }
    expect(all.categories).toEqual(source.categories);
    const two = await source.annotations(2);
    expect(two.images).toEqual(all.images.slice(0, 2));
    expect((await source.annotations(9)).images).toEqual(all.images);
  });
});

describe("openSource of folders of masks", () => {
  const pictures = join(folder, "photos");
  const masks = join(folder, "labels");
  const nested = join(folder, "nested");
  // Two objects: the left column of pixels, and the right one.
  const labels = Uint8Array.from({ length: 12 * 8 }, (_, i) =>
    i % 12 === 0 ? 1
    : i % 12 === 11 ? 2
    : 0,
  );
  beforeAll(async () => {
    const photo = await png(12, 8, new Uint8Array(12 * 8 * 3), 3);
    const label = await png(12, 8, labels, 1);
    for (const path of [pictures, masks, join(nested, "one", "images"), join(nested, "one", "masks")])
      mkdirSync(path, { recursive: true });
    for (const path of [join(pictures, "p.png"), join(nested, "one", "images", "p.png")])
      writeFileSync(path, photo);
    for (const path of [join(masks, "p.png"), join(nested, "one", "masks", "p.png")])
      writeFileSync(path, label);
  });

  it("takes images and label images, or a folder of both; the one class has the name that is set", async () => {
    const parallel = await open({ format: "folders", images: pictures, masks });
    expect(parallel.description).toEqual({ kind: "maskFolders", images: pictures, masks });
    expect(parallel.categories).toEqual([{ id: 1, name: "object" }]);
    const options = { className: "cell", orientation: "exif", maxPixels: 96 } as const;
    const both = await open({ format: "folders", folder: nested, ...options });
    expect(both.description).toEqual({ kind: "maskFolders", folder: nested, ...options });
    expect(both.categories).toEqual([{ id: 1, name: "cell" }]);
    const named = await open({ format: "folders", images: pictures, masks, ...options });
    expect(named.description).toEqual({ kind: "maskFolders", images: pictures, masks, ...options });
    expect([both.name, both.notes, both.usedClasses]).toEqual(["data.train", [], ["cell"]]);
    await expect(open({ format: "folders", folder: nested, maxPixels: 95 })).rejects.toThrow("95");
  });

  it("gives the objects as COCO annotations", async () => {
    const { annotations: objects } = await open({ format: "folders", images: pictures, masks });
    const all = await objects();
    expect(all.images).toEqual([{ id: 1, width: 12, height: 8, file_name: "p.png" }]);
    expect(all.annotations.map(({ bbox, area }) => [bbox, area])).toEqual([
      [[0, 0, 1, 8], 8],
      [[11, 0, 1, 8], 8],
    ]);
    const [left] = all.annotations;
    expect(segmentationToRle(left!.segmentation!, { height: 8, width: 12 })).toEqual(
      segmentationToRle({ size: [8, 12], counts: [0, 8, 88] }, { height: 8, width: 12 }),
    );
  });
});

describe("openSource says", () => {
  const notesOf = async (): Promise<string[]> => {
    const notes: string[] = [];
    await openSource({ format: "coco", images, annotations }, "data.train", training, {
      onNote: (note) => notes.push(note),
    });
    return notes;
  };

  it("nothing of what goes fast and is read to its end", async () => {
    vi.spyOn(performance, "now").mockReturnValue(0);
    expect(await notesOf()).toEqual([]);
    expect(vi.mocked(datasets.readThrough).mock.lastCall![1].maxPixels).toBe(1e9);
  });

  it("how far it is, every ten seconds", async () => {
    let now = 0;
    // Five seconds for each look at the clock: one at the start, one for each image, and one more for each line.
    vi.spyOn(performance, "now").mockImplementation(() => (now += 5000));
    expect(await notesOf()).toEqual([
      "data.train: looked at the headers of 2 images so far.",
      "data.train: read 1 image so far.",
      "data.train: read 3 images so far.",
    ]);
  });

  it("how many pictures were read, where not all were", async () => {
    vi.mocked(datasets.readThrough).mockResolvedValueOnce(2);
    expect(await notesOf()).toEqual([
      "data.train: 2 of 3 images were read to their end. Whether another is cut shows when it is drawn; `mrcnn inspect` reads all of them.",
    ]);
  });

  it("nothing where nobody listens, and finds a picture that is cut", async () => {
    vi.mocked(datasets.readThrough).mockResolvedValueOnce(2);
    await open({ images, annotations });
    const bytes = await png(
      12,
      8,
      Uint8Array.from({ length: 12 * 8 * 3 }, (_, i) => (i * 7919) % 251),
      3,
    );
    const torn = join(folder, "torn");
    mkdirSync(torn);
    for (const name of ["a", "b", "c"])
      writeFileSync(join(torn, `${name}.png`), bytes.subarray(0, bytes.length - 60));
    await expect(open({ images: torn, annotations })).rejects.toThrow(/a\.png: the image can't be read/);
  });
});
