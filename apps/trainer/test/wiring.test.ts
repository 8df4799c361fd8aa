// Holds a run against what its config says: the rates it used, how far each update went, which pictures it saw.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NamedArrays } from "@mrcnn/core";
import { readLatestCheckpoint } from "@mrcnn/trainer/node";
import { fromTorch, toTorch, writeSafetensors } from "@mrcnn/weights";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { readEvaluations, readMetrics } from "../src/run-log.ts";
import type { EvaluationLine, MetricsLine } from "../src/run-log.ts";
import { mrcnn, temporaryFolder, tinyConfig, writeJson } from "./command.ts";

const folder = temporaryFolder();
const SIDE = 64;
const COUNT = 3;

interface Rectangle {
  readonly image: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
const rectangles: readonly Rectangle[] = Array.from({ length: COUNT }, (_, i) => [
  { image: i, x: 3 + 5 * i, y: 8 + 3 * i, width: 24, height: 20 },
  { image: i, x: 36 - 3 * i, y: 34 - 4 * i, width: 18, height: 22 },
]).flat();
const mirrored = ({ x, width, ...rest }: Rectangle): Rectangle => ({ ...rest, x: SIDE - x - width, width });

// Bright rectangles on a ramp that no mirror leaves as it is.
function pixels(of: readonly Rectangle[], flipped: boolean): Uint8Array {
  const data = new Uint8Array(SIDE * SIDE * 3);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const inside = of.some((r) => x >= r.x && x < r.x + r.width && y >= r.y && y < r.y + r.height);
      const ramp = flipped ? SIDE - 1 - x : x;
      data.set(inside ? [230, 200 - ramp, 90] : [ramp, 2 * y, 40], (y * SIDE + x) * 3);
    }
  }
  return data;
}

/** Writes a data set of rectangles in COCO's format and returns where it lies. */
async function dataSet(
  name: string,
  objects: readonly Rectangle[],
  flipped = false,
): Promise<{ images: string; annotations: string }> {
  const images = join(folder, name);
  mkdirSync(images);
  for (let i = 0; i < COUNT; i++) {
    const png = await sharp(
      pixels(
        objects.filter(({ image }) => image === i),
        flipped,
      ),
      { raw: { width: SIDE, height: SIDE, channels: 3 } },
    )
      .png()
      .toBuffer();
    writeFileSync(join(images, `${i}.png`), png);
  }
  const annotations = writeJson(folder, `${name}.json`, {
    images: Array.from({ length: COUNT }, (_, i) => ({
      id: i + 1,
      file_name: `${i}.png`,
      width: SIDE,
      height: SIDE,
    })),
    categories: [{ id: 1, name: "crate" }],
    annotations: objects.map(({ image, x, y, width, height }, k) => ({
      id: k + 1,
      image_id: image + 1,
      category_id: 1,
      iscrowd: 0,
      area: width * height,
      bbox: [x, y, width, height],
      segmentation: [[x, y, x + width, y, x + width, y + height, x, y + height]],
    })),
  });
  return { images, annotations };
}

interface Run {
  readonly weights: NamedArrays;
  readonly velocities: NamedArrays;
  readonly metrics: MetricsLine[];
  readonly evaluations: EvaluationLine[];
  readonly path: string;
}
interface Settings {
  readonly data?: { images: string; annotations: string };
  readonly augment?: object;
  readonly optimizer?: object;
  readonly training?: object;
  readonly evaluation?: object;
  readonly validation?: { images: string; annotations: string };
}

// Whatever is a candidate is sampled, so that a step's losses depend on its pictures alone.
const everything = { batchSize: 100_000 };
const { rpn, box } = tinyConfig.model;
const model = {
  ...tinyConfig.model,
  rpn: { ...rpn, targets: everything },
  box: { ...box, targets: everything },
};
const plain = { momentum: 0, weightDecay: 0, warmupSteps: 0, milestones: [], rate: 0.01 };
let crates: { images: string; annotations: string };
let runs = 0;

/** Trains the tiny network, by default one plain step: no momentum, no decay, no warm-up, no augmentation. */
async function trained({
  data = crates,
  validation,
  augment = { flip: 0 },
  optimizer,
  training,
  evaluation,
}: Settings): Promise<Run> {
  const path = join(folder, `run${++runs}`);
  const config = writeJson(folder, `config${runs}.json`, {
    model,
    data: { train: data, ...(validation && { validation }) },
    augment,
    optimizer: { ...plain, ...optimizer },
    training: { steps: 1, batchSize: 1, workers: 0, seed: 3, ...training },
    ...(evaluation && { evaluation }),
  });
  expect(await mrcnn("train", config, "--out", path, "--backend", "wasm")).toMatchObject({ code: 0 });
  const { weights, optimizer: velocities } = await readLatestCheckpoint(join(path, "checkpoints"));
  return {
    path,
    weights,
    velocities,
    metrics: readMetrics(join(path, "metrics.jsonl")),
    evaluations: readEvaluations(join(path, "eval.jsonl")),
  };
}

/** The largest distance between two records of arrays, and the largest magnitude. */
function distance(a: NamedArrays, b: NamedArrays, of: (name: string) => boolean = () => true): number {
  let most = 0;
  for (const [name, { data }] of a) {
    if (!of(name)) continue;
    const other = b.get(name)!.data;
    data.forEach((value, i) => (most = Math.max(most, Math.abs(value - other[i]!))));
  }
  return most;
}
const combine = (
  f: (...values: number[]) => number,
  first: NamedArrays,
  ...rest: NamedArrays[]
): NamedArrays =>
  new Map(
    [...first].map(([name, { shape, data }]) => [
      name,
      { shape, data: Float32Array.from(data, (v, i) => f(v, ...rest.map((r) => r.get(name)!.data[i]!))) },
    ]),
  );

// Weights of no run: what the seed gives, unmoved.
let start: Run;
// One step down the gradient of the first batch.
let once: Run;
beforeAll(async () => {
  crates = await dataSet("crates", rectangles);
  start = await trained({ optimizer: { rate: 0 } });
  once = await trained({});
});

describe("the learning rate", () => {
  it("is what warm-up, milestones and gamma give at each step, in the log and in the updates", async () => {
    const schedule = { rate: 0.02, warmupSteps: 2, warmupFactor: 0.25, milestones: [3, 4], gamma: 0.5 };
    const rates = [0.25 * 0.02, 0.625 * 0.02, 0.02, 0.01, 0.005];
    const { metrics } = await trained({ optimizer: schedule, training: { steps: 5 } });
    metrics.forEach(({ lr }, i) => expect(lr).toBeCloseTo(rates[i]!, 12));
    // A first step at a quarter of the rate goes a quarter as far.
    const first = await trained({ optimizer: schedule });
    const whole = await trained({ optimizer: { rate: 0.02 } });
    expect(distance(whole.weights, start.weights)).toBeGreaterThan(1e-4);
    const expected = combine((w0, w1) => w0 + (w1 - w0) / 4, start.weights, whole.weights);
    expect(distance(first.weights, expected)).toBeLessThan(1e-6);
  });

  it("moves no weight when it is 0", async () => {
    const still = await trained({ optimizer: { rate: 0 }, training: { steps: 2 } });
    expect(distance(still.weights, start.weights)).toBe(0);
  });
});

describe("an update", () => {
  const isNorm = (name: string): boolean => start.weights.get(name)!.shape.length === 1;

  it("decays each weight by rate x decay x weight, norms and biases as decayNorms says", async () => {
    const optimizer = { weightDecay: 0.1 };
    const [all, some] = [
      await trained({ optimizer: { ...optimizer, decayNorms: true } }),
      await trained({ optimizer: { ...optimizer, decayNorms: false } }),
    ];
    const decayed = combine((w1, w0) => w1 - 0.01 * 0.1 * w0, once.weights, start.weights);
    const trainable = new Set(once.velocities.keys());
    expect(distance(all.weights, decayed, (name) => trainable.has(name))).toBeLessThan(1e-6);
    expect(distance(some.weights, decayed, (name) => trainable.has(name) && !isNorm(name))).toBeLessThan(
      1e-6,
    );
    expect(distance(some.weights, once.weights, isNorm)).toBe(0);
    // Norms begin with 1, so that it shows.
    expect(distance(decayed, once.weights, isNorm)).toBeGreaterThan(5e-4);
  });

  it("adds momentum x the velocity before", async () => {
    const [without, with9] = [
      await trained({ training: { steps: 2 } }),
      await trained({ optimizer: { momentum: 0.9 }, training: { steps: 2 } }),
    ];
    const expected = combine(
      (w2, w1, w0) => w2 + 0.9 * (w1 - w0),
      without.weights,
      once.weights,
      start.weights,
    );
    expect(distance(with9.weights, expected)).toBeLessThan(1e-6);
    expect(distance(with9.weights, without.weights)).toBeGreaterThan(1e-5);
  });

  it("averages the gradients of `accumulate` batches, and counts their images", async () => {
    // A first step of rate 0, so that the second one shows the second batch's gradient at the same weights.
    const second = await trained({ optimizer: { warmupSteps: 1, warmupFactor: 0 }, training: { steps: 2 } });
    const both = await trained({ training: { accumulate: 2 } });
    const expected = combine(
      (w1, w2, w0) => w0 + (w1 - w0 + (w2 - w0)) / 2,
      once.weights,
      second.weights,
      start.weights,
    );
    expect(distance(once.weights, second.weights)).toBeGreaterThan(1e-4);
    expect(distance(both.weights, expected)).toBeLessThan(1e-6);
    const [line] = both.metrics;
    expect(line!.imagesPerSecond * line!.secondsPerStep).toBeCloseTo(2, 6);
  });

  it("is scaled down to clipNorm", async () => {
    const norm = Math.sqrt(
      [...combine((w0, w1) => ((w0 - w1) / 0.01) ** 2, start.weights, once.weights).values()].reduce(
        (sum, { data }) => sum + (data as Float32Array).reduce((a, b) => a + b, 0),
        0,
      ),
    );
    const clipped = await trained({ optimizer: { clipNorm: norm / 2 } });
    expect(clipped.metrics[0]!["gradientNorm"]).toBeCloseTo(norm, 2);
    const expected = combine((w0, w1) => w0 + (w1 - w0) / 2, start.weights, once.weights);
    expect(distance(clipped.weights, expected)).toBeLessThan(1e-5);
  });
});

describe("the pictures of a step", () => {
  it("are mirrored with the given probability, objects and all", async () => {
    const mirror = await dataSet("mirrored", rectangles.map(mirrored), true);
    const [flipped, reference] = [await trained({ augment: { flip: 1 } }), await trained({ data: mirror })];
    expect(flipped.metrics[0]!.loss).toBeCloseTo(reference.metrics[0]!.loss, 5);
    expect(distance(flipped.weights, reference.weights)).toBeLessThan(1e-6);
    expect(distance(flipped.weights, once.weights)).toBeGreaterThan(1e-5);
  });

  it("are mirrored half of the time unless the config says otherwise", async () => {
    const [unsaid, half] = [
      await trained({ augment: {}, training: { steps: 3 } }),
      await trained({ augment: { flip: 0.5 }, training: { steps: 3 } }),
    ];
    expect(distance(unsaid.weights, half.weights)).toBe(0);
    expect(distance(unsaid.weights, (await trained({ training: { steps: 3 } })).weights)).toBeGreaterThan(0);
  });

  it("vary in colour where the config says so", async () => {
    const varied = await trained({ augment: { flip: 0, brightness: 0.9 } });
    expect(varied.metrics[0]!.loss).not.toBe(once.metrics[0]!.loss);
  });
});

describe("initialWeights", () => {
  it("are where the run starts: this project's own, and torch's with their layouts turned", async () => {
    const own = join(folder, "own.safetensors");
    const moved = combine((w) => 2 * w + 0.01, start.weights);
    writeFileSync(own, writeSafetensors(moved, { format: "mrcnn" }));
    const torch = join(folder, "torch.safetensors");
    writeFileSync(torch, writeSafetensors(toTorch(moved), { format: "pt" }));
    for (const initialWeights of [own, torch]) {
      const { weights } = await trained({ optimizer: { rate: 0 }, training: { initialWeights } });
      expect(distance(weights, moved)).toBe(0);
    }
    // The turned layout by hand: row 1, column 2, input 0, output 3 of the stem.
    const [ours, theirs] = [
      moved.get("backbone.body.conv1.weight")!,
      toTorch(moved).get("backbone.body.conv1.weight")!,
    ];
    expect([ours.shape, theirs.shape]).toEqual([
      [7, 7, 3, 8],
      [8, 3, 7, 7],
    ]);
    expect(theirs.data[((3 * 3 + 0) * 7 + 1) * 7 + 2]).toBe(ours.data[((1 * 7 + 2) * 3 + 0) * 8 + 3]);
    expect(distance(fromTorch(toTorch(moved)), moved)).toBe(0);
  });
});

describe("evaluation while training", () => {
  it("takes the first `limit` images, every `evaluateEvery` steps, and at the end", async () => {
    const { evaluations } = await trained({
      validation: crates,
      evaluation: { limit: 2 },
      training: { steps: 5, evaluateEvery: 2 },
    });
    expect(evaluations.map(({ step, images }) => [step, images])).toEqual([
      [2, 2],
      [4, 2],
      [5, 2],
    ]);
  });

  it("is told in the report, by class and with its numbers", async () => {
    const { path, evaluations } = await trained({ validation: crates, training: { steps: 2 } });
    const report = readFileSync(join(path, "report.html"), "utf8");
    expect(evaluations).toHaveLength(1);
    const words = report.replaceAll(/<[^>]*>/g, " ").replaceAll(/\s+/g, " ");
    for (const said of ["3 validation images after 2 steps", "By class, mask", "By class, box", "crate 6"])
      expect(words).toContain(said);
    expect(report).toMatch(/AP50.*AP75.*AR100/s);
  });
});

describe("detect", () => {
  it("turns photos as their EXIF says", async () => {
    const { path } = once;
    const upright = join(folder, "upright.png");
    const turned = join(folder, "turned.jpg");
    const tall = await sharp(
      pixels(
        rectangles.filter(({ image }) => image === 0),
        false,
      ),
      { raw: { width: SIDE, height: SIDE, channels: 3 } },
    )
      .extract({ left: 0, top: 0, width: 48, height: SIDE })
      .png()
      .toBuffer();
    // Stored a quarter turn to the left, with orientation 6: "turn right to see it".
    writeFileSync(
      turned,
      await sharp(tall)
        .rotate(270)
        .jpeg({ quality: 100, chromaSubsampling: "4:4:4" })
        .withMetadata({ orientation: 6 })
        .toBuffer(),
    );
    // The same pixels, upright in the file.
    writeFileSync(upright, await sharp(turned).autoOrient().png().toBuffer());
    const found: unknown[] = [];
    for (const file of [upright, turned]) {
      const json = join(folder, "found.json");
      expect(
        await mrcnn(
          "detect",
          file,
          "--model",
          path,
          "--backend",
          "wasm",
          "--score-threshold",
          "0",
          "--max-detections",
          "5",
          "--json",
          json,
        ),
      ).toMatchObject({ code: 0 });
      found.push(
        (
          JSON.parse(readFileSync(json, "utf8")) as { bbox: number[]; segmentation: { size: number[] } }[]
        ).map(({ bbox, segmentation }) => ({ bbox, size: segmentation.size })),
      );
    }
    expect(found[1]).toEqual(found[0]);
    expect((found[0] as { size: number[] }[])[0]!.size).toEqual([64, 48]);
  });
});
