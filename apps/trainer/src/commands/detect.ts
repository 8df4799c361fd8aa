import { readdirSync, statSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { toCocoResults } from "@mrcnn/coco-eval";
import { readImageFile } from "@mrcnn/datasets/node";
import type { Detections } from "@mrcnn/core";
import { chooseBackend } from "../backend.ts";
import type { BackendOptions } from "../backend.ts";
import type { Category } from "../data-source.ts";
import { categoryIds, detectImage } from "../detection.ts";
import { CommandError } from "../errors.ts";
import { assertWritable, writeWhole } from "../files.ts";
import { INTERRUPTED, onInterrupt } from "../interrupt.ts";
import { loadModel } from "../model-source.ts";
import { overlayPng } from "../overlay.ts";
import { createProgress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";

export interface DetectOptions extends BackendOptions {
  readonly model: string;
  readonly weights?: string;
  readonly cache?: string;
  readonly offline?: boolean;
  readonly redownload?: boolean;
  readonly scoreThreshold: number;
  readonly maxDetections?: number;
  readonly minSize?: number;
  readonly maxSize?: number;
  readonly json?: string;
  readonly overlay?: string;
}

interface Input {
  readonly path: string;
  /** What results call it: as given, or its name within the folder given. */
  readonly name: string;
}

const isImage = (name: string): boolean => /\.(png|jpe?g|webp|tiff?|gif|avif)$/i.test(name);

// Every file is looked for before any work begins.
function findInputs(paths: readonly string[]): Input[] {
  return paths.flatMap((path): Input[] => {
    const state = statSync(path, { throwIfNoEntry: false });
    if (state === undefined) throw new CommandError(`${path}: no such image or folder. Check the path.`);
    if (!state.isDirectory()) return [{ path, name: path }];
    const names = readdirSync(path).filter(isImage).toSorted();
    if (names.length === 0) throw new CommandError(`${path}: the folder holds no images (png, jpg, webp, tiff, gif, avif).`);
    return names.map((name) => ({ path: join(path, name), name }));
  });
}

// Images of the same name from different folders get overlays of different names.
function overlayNames(inputs: readonly Input[]): string[] {
  const used = new Set<string>();
  return inputs.map(({ path }) => {
    const stem = basename(path, extname(path));
    let name = stem;
    for (let n = 2; used.has(name); n++) name = `${stem}-${n}`;
    used.add(name);
    return `${name}.png`;
  });
}

/** `mrcnn detect`. @returns the exit code. */
export async function detect(paths: readonly string[], options: DetectOptions, terminal: Terminal): Promise<number> {
  const inputs = findInputs(paths);
  const names = overlayNames(inputs);
  if (options.overlay !== undefined) assertWritable(options.overlay);
  await chooseBackend(options, terminal);
  const { model, categories, settings } = await loadModel(options.model, options, terminal);
  const own = options.minSize === undefined && options.maxSize === undefined;
  const used = {
    ...settings,
    scoreThreshold: options.scoreThreshold,
    ...(options.maxDetections === undefined ? {} : { maxDetections: options.maxDetections }),
    ...(own ? {} : { minSize: options.minSize, maxSize: options.maxSize, nativeSize: false }),
  };
  const interrupt = onInterrupt(terminal, "Stopping after this image.");
  const progress = createProgress(terminal, { label: "detect", unit: "images", total: inputs.length });
  const ids = categoryIds(categories);
  const nameOf = new Map(categories.map((category) => [category.id, category.name]));
  const found: object[] = [];
  const lines: string[] = [];
  try {
    for (const [i, { path, name }] of inputs.entries()) {
      await interrupt.listen();
      if (interrupt.signal.aborted) return INTERRUPTED;
      const image = await readImageFile(path, { orient: true });
      const detections = await detectImage(model, { image, name: path }, used);
      for (const result of toCocoResults(i + 1, detections, ids)) {
        found.push({ file_name: name, category_name: nameOf.get(result.category_id), ...result });
      }
      if (options.overlay !== undefined) writeWhole(join(options.overlay, names[i]!), await overlayPng(image, detections, categories, model.config.numerics));
      lines.push(`${name}: ${summary(detections, categories)}`);
      progress.update(i + 1);
    }
  } finally {
    progress.stop();
    interrupt.release();
    model.dispose();
  }
  if (options.json !== undefined) writeWhole(options.json, `${JSON.stringify(found)}\n`);
  for (const line of lines) terminal.out(line);
  return 0;
}

// "3 circle (best 0.99), 1 triangle (best 0.87)"
function summary({ labels, scores }: Detections, categories: readonly Category[]): string {
  if (labels.length === 0) return "nothing found";
  return [...new Set(labels)]
    .map((label) => {
      const own = [...scores].filter((_, i) => labels[i] === label);
      return `${own.length} ${categories[label - 1]!.name} (best ${Math.max(...own).toFixed(2)})`;
    })
    .join(", ");
}
