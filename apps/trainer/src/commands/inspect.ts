import { join } from "node:path";
import { cocoDatasetFromFiles, readCocoValue, readImageFile } from "@mrcnn/datasets/node";
import type { CocoImage } from "@mrcnn/masks";
import { startBackend } from "../backend.ts";
import { readTrainingConfig } from "../config.ts";
import { createProblemList, inspectAnnotations, plural } from "../inspection.ts";
import type { Bin, Inspection, ProblemList } from "../inspection.ts";
import { inspectionPage } from "../inspection-page.ts";
import { INTERRUPTED, onInterrupt } from "../interrupt.ts";
import { estimateMemory } from "../memory-estimate.ts";
import type { MemoryEstimate } from "../memory-estimate.ts";
import { openOutputs } from "../outputs.ts";
import { createProgress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";

export interface InspectOptions {
  readonly images: string;
  readonly annotations: string;
  readonly config?: string;
  readonly html?: string;
  readonly samples: number;
  readonly json?: string;
}

// Decodes every image: only that finds truncated files.
async function checkImages(folder: string, images: readonly CocoImage[], problems: ProblemList, options: { readonly signal: AbortSignal; readonly onImage: (done: number) => void }): Promise<void> {
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (next < images.length && !options.signal.aborted) {
      const { file_name, width, height } = images[next++]!;
      try {
        const image = await readImageFile(join(folder, file_name), { orient: false });
        if (image.width !== width || image.height !== height) {
          problems.add("image of another size than its annotation says", `${file_name}: ${image.width}x${image.height}, annotated ${width}x${height}`, "fatal");
        }
      } catch (error) {
        const missing = /missing/.test((error as Error).message);
        problems.add(missing ? "image file that is missing" : "image that can't be read", missing ? file_name : (error as Error).message, "fatal");
      }
      options.onImage(++done);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}

const bars = (bins: readonly Bin[]): string[] => {
  const most = Math.max(...bins.map(({ count }) => count), 1);
  return bins.map(({ label, count }) => `  ${label.padStart(10)} ${String(count).padStart(7)} ${"█".repeat(Math.ceil((count / most) * 30))}`);
};

function text(found: Inspection, memory: MemoryEstimate | undefined): string[] {
  const classes = found.classes.toSorted((a, b) => b.objects - a.objects);
  const sizes = found.imageSizes.slice(0, 8).map(({ label, count }) => `${label} (${count})`);
  return [
    `${plural(found.images, "image")}, ${plural(found.objects, "object")} (${found.withMasks} with masks, ${plural(found.crowds, "crowd")}), ${plural(found.classes.length, "class")}`,
    `Image sizes: ${sizes.join(", ")}${found.imageSizes.length > 8 ? `, and ${found.imageSizes.length - 8} more` : ""}`,
    `Objects per image: median ${found.medianObjectsPerImage}, most ${found.maxObjectsPerImage}; none in ${plural(found.imagesWithoutObjects, "image")}`,
    ...bars(found.objectsPerImage),
    "Objects by size (square root of the area, pixels):",
    ...bars(found.objectSizes),
    "Classes:",
    ...classes.slice(0, 20).map(({ name, objects, images }) => `  ${name}: ${plural(objects, "object")} in ${plural(images, "image")}`),
    ...(classes.length > 20 ? [`  and ${classes.length - 20} more`] : []),
    ...(memory === undefined ? [] : [`Memory for training: about ${(memory.totalBytes / 1e9).toFixed(1)} GB (${(memory.parameters / 1e6).toFixed(1)} M parameters)`]),
    found.problems.length === 0 ? "No problems." : "Problems:",
    ...found.problems.flatMap(({ kind, fatal, count, examples }) => [
      `  ${fatal ? "error" : "note "}  ${kind}: ${count}`,
      ...examples.map((example) => `           ${example}`),
      ...(count > examples.length ? ["           …"] : []),
    ]),
  ];
}

/** `mrcnn inspect`. @returns the exit code: 1 when something would stop a training. */
export async function inspect({ images, annotations, config, html, samples, json }: InspectOptions, given: Terminal): Promise<number> {
  const outputs = openOutputs({ "--json": json, "--html": html }, { terminal: given, inputs: [annotations, config] });
  const { terminal } = outputs;
  const value = await readCocoValue(annotations);
  const problems = createProblemList();
  const found = inspectAnnotations(value, annotations, problems);
  const listed = (value as { images: CocoImage[] }).images;
  const interrupt = onInterrupt(terminal, "Stopping; nothing is written.");
  const progress = createProgress(terminal, { label: "inspect", unit: "images", total: listed.length });
  await checkImages(images, listed, problems, { signal: interrupt.signal, onImage: (done) => progress.update(done) }).finally(() => {
    progress.stop();
    interrupt.release();
  });
  if (interrupt.signal.aborted) return INTERRUPTED;

  const sizes = listed.filter(({ width, height }) => width > 0 && height > 0);
  if (config !== undefined) await startBackend("cpu"); // a model is made to count its parameters
  const memory = config === undefined || sizes.length === 0 ? undefined : estimateMemory(readTrainingConfig(config), found.classes.map(({ name }) => name), sizes);
  const whole: Inspection = { ...found, problems: problems.all() };
  const fatal = whole.problems.some((problem) => problem.fatal);
  for (const line of text(whole, memory)) terminal.out(line);
  await outputs.write({
    "--json": () => `${JSON.stringify({ ...whole, ...(memory === undefined ? {} : { memory }) }, null, 2)}\n`,
    // Samples can be drawn only from a data set that opens.
    "--html": async () => inspectionPage(whole, { title: annotations, dataset: fatal ? undefined : await cocoDatasetFromFiles({ images, annotations }), samples, memory }),
  });
  return fatal ? 1 : 0;
}
