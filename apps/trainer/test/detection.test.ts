// Detection on an image and on a data set: the sizes a model is asked for, which results count, what an error names, and how it stops.
import { ConfigError, DatasetError, MemoryError, ShapeError } from "@mrcnn/core";
import type { CocoId, Dataset, Detections, RawImage, Sample } from "@mrcnn/core";
import type { DetectOptions, MaskRcnn } from "@mrcnn/model";
import { describe, expect, it } from "vitest";
import { categoryIds, detectAll, detectImage, isOfImage } from "../src/detection.ts";
import type { DetectAllOptions, DetectionSettings } from "../src/detection.ts";
import type { Interrupt } from "../src/interrupt.ts";

const image = (width: number, height: number): RawImage => ({
  width,
  height,
  data: new Uint8Array(width * height * 3),
});
const nothing: Detections = {
  imageSize: { height: 8, width: 8 },
  boxes: new Float32Array(),
  labels: new Int32Array(),
  scores: new Float32Array(),
};
/** A model that answers what it is told to, and remembers what it was asked. */
function modelThat(answer: () => Detections = () => nothing): {
  model: MaskRcnn;
  asked: [images: readonly RawImage[], options: DetectOptions | undefined][];
} {
  const asked: [readonly RawImage[], DetectOptions | undefined][] = [];
  const detect: MaskRcnn["detect"] = async (images, options) => {
    asked.push([images, options]);
    return [answer()];
  };
  return { model: { detect } as MaskRcnn, asked };
}
const failing = (error: unknown): MaskRcnn =>
  modelThat(() => {
    throw error;
  }).model;

describe("detectImage", () => {
  const sizesFor = async (of: RawImage, settings: DetectionSettings): Promise<unknown> => {
    const { model, asked } = modelThat();
    expect(await detectImage(model, { image: of, name: "a.png" }, settings)).toBe(nothing);
    expect(asked).toHaveLength(1);
    expect(asked[0]![0]).toEqual([of]);
    return asked[0]![1];
  };

  it("hands the settings on, and leaves to the model what is not set", async () => {
    const settings = { scoreThreshold: 0.3, maxDetections: 7, minSize: 100, maxSize: 200 };
    expect(await sizesFor(image(6, 4), settings)).toEqual(settings);
    expect(await sizesFor(image(6, 4), { ...settings, nativeSize: false })).toEqual(settings);
    expect(await sizesFor(image(6, 4), {})).toEqual({});
  });

  it("does not resize with nativeSize, whatever the sizes: the shorter edge is minSize, the longer maxSize", async () => {
    const settings = { nativeSize: true, minSize: 100, maxSize: 200 };
    for (const of of [image(6, 4), image(4, 6)])
      expect(await sizesFor(of, settings)).toEqual({ minSize: 4, maxSize: 6 });
  });

  it("names the image in errors of the picture's size and of memory, and leaves others as they are", async () => {
    const run = (error: unknown): Promise<unknown> =>
      detectImage(failing(error), { image: image(6, 4), name: "a.png" }, {}).catch(
        (thrown: unknown) => thrown,
      );
    const config = new ConfigError("detect: too long.");
    const named = await run(config);
    expect(named).toEqual(new ConfigError("a.png: detect: too long."));
    expect(named).toBeInstanceOf(ConfigError);
    expect((named as Error).cause).toBe(config);
    const memory = new MemoryError("9 GB are needed.", "Use less.");
    const short = (await run(memory)) as MemoryError;
    expect(short).toBeInstanceOf(MemoryError);
    expect([short.message, short.shortage, short.remedy]).toEqual([
      "a.png: 9 GB are needed. Use less.",
      "a.png: 9 GB are needed.",
      "Use less.",
    ]);
    expect(short.cause).toBe(memory);
    const other = new TypeError("no such thing");
    expect(await run(other)).toBe(other);
  });
});

it("isOfImage tells errors of one picture from those that any picture meets", () => {
  for (const error of [
    new DatasetError("a.png: cut."),
    new ConfigError("too wide"),
    Object.assign(new Error("EIO"), { code: "EIO", syscall: "read" }),
  ])
    expect(isOfImage(error), String(error)).toBe(true);
  for (const error of [
    new ShapeError("wrong"),
    new MemoryError("9 GB", "Less."),
    new Error("x"),
    Object.assign(new ShapeError("wrong"), { syscall: "read" }),
    { syscall: 5 },
    undefined,
    null,
    "text",
  ])
    expect(isOfImage(error), String(error)).toBe(false);
});

it("categoryIds leaves place 0 to the background", () => {
  expect(
    categoryIds([
      { id: 7, name: "a" },
      { id: "x", name: "b" },
    ]),
  ).toEqual([0, 7, "x"]);
});

describe("detectAll", () => {
  /** Detections of labels 1, 2 and 3, in that order. */
  const three: Detections = {
    imageSize: { height: 8, width: 8 },
    boxes: Float32Array.of(1, 2, 4, 6, 0, 0, 1, 1, 2, 2, 5, 5),
    labels: Int32Array.of(1, 2, 3),
    scores: Float32Array.of(0.75, 0.5, 0.25),
  };
  /** A data set of `length` pictures, which logs each that is read; reading those in `bad` fails. */
  const dataset = (length: number, log: string[], bad: Readonly<Record<number, unknown>> = {}): Dataset => ({
    length,
    classNames: ["background", "a"],
    async get(i): Promise<Sample> {
      log.push(`read ${i}`);
      if (i in bad) throw bad[i];
      return { id: 10 + i, name: `${i}.png`, image: image(8, 8), groundTruth: {} as Sample["groundTruth"] };
    },
  });
  const quiet = (): Interrupt => ({
    signal: new AbortController().signal,
    listen: () => Promise.resolve(),
    fault: undefined,
    release() {},
  });
  const all = (length: number, options: Partial<DetectAllOptions> = {}, bad?: Record<number, unknown>) => {
    const log: string[] = [];
    const { model, asked } = modelThat(() => (log.push("detect"), three));
    const done: number[] = [];
    const work = detectAll(model, dataset(length, log, bad), {
      settings: {},
      categoryIds: [5, 6, 7],
      interrupt: quiet(),
      onImage: (n) => done.push(n),
      ...options,
    });
    return { work, log, done, asked };
  };
  const idsOf = async (work: ReturnType<typeof detectAll>): Promise<CocoId[]> =>
    (await work)!.map(({ image_id }) => image_id);

  it("gives every image's detections as COCO results, with the settings, one image after the other", async () => {
    const { work, done, asked, log } = all(2, { settings: { scoreThreshold: 0.2 } });
    const boxes = [
      { category_id: 5, score: 0.75, bbox: [1, 2, 3, 4] },
      { category_id: 6, score: 0.5, bbox: [0, 0, 1, 1] },
      { category_id: 7, score: 0.25, bbox: [2, 2, 3, 3] },
    ];
    expect(await work).toEqual([10, 11].flatMap((image_id) => boxes.map((box) => ({ image_id, ...box }))));
    expect(done).toEqual([1, 2]);
    expect(asked.map(([, options]) => options?.scoreThreshold)).toEqual([0.2, 0.2]);
    // The next picture is read while the model works, and none beyond the last.
    expect(log).toEqual(["read 0", "read 1", "detect", "detect"]);
  });

  it("leaves out detections of classes without a category", async () => {
    const { work } = all(1, { categoryIds: [undefined, 6] });
    expect(await work).toEqual([{ image_id: 10, category_id: 6, score: 0.5, bbox: [0, 0, 1, 1] }]);
  });

  it("takes the first `limit` images, and reads no others", async () => {
    const { work, log } = all(5, { limit: 2, categoryIds: [5] });
    expect(await idsOf(work)).toEqual([10, 11]);
    expect(log).toEqual(["read 0", "read 1", "detect", "detect"]);
    expect(await idsOf(all(2, { limit: 9, categoryIds: [5] }).work)).toEqual([10, 11]);
    expect(await all(0).work).toEqual([]);
  });

  it("stops before the image at which it hears the signal, without a result", async () => {
    const controller = new AbortController();
    let turns = 0;
    const interrupt: Interrupt = {
      ...quiet(),
      signal: controller.signal,
      listen: async () => void (++turns === 2 && controller.abort()),
    };
    const { work, done } = all(4, { interrupt });
    expect(await work).toBe(undefined);
    expect(done).toEqual([1]);
  });

  it("throws what a picture fails with, unless it is told of those that can't be read", async () => {
    const cut = new DatasetError("1.png: cut.");
    await expect(all(3, {}, { 1: cut }).work).rejects.toBe(cut);
    const told: unknown[] = [];
    const onUnreadable = (...args: unknown[]): void => void told.push(args);
    const { work, done } = all(4, { categoryIds: [5], onUnreadable }, { 1: cut, 3: cut });
    expect(await idsOf(work)).toEqual([10, 12]);
    expect(told).toEqual([
      [1, cut],
      [3, cut],
    ]);
    expect(done).toEqual([1, 2, 3, 4]);
    const wrong = new ShapeError("the model is wrong");
    await expect(all(2, { onUnreadable }, { 0: wrong }).work).rejects.toBe(wrong);
    expect(told).toHaveLength(2);
  });
});
