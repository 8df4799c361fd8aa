import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TrainingBatch } from "@mrcnn/core";
import { beforeAll, describe, expect, it } from "vitest";
import { cocoFromSamples, epochOrder, shapesDataset, trainingBatch } from "../src/index.ts";
import * as onSource from "../src/node.ts";
import { temporaryFolder } from "./folder.ts";

const { writeCocoAnnotations, writeImageFile } = onSource;
const shapes = { kind: "shapes", count: 5, seed: 1, size: { height: 48, width: 48 }, objectSize: [10, 20] } as const;
const options: onSource.LoaderOptions = {
  batchSize: 2,
  seed: 3,
  prepare: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25], flip: 0.5, rotate90: 0.5, crop: { height: 32, width: 32 } },
};

async function collect(batches: AsyncIterable<TrainingBatch>): Promise<TrainingBatch[]> {
  const all = [];
  for await (const batch of batches) all.push(batch);
  return all;
}

describe("trainingBatch", () => {
  it("visits each image once per epoch, each epoch in an order of its own", () => {
    const orders = [0, 1, 2, 3].map((epoch) => [...epochOrder(5, 3, epoch)]);
    for (const order of orders) expect(order.toSorted()).toEqual([0, 1, 2, 3, 4]);
    expect(new Set(orders.map(String)).size).toBeGreaterThan(1);
  });
  it("follows the epochs without a gap", async () => {
    const dataset = shapesDataset(shapes);
    const names = [];
    for (let step = 0; step < 5; step++) names.push(...(await trainingBatch(dataset, step, options)).names);
    const expected = [0, 1].flatMap((epoch) => [...epochOrder(5, 3, epoch)].map((i) => `shapes-0000${i}.png`));
    expect(names).toEqual(expected);
  });
  it("keeps the stored order without shuffling", async () => {
    const { names } = await trainingBatch(shapesDataset(shapes), 1, { ...options, shuffle: false });
    expect(names).toEqual(["shapes-00002.png", "shapes-00003.png"]);
  });
  it("augments the same image anew in each epoch", async () => {
    const one = shapesDataset({ ...shapes, count: 1 });
    const { images } = await trainingBatch(one, 0, options);
    const half = images.data.length / 2;
    expect(images.data.subarray(0, half)).not.toEqual(images.data.subarray(half));
  });
  it("refuses an empty data set", async () => {
    await expect(trainingBatch(shapesDataset({ ...shapes, count: 0 }), 0, options)).rejects.toThrow(
      "trainingBatch: dataset must hold at least one image, got none.",
    );
  });
});

// Threads load built code; building again costs little when nothing changed.
let onDist: typeof onSource;
beforeAll(async () => {
  const folder = fileURLToPath(new URL("..", import.meta.url));
  execFileSync(process.execPath, [join(folder, "../../node_modules/typescript/bin/tsc"), "-b", folder]);
  onDist = await import(new URL("../dist/node.js", import.meta.url).href);
});

describe.each([
  ["in the calling thread", 0],
  ["in one thread", 1],
  ["in two threads", 2],
])("loadBatches %s", (_, workers) => {
  const loadBatches: typeof onSource.loadBatches = (source, more) => (workers === 0 ? onSource : onDist).loadBatches(source, { ...more, workers });

  it("gives trainingBatch(k) for each step in order, and resumes exactly", async () => {
    const dataset = shapesDataset(shapes);
    const expected = [];
    for (let step = 0; step < 7; step++) expected.push(await trainingBatch(dataset, step, options));
    expect(await collect(loadBatches(shapes, { ...options, endStep: 7 }))).toEqual(expected);
    expect(await collect(loadBatches(shapes, { ...options, startStep: 4, endStep: 7 }))).toEqual(expected.slice(4));
  });
  it("goes on for ever, until the loop is left", async () => {
    let steps = 0;
    for await (const batch of loadBatches(shapes, options)) {
      expect(batch.images.size).toEqual({ height: 32, width: 32 });
      if (++steps === 12) break;
    }
    expect(steps).toBe(12);
  });
  it("stops with the signal's reason", async () => {
    const stop = new AbortController();
    let steps = 0;
    const run = async (): Promise<void> => {
      for await (const { names } of loadBatches(shapes, { ...options, signal: stop.signal })) {
        expect(names).toHaveLength(2);
        if (++steps === 3) stop.abort(new Error("enough"));
      }
    };
    await expect(run()).rejects.toThrow("enough");
    expect(steps).toBe(3);
    await expect(run()).rejects.toThrow("enough");
    expect(steps).toBe(3);
  });
  it("throws the data set's error when its batch is due", async () => {
    const folder = temporaryFolder();
    const dataset = shapesDataset(shapes);
    const samples = await Promise.all([0, 1, 2, 3, 4].map((i) => dataset.get(i)));
    for (const { name, image } of samples) await writeImageFile(join(folder, name), image);
    const annotations = join(folder, "gt.json");
    await writeCocoAnnotations(annotations, cocoFromSamples(samples, dataset.classNames));
    const empty = join(folder, samples[3]!.name);
    writeFileSync(empty, "");
    const source = { kind: "coco", images: folder, annotations } as const;
    const seen: string[] = [];
    const run = async (): Promise<void> => {
      for await (const { names } of loadBatches(source, { ...options, shuffle: false })) seen.push(...names);
    };
    await expect(run()).rejects.toMatchObject({ code: "dataset", name: "DatasetError", message: `${empty}: the image can't be read: it is empty. Replace it.` });
    expect(seen).toEqual([samples[0]!.name, samples[1]!.name]);
    await expect(collect(loadBatches({ ...source, annotations: "none.json" }, options))).rejects.toThrow(/^none\.json: annotations/);
  });
});

it("a thread that dies is an error that says what to do, not a wait for ever", () => {
  const folder = temporaryFolder();
  // Loaded by every thread: data threads quit in the middle of their third batch.
  const quit = `const { isMainThread } = require("node:worker_threads");
    const from = Int32Array.from;
    let calls = 0;
    if (!isMainThread) Int32Array.from = (...args) => (++calls > 12 ? process.exit(3) : from.apply(Int32Array, args));`;
  const read = `import { loadBatches } from ${JSON.stringify(new URL("../dist/node.js", import.meta.url).href)};
    try {
      for await (const batch of loadBatches(${JSON.stringify(shapes)}, ${JSON.stringify({ ...options, workers: 1 })})) console.log(batch.names.length);
    } catch ({ name, message }) {
      console.log(name + ": " + message);
    }`;
  const [hook, script] = [join(folder, "quit.cjs"), join(folder, "read.mjs")];
  writeFileSync(hook, quit);
  writeFileSync(script, read);
  const lines = execFileSync(process.execPath, [script], { encoding: "utf8", env: { ...process.env, NODE_OPTIONS: `--require ${hook}` }, timeout: 60_000 }).trim().split("\n");
  expect(lines.slice(0, -1)).toContain("2");
  expect(lines.at(-1)).toMatch(/^DatasetError: loadBatches: a thread died preparing the batch of step \d+ \(.*code: 3\)\. Its images may take more memory .* use fewer workers/);
});

it("loadBatches reads an opened data set, no further ahead than told", async () => {
  const dataset = shapesDataset(shapes);
  let reads = 0;
  const counted = { ...dataset, get: (index: number) => (reads++, dataset.get(index)) };
  const batches = onSource.loadBatches(counted, { ...options, prefetch: 3 });
  await batches.next();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(reads).toBe(6);
  await batches.return();
});
