// What `loadBatches` promises, wherever the batches are prepared.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TrainingBatch } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import { cocoFromSamples, shapesDataset, trainingBatch } from "../src/index.ts";
import { writeCocoAnnotations, writeImageFile } from "../src/node.ts";
import type { loadBatches as LoadBatches, LoaderOptions } from "../src/node.ts";
import { temporaryFolder } from "./folder.ts";

export const shapes = {
  kind: "shapes",
  count: 5,
  seed: 1,
  size: { height: 48, width: 48 },
  objectSize: [10, 20],
} as const;
export const options: LoaderOptions = {
  batchSize: 2,
  seed: 3,
  prepare: {
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
    flip: 0.5,
    rotate90: 0.5,
    crop: { height: 32, width: 32 },
  },
};

async function collect(batches: AsyncIterable<TrainingBatch>): Promise<TrainingBatch[]> {
  const all = [];
  for await (const batch of batches) all.push(batch);
  return all;
}

export function loaderSuite(where: string, loadBatches: typeof LoadBatches): void {
  describe(`loadBatches ${where}`, () => {
    it("gives trainingBatch(k) for each step in order, and resumes exactly", async () => {
      const dataset = shapesDataset(shapes);
      const expected = [];
      for (let step = 0; step < 7; step++) expected.push(await trainingBatch(dataset, step, options));
      expect(await collect(loadBatches(shapes, { ...options, endStep: 7 }))).toEqual(expected);
      expect(await collect(loadBatches(shapes, { ...options, startStep: 4, endStep: 7 }))).toEqual(
        expected.slice(4),
      );
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
        for await (const { names } of loadBatches(source, { ...options, shuffle: false }))
          seen.push(...names);
      };
      await expect(run()).rejects.toMatchObject({
        code: "dataset",
        name: "DatasetError",
        message: `${empty}: the image can't be read: it is empty. Replace it.`,
      });
      expect(seen).toEqual([samples[0]!.name, samples[1]!.name]);
      await expect(collect(loadBatches({ ...source, annotations: "none.json" }, options))).rejects.toThrow(
        /^none\.json: annotations/,
      );
    });
  });
}
