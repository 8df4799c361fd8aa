// `mrcnn inspect` from its options to its words, on pictures small enough to count by hand.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { estimateMemory } from "../src/memory-estimate.ts";
import { changedConfig } from "../src/read-config.ts";
import { mrcnn, temporaryFolder, tinyConfig, writeJson } from "./command.ts";
import type { Outcome } from "./command.ts";

type Entry = Record<string, unknown>;
interface Coco {
  images: Entry[];
  annotations: Entry[];
  categories: Entry[];
}

const folder = temporaryFolder();
const images = join(folder, "images");
const rectangle = (x: number, y: number, w: number, h: number) => ({
  bbox: [x, y, w, h],
  segmentation: [[x, y, x + w, y, x + w, y + h, x, y + h]],
});
/** An object with a mask, whose box has no area. */
const flat = { ...rectangle(5, 5, 4, 4), bbox: [5, 5, 0, 4] };
const good = (): Coco => ({
  images: [
    { id: 1, width: 40, height: 30, file_name: "a.png" },
    { id: 2, width: 40, height: 30, file_name: "b.png" },
    { id: 3, width: 30, height: 20, file_name: "c.png" },
  ],
  categories: [
    { id: 1, name: "cat" },
    { id: 2, name: "dog" },
  ],
  annotations: [
    { id: 1, image_id: 1, category_id: 2, ...rectangle(5, 5, 10, 10) },
    { id: 2, image_id: 1, category_id: 1, ...rectangle(20, 5, 5, 5) },
    { id: 3, image_id: 2, category_id: 2, ...rectangle(5, 5, 10, 10) },
  ],
});
let files = 0;
const written = (change: (copy: Coco) => unknown = () => {}): string => {
  const copy = good();
  change(copy);
  return writeJson(folder, `${files++}.json`, copy);
};
const inspect = (annotations: string, ...more: string[]): Promise<Outcome> =>
  mrcnn("inspect", "--images", images, "--annotations", annotations, ...more);
const lines = (...all: (string | string[])[]): string => all.flat().join("\n");

const picture = (width: number, height: number): sharp.Sharp =>
  sharp(new Uint8Array(width * height * 3).fill(90), { raw: { width, height, channels: 3 } });
beforeAll(async () => {
  mkdirSync(images);
  for (const [name, width, height] of [
    ["a", 40, 30],
    ["b", 40, 30],
    ["c", 30, 20],
  ] as const)
    writeFileSync(join(images, `${name}.png`), await picture(width, height).png().toBuffer());
});

const bar = (label: string, count: number, blocks: number): string =>
  `  ${label.padStart(10)} ${String(count).padStart(7)} ${"█".repeat(blocks)}`;
const histogram = (
  labels: readonly string[],
  of: Record<string, [count: number, blocks: number]>,
): string[] => labels.map((label) => bar(label, ...(of[label] ?? [0, 0])));
const PER_IMAGE = ["0", "1", "2–4", "5–9", "10–19", "20–49", "50–99", "100–199", "200 up"];
const SIDES = ["0–3", "4–7", "8–15", "16–31", "32–63", "64–95", "96–127", "128–255", "256–511", "512 up"];
const looks = [
  "3 images, 3 objects (3 with masks, 0 crowds), 2 classes",
  "Image sizes: 40x30 (2), 30x20 (1)",
  "Objects per image: median 1, most 2; none in 1 image",
  ...histogram(PER_IMAGE, { "0": [1, 30], "1": [1, 30], "2–4": [1, 30] }),
  "Objects by size (square root of the area, pixels):",
  ...histogram(SIDES, { "4–7": [1, 15], "8–15": [2, 30] }),
  "Classes:",
  "  dog: 2 objects in 2 images",
  "  cat: 1 object in 1 image",
];
const problemsOf = ({ out }: Outcome): string[] => {
  const all = out.split("\n");
  const at = all.findIndex((line) => line === "No problems." || line === "Problems:");
  return all.slice(at);
};

describe("inspect", () => {
  it("says what a data set is like, and that there is nothing wrong with it", async () => {
    const json = join(folder, "found.json");
    expect(await inspect(written(), "--json", json)).toEqual({
      code: 0,
      out: lines(looks, "No problems."),
      err: "",
    });
    const text = readFileSync(json, "utf8");
    expect(text).toMatch(/^\{\n {2}"images": 3,\n[^]*\n\}\n$/);
    const value = JSON.parse(text) as Entry;
    expect(value).toMatchObject({
      images: 3,
      objects: 3,
      crowds: 0,
      withMasks: 3,
      classes: [
        { id: 1, name: "cat", objects: 1, images: 1 },
        { id: 2, name: "dog", objects: 2, images: 2 },
      ],
      problems: [],
    });
    expect(value).not.toHaveProperty("memory");
  });

  it("names eight sizes and twenty classes, and how many more there are", async () => {
    const many = (sizes: number, classes: number): Promise<Outcome> =>
      inspect(
        written((copy) => {
          copy.images = Array.from({ length: sizes }, (_, i) => ({
            id: i + 1,
            width: i + 1,
            height: 9,
            file_name: `none${i}.png`,
          }));
          copy.categories = Array.from({ length: classes }, (_, i) => ({
            id: i + 1,
            name: `class ${i + 1}`,
          }));
          copy.annotations = copy.annotations.slice(0, 1);
        }),
      );
    const sizes = Array.from({ length: 8 }, (_, i) => `${i + 1}x9 (1)`).join(", ");
    const nine = (await many(9, 21)).out.split("\n");
    expect(nine[1]).toBe(`Image sizes: ${sizes}, and 1 more`);
    const at = nine.indexOf("Classes:");
    expect(nine[at + 1]).toBe("  class 2: 1 object in 1 image");
    expect(nine[at + 2]).toBe("  class 1: 0 objects in 0 images");
    expect(nine[at + 20]).toBe("  class 20: 0 objects in 0 images");
    expect(nine.slice(at + 21, at + 23)).toEqual(["  and 1 more", "Problems:"]);
    const eight = (await many(8, 20)).out.split("\n");
    expect(eight[1]).toBe(`Image sizes: ${sizes}`);
    expect(eight[eight.indexOf("Classes:") + 21]).toBe("Problems:");
  });

  it("lists problems, errors of the annotations and of the pictures first, five examples of each", async () => {
    const outcome = await inspect(
      written((copy) => {
        copy.images.push({ id: 9, width: 8, height: 8, file_name: "gone.png" });
        copy.images[2]!.width = 31;
        copy.categories.push({ id: 7, name: "cow" });
        for (let id = 11; id <= 16; id++) copy.annotations.push({ id, image_id: 2, category_id: 2, ...flat });
      }),
    );
    expect(outcome.code).toBe(1);
    expect(problemsOf(outcome)).toEqual([
      "Problems:",
      "  error  box without area: 6",
      ...[11, 12, 13, 14, 15].map(
        (id) =>
          `           annotation ${id} of b.png: bbox must have a positive width and height, got [5,5,0,4]`,
      ),
      "           …",
      "         Correct it. Or leave such objects out with --set data.train.degenerate=drop.",
      "  error  image of another size than its annotation says: 1",
      "           c.png: the file has 30x20 pixels, annotated 31x20",
      "         Correct the annotations, or replace the image.",
      "  error  image file that is missing: 1",
      `           ${join(images, "gone.png")}: the image is missing`,
      "         Look whether the folder of the images is the right one.",
      "  note   category without objects: 1",
      '           category 7, "cow": has no objects',
      "         It is a class of the model all the same. Or leave categories without objects out with --set data.train.emptyCategories=drop.",
    ]);
  });

  it("of notes alone ends with 0", async () => {
    const { code, out } = await inspect(written((copy) => copy.categories.push({ id: 7, name: "cow" })));
    expect(code).toBe(0);
    expect(out).toContain("\nProblems:\n  note   category without objects: 1\n");
  });

  it("reads pictures to their end, and none of an image that names no file", async () => {
    const whole = readFileSync(join(images, "a.png"));
    writeFileSync(join(images, "cut.png"), whole.subarray(0, whole.length - 30));
    const cut = await inspect(written((copy) => (copy.images[0]!.file_name = "cut.png")));
    expect(cut.code).toBe(1);
    expect(problemsOf(cut)[1]).toBe("  error  image that can't be read: 1");
    for (const file_name of ["", 5]) {
      const { code, out } = await inspect(written((copy) => (copy.images[2]!.file_name = file_name)));
      expect(code).toBe(1);
      expect(out.match(/^ {2}(error|note) .*/gm)).toEqual(["  error  image without a file name: 1"]);
    }
  });

  it("tells how far it is", async () => {
    let now = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => (now += 11_000));
    try {
      const { err } = await inspect(written());
      expect(err.split("\n").map((line) => line.split(" images")[0])).toEqual([
        "inspect: 1/3",
        "inspect: 2/3",
        "inspect: 3/3",
      ]);
    } finally {
      clock.mockRestore();
    }
  });

  it("stopped by Ctrl-C says so, gives no result, and listens no more", async () => {
    const json = join(folder, "stopped.json");
    const before = process.listenerCount("SIGINT");
    const onListener = (name: string | symbol): void => {
      if (name !== "SIGINT") return;
      process.off("newListener", onListener);
      process.nextTick(() => process.emit("SIGINT"));
    };
    process.on("newListener", onListener);
    const outcome = await inspect(written(), "--json", json).finally(() =>
      process.off("newListener", onListener),
    );
    expect(outcome).toEqual({
      code: 130,
      out: "",
      err: "\nStopping; nothing is written. Ctrl-C again quits at once.",
    });
    expect(existsSync(json)).toBe(false);
    expect(process.listenerCount("SIGINT")).toBe(before);
  });

  it("writes neither over its annotations nor over its config", async () => {
    const annotations = written();
    const config = writeJson(folder, "kept.json", {
      data: { train: { images, annotations } },
      training: { steps: 1 },
    });
    for (const [option, path] of [
      ["--json", annotations],
      ["--html", config],
    ] as const)
      expect(await mrcnn("inspect", "--config", config, option, path)).toEqual({
        code: 2,
        out: "",
        err: `error: ${option} ${JSON.stringify(path)} would overwrite what is read: ${path}. Name another file.`,
      });
  });
});

describe("inspect --html", () => {
  const html = join(folder, "page.html");
  const captions = (): string[] =>
    [...readFileSync(html, "utf8").matchAll(/<figcaption>(\w+\.\w+: [^<]*)/g)].map(([, caption]) => caption!);

  it("shows as many samples as asked for, of the data as the training would see them", async () => {
    const annotations = written((copy) =>
      copy.annotations.push({ id: 9, image_id: 3, category_id: 1, ...flat }),
    );
    expect(
      (await inspect(annotations, "--html", html, "--samples", "2", "--set", "data.train.degenerate=drop"))
        .code,
    ).toBe(0);
    expect(captions()).toEqual(["a.png: 40x30, 2 objects", "b.png: 40x30, 1 object"]);
    expect(readFileSync(html, "utf8")).toContain(`<p>${annotations}</p>`);
    await inspect(annotations, "--html", html, "--set", "data.train.degenerate=drop");
    expect(captions()[2]).toBe("c.png: 30x20, 0 objects");
    // What would stop a training can't be shown.
    expect((await inspect(annotations, "--html", html)).code).toBe(1);
    expect(captions()).toEqual([]);
    expect(readFileSync(html, "utf8")).toContain(
      "<p>There are no samples because the data set can&#39;t be opened before its errors are mended.</p>",
    );
  });

  it("turns photos where the config says that they were annotated upright", async () => {
    writeFileSync(
      join(images, "turned.jpg"),
      await picture(40, 30).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    );
    const annotations = written((copy) =>
      Object.assign(copy.images[0]!, { file_name: "turned.jpg", width: 30, height: 40 }),
    );
    expect((await inspect(annotations, "--html", html)).code).toBe(1);
    expect((await inspect(annotations, "--html", html, "--set", "data.train.orientation=exif")).code).toBe(0);
    expect(captions()[0]).toBe("turned.jpg: 30x40, 2 objects");
  });

  it("keeps to the limit of pixels that is set", async () => {
    const { code, out } = await inspect(written(), "--set", "data.train.maxPixels=1199");
    expect(code).toBe(1);
    expect(out).toContain(
      '           image 1 ("a.png"): has 40x30 pixels, more than the limit of 1199 in all',
    );
    expect(out).toContain("a.png: the image has 40x30 pixels");
    expect((await inspect(written(), "--set", "data.train.maxPixels=1200")).code).toBe(0);
  });
});

describe("the training that inspect judges for", () => {
  const configOf = (train: object, more: object = {}): string =>
    writeJson(folder, `config${files++}.json`, { data: { train }, training: { steps: 1 }, ...more });
  const usage = (text: string) => ({ code: 2, out: "", err: `error: ${text}` });
  const needs = usage(
    "inspect needs --images DIR and --annotations FILE, or --config FILE that names them in data.train.",
  );

  it("must say which images and which annotations", async () => {
    expect(await mrcnn("inspect")).toEqual(needs);
    expect(await mrcnn("inspect", "--images", images)).toEqual(needs);
    expect(await mrcnn("inspect", "--annotations", written())).toEqual(needs);
    expect(await mrcnn("inspect", "--config", configOf({ images }))).toEqual(needs);
    const shapes = configOf({ format: "shapes", shapes: { count: 1 } });
    expect(await mrcnn("inspect", "--config", shapes)).toEqual(
      usage(
        `inspect looks at COCO annotations, and data.train of ${shapes} has format "shapes". Give --images and --annotations.`,
      ),
    );
    expect(await mrcnn("inspect", "--set", 'data.train={"format":"folders","folder":"x"}')).toEqual(
      usage(
        'inspect looks at COCO annotations, and data.train of --set has format "folders". Give --images and --annotations.',
      ),
    );
    // Each may come from the config or from its option, whatever the config's format is.
    expect(await mrcnn("inspect", "--config", shapes, "--images", images)).toEqual(needs);
    const found = expect.objectContaining({ code: 0, err: "" });
    expect(
      await mrcnn("inspect", "--config", shapes, "--images", images, "--annotations", written()),
    ).toEqual(found);
    expect(await mrcnn("inspect", "--config", configOf({ images }), "--annotations", written())).toEqual(
      found,
    );
    const elsewhere = configOf({ images: "nowhere", annotations: written() });
    expect(await mrcnn("inspect", "--config", elsewhere, "--images", images)).toEqual(found);
    const all = configOf({ images, annotations: written() });
    expect(await mrcnn("inspect", "--config", all)).toEqual(found);
    expect(await mrcnn("inspect", "--config", all, "--annotations", join(folder, "none.json"))).toMatchObject(
      {
        code: 1,
      },
    );
  });

  it("is told of settings that do nothing or are none, by the config's name", async () => {
    const wrong = configOf({ images, annotations: written(), degenrate: "drop" });
    const { code, err } = await mrcnn("inspect", "--config", wrong);
    expect([code, err.startsWith(`error: ${wrong}: `)]).toEqual([1, true]);
    expect(err).toContain('Did you mean "degenerate"?');
    const idle = await inspect(written(), "--set", "training.evaluateEvery=1");
    expect(idle).toEqual({
      code: 1,
      out: "",
      err: "error: --set: training.evaluateEvery=1 does nothing without data.validation. Give that, or leave it out.",
    });
    expect((await inspect(written(), "--set", "model.backbone.depth=7")).err).toMatch(/^error: --set: model/);
    const missing = join(folder, "none.json");
    expect(await mrcnn("inspect", "--config", missing)).toEqual({
      code: 1,
      out: "",
      err: `error: The config ${missing} does not exist. Check the path.`,
    });
  });

  it("brings its rules along where --annotations takes the place of its own", async () => {
    const empties = written((copy) => copy.annotations.push({ id: 9, image_id: 3, category_id: 1, ...flat }));
    const empty = written((copy) => copy.categories.push({ id: 7, name: "cow" }));
    const judged = (train: object, annotations: string): Promise<Outcome> =>
      mrcnn("inspect", "--config", configOf({ images, ...train }), "--annotations", annotations);
    expect((await judged({}, empties)).code).toBe(1);
    const dropped = await judged({ degenerate: "drop" }, empties);
    expect(dropped.code).toBe(0);
    expect(problemsOf(dropped)).toEqual([
      "Problems:",
      "  note   object left out: 1",
      "           annotation 9 of c.png: bbox [5,5,0,4] has no area",
      "         It can't be learned.",
    ]);
    expect(problemsOf(await judged({ emptyCategories: "drop" }, empty))[3]).toBe("         It is left out.");
    expect((await judged({ maxPixels: 1199 }, written())).code).toBe(1);
    expect((await judged({ orientation: "exif" }, written())).code).toBe(0);
  });

  it("needs masks where it is said to have some; else boxes will do", async () => {
    const boxes = written((copy) => copy.annotations.forEach((one) => delete one["segmentation"]));
    const isBoxes =
      "no object has a mask (segmentation is missing, null or empty in all 3): this is a set of boxes";
    const fine = [
      "Problems:",
      "  note   set of boxes without masks: 1",
      `           ${isBoxes}`,
      "         Boxes alone can be learned from it.",
    ];
    expect(problemsOf(await inspect(boxes))).toEqual(fine);
    // Rules of the data say nothing of the model.
    expect(problemsOf(await inspect(boxes, "--set", "data.train.degenerate=drop"))).toEqual(fine);
    expect(
      problemsOf(await inspect(boxes, "--set", "data.train.degenerate=drop", "--set", "model.mask=false")),
    ).toEqual(["No problems."]);
    const wanted = await inspect(boxes, "--set", "model.mask=true");
    expect(wanted.code).toBe(1);
    expect(problemsOf(wanted)).toEqual([
      "Problems:",
      "  error  set of boxes without masks: 1",
      `           ${isBoxes}, and masks are needed`,
      "         Give annotations with masks. Or train on boxes alone with --set model.mask=false.",
    ]);
    expect((await mrcnn("inspect", "--config", configOf({ images, annotations: boxes }))).code).toBe(1);
  });

  it("must have the data's classes, in their order, where it names some", async () => {
    const of = (classes: string): Promise<Outcome> => inspect(written(), "--set", `model.classes=${classes}`);
    const other = await of('["dog","cat"]');
    expect(other.code).toBe(1);
    expect(problemsOf(other)).toEqual([
      "Problems:",
      "  error  classes of the config that the data does not have: 1",
      "           model.classes are dog, cat, the data has cat, dog",
      "         Leave model.classes out: they come from the data.",
    ]);
    expect((await of('["cat","dog"]')).code).toBe(0);
    expect((await of('["catdog"]')).code).toBe(1);
  });

  describe("of a config", () => {
    const { model } = tinyConfig;
    const estimated = (sizes: { width: number; height: number }[], names: string[]) =>
      estimateMemory(
        changedConfig(
          { model, data: { train: { images, annotations: "a.json" } }, training: { steps: 1 } },
          [],
          "c",
        ),
        names,
        sizes,
      );
    const judged = (annotations: string, ...more: string[]): Promise<Outcome> =>
      mrcnn("inspect", "--config", configOf({ images, annotations }, { model }), ...more);
    const memoryIn = ({ out }: Outcome): string | undefined => /^Memory .*$/m.exec(out)?.[0];

    it("is told the memory that it takes", async () => {
      const json = join(folder, "memory.json");
      const outcome = await judged(written(), "--json", json, "--html", join(folder, "memory.html"));
      const memory = estimated(
        [
          { width: 40, height: 30 },
          { width: 40, height: 30 },
          { width: 30, height: 20 },
        ],
        ["cat", "dog"],
      );
      // The process alone is estimated at 700 MB; the network is a small one.
      const line = `Memory for training: about ${(memory.totalBytes / 1e9).toFixed(1)} GB (${(memory.parameters / 1e6).toFixed(1)} M parameters)`;
      expect(line).toMatch(/^Memory for training: about 0\.[78] GB \(0\.\d M parameters\)$/);
      expect(outcome.out).toBe(lines(looks, line, "No problems."));
      expect(JSON.parse(readFileSync(json, "utf8"))).toMatchObject({ memory });
      expect(readFileSync(join(folder, "memory.html"), "utf8")).toContain("<dt>memory</dt>");
    });

    it("is told it by those images whose sizes are sizes", async () => {
      const json = join(folder, "sizes.json");
      const odd = (of: object) => written((copy) => Object.assign(copy.images[0]!, of));
      for (const of of [{ width: -4000 }, { height: 0 }, { width: "40" }]) {
        await judged(odd(of), "--json", json);
        const sizes = [
          { width: 40, height: 30 },
          { width: 30, height: 20 },
        ];
        const { memory } = JSON.parse(readFileSync(json, "utf8")) as { memory: unknown };
        expect(memory).toEqual(estimated(sizes, ["cat", "dog"]));
      }
    });

    it.each<[string, (copy: Coco) => unknown]>([
      ["has no sizes", (copy) => copy.images.forEach((one) => (one["width"] = 0))],
      ["has no classes", (copy) => (copy.categories = [])],
      ["has a class without a name", (copy) => (copy.categories[0]!["name"] = "")],
      ["has a class named by a number", (copy) => (copy.categories[0]!["name"] = 5)],
      ["has two classes of one name", (copy) => (copy.categories[0]!["name"] = "dog")],
    ])("is not told it where the data %s", async (_, change) => {
      const outcome = await judged(written(change));
      expect(outcome).toMatchObject({ code: 1, err: "" });
      expect(memoryIn(outcome)).toBe(undefined);
    });
  });
});
