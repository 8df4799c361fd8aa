/** `mrcnn shapes`: writes a generated data set as images and COCO annotations. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cocoFromSamples, shapesDataset } from "@mrcnn/datasets";
import { CommandError } from "../errors.ts";
import { assertWritable, writeWhole } from "../files.ts";
import { encodePng } from "../png.ts";
import { createProgress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";

export interface ShapesOptions {
  readonly out: string;
  readonly count: number;
  readonly seed?: number;
}

/**
 * `mrcnn shapes`: OUT/images/*.png and, once they are all there, OUT/annotations.json.
 *
 * @returns the exit code.
 */
export async function writeShapes(
  { out, count, seed = 0 }: ShapesOptions,
  terminal: Terminal,
): Promise<number> {
  const annotations = join(out, "annotations.json");
  if (existsSync(annotations))
    throw new CommandError(`${annotations} exists already. Give another --out, or remove it.`);
  const images = join(out, "images");
  assertWritable(images);
  const dataset = shapesDataset({ count, seed });
  const progress = createProgress(terminal, { label: "shapes", unit: "images", total: count });
  const samples = [];
  for (let i = 0; i < count; i++) {
    const { id, name, image, groundTruth } = await dataset.get(i);
    writeWhole(join(images, name), await encodePng(image));
    samples.push({ id, name, image: { height: image.height, width: image.width }, groundTruth });
    progress.update(i + 1);
  }
  progress.stop();
  writeWhole(annotations, JSON.stringify(cocoFromSamples(samples, dataset.classNames)));
  terminal.out(`${count} images in ${images}, their objects in ${annotations}`);
  return 0;
}
