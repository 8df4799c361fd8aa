import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cocoFromSamples, shapesDataset } from "../src/index.ts";
import { cocoDatasetFromFiles, openDataset, readCocoAnnotations, writeCocoAnnotations, writeImageFile } from "../src/node.ts";
import { temporaryFolder } from "./folder.ts";

describe("COCO on disk", () => {
  it("reads images and annotations that were written", async () => {
    const folder = temporaryFolder();
    const shapes = shapesDataset({ count: 2, seed: 9 });
    const samples = [await shapes.get(0), await shapes.get(1)];
    for (const { name, image } of samples) await writeImageFile(join(folder, "images", name), image);
    const annotations = join(folder, "annotations.json");
    await writeCocoAnnotations(annotations, cocoFromSamples(samples, shapes.classNames));
    expect((await readdir(folder)).toSorted()).toEqual(["annotations.json", "images"]);

    const dataset = await openDataset({ kind: "coco", images: join(folder, "images"), annotations });
    expect(dataset.length).toBe(2);
    expect(dataset.classNames).toEqual(shapes.classNames);
    for (const [i, sample] of samples.entries()) {
      const read = await dataset.get(i);
      expect([...read.image.data]).toEqual([...sample.image.data]);
      expect(read.groundTruth).toEqual(sample.groundTruth);
    }
  });

  it("names a file that is missing or no JSON", async () => {
    const folder = temporaryFolder();
    await expect(readCocoAnnotations(join(folder, "none.json"))).rejects.toThrow(`${join(folder, "none.json")}: annotations must be a readable JSON file`);
    await writeFile(join(folder, "cut.json"), '{"images": [');
    await expect(readCocoAnnotations(join(folder, "cut.json"))).rejects.toMatchObject({ code: "dataset" });
  });
  it("names the file of a dangling id, and of a missing image", async () => {
    const folder = temporaryFolder();
    const annotations = join(folder, "gt.json");
    const json = {
      images: [{ id: 1, width: 4, height: 4, file_name: "a.png" }],
      categories: [{ id: 1, name: "thing" }],
      annotations: [{ id: 5, image_id: 1, category_id: 1, bbox: [0, 0, 2, 2] as const }],
    };
    await writeCocoAnnotations(annotations, json);
    const dataset = await cocoDatasetFromFiles({ images: folder, annotations });
    await expect(dataset.get(0)).rejects.toThrow(`${join(folder, "a.png")}: the image is missing.`);
    await writeCocoAnnotations(annotations, { ...json, annotations: [{ ...json.annotations[0]!, image_id: 2 }] });
    await expect(cocoDatasetFromFiles({ images: folder, annotations })).rejects.toThrow(/gt\.json: annotation 5: image_id/);
  });
  it("refuses boxes without area, or reports them as dropped", async () => {
    const folder = temporaryFolder();
    const annotations = join(folder, "gt.json");
    await writeCocoAnnotations(annotations, {
      images: [{ id: 1, width: 4, height: 4, file_name: "a.png" }],
      categories: [{ id: 1, name: "thing" }],
      annotations: [{ id: 5, image_id: 1, category_id: 1, bbox: [0, 0, 0, 2] }, { id: 6, image_id: 1, category_id: 1, bbox: [0, 0, 1, 2] }],
    });
    await expect(cocoDatasetFromFiles({ images: folder, annotations })).rejects.toThrow(/annotation 5/);
    const dataset = await cocoDatasetFromFiles({ images: folder, annotations, degenerate: "drop" });
    expect(dataset.dropped.map(({ id }) => id)).toEqual([5]);
  });
});
