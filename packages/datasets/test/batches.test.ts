// Batches that are prepared in the calling thread, by the sources as they are.
import { expect, it, describe } from "vitest";
import { epochOrder, shapesDataset, trainingBatch } from "../src/index.ts";
import { loadBatches } from "../src/node.ts";
import { loaderSuite, options, shapes } from "./loader-suite.ts";

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
    const expected = [0, 1].flatMap((epoch) =>
      [...epochOrder(5, 3, epoch)].map((i) => `shapes-0000${i}.png`),
    );
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

loaderSuite("in the calling thread", (source, more) => loadBatches(source, { ...more, workers: 0 }));

it("loadBatches reads an opened data set, no further ahead than told", async () => {
  const dataset = shapesDataset(shapes);
  let reads = 0;
  const counted = { ...dataset, get: (index: number) => (reads++, dataset.get(index)) };
  const batches = loadBatches(counted, { ...options, prefetch: 3 });
  await batches.next();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(reads).toBe(6);
  await batches.return();
});
