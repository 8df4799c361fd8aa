import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll } from "vitest";
import { mrcnn } from "./command.ts";

/** Annotations as `mrcnn shapes` writes them. */
export interface ShapesJson {
  images: { id: number; file_name: string; width: number; height: number }[];
  annotations: { id: number; image_id: number; category_id: number; bbox: number[]; segmentation: unknown }[];
  categories: { id: number; name: string }[];
}

/** Two generated images with objects, for tests that spoil copies of their annotations. */
export interface ShapesSet<Json> {
  /** The folder of the pictures. */
  readonly images: string;
  /** As they were written; there when tests run. */
  readonly coco: Json;
  /** A copy of them, changed. */
  changed(change: (copy: Json) => unknown): Json;
}

/** Has `folder` filled before a file's tests. `Json` is the annotations' type as far as the tests spoil them. */
export function shapesSet<Json = ShapesJson>(folder: string): ShapesSet<Json> {
  let coco: Json;
  beforeAll(async () => {
    await mrcnn("shapes", "--out", folder, "--count", "2", "--seed", "5");
    coco = JSON.parse(readFileSync(join(folder, "annotations.json"), "utf8")) as Json;
  });
  return {
    images: join(folder, "images"),
    get coco() {
      return coco;
    },
    changed(change) {
      const copy = structuredClone(coco);
      change(copy);
      return copy;
    },
  };
}
