/** `mrcnn inspect`: reviews a data set by the rules that training follows. */
import { quote, toJson } from "@mrcnn/core";
import { cocoDatasetFromFiles, readCocoValue, reviewPictures } from "@mrcnn/datasets/node";
import { createFindingList } from "@mrcnn/masks";
import type { CocoImage, CocoReviewOptions } from "@mrcnn/masks";
import { parseMaskRcnnConfig } from "@mrcnn/model";
import { startBackend } from "../backend.ts";
import { changedConfig } from "../read-config.ts";
import type { DataSource, TrainingConfig } from "../config.ts";
import { assertEffective } from "../config-effects.ts";
import { reviewOptionsOf } from "../data-source.ts";
import { UsageError } from "../errors.ts";
import { readJson } from "../files.ts";
import { inspectAnnotations } from "../inspection.ts";
import type { Bin, Inspection } from "../inspection.ts";
import { inspectionPage } from "../inspection-page.ts";
import { plural } from "../plural.ts";
import { INTERRUPTED, onInterrupt } from "../interrupt.ts";
import { estimateMemory } from "../memory-estimate.ts";
import type { MemoryEstimate } from "../memory-estimate.ts";
import { openOutputs } from "../outputs.ts";
import { createProgress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";

export interface InspectOptions {
  readonly images?: string;
  readonly annotations?: string;
  readonly config?: string;
  readonly set: readonly string[];
  readonly html?: string;
  readonly samples: number;
  readonly json?: string;
}

const bars = (bins: readonly Bin[]): string[] => {
  const most = Math.max(...bins.map(({ count }) => count), 1);
  return bins.map(
    ({ label, count }) =>
      `  ${label.padStart(10)} ${String(count).padStart(7)} ${"█".repeat(Math.ceil((count / most) * 30))}`,
  );
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
    ...classes
      .slice(0, 20)
      .map(
        ({ name, objects, images }) =>
          `  ${name}: ${plural(objects, "object")} in ${plural(images, "image")}`,
      ),
    ...(classes.length > 20 ? [`  and ${classes.length - 20} more`] : []),
    ...(memory === undefined ?
      []
    : [
        `Memory for training: about ${(memory.totalBytes / 1e9).toFixed(1)} GB (${(memory.parameters / 1e6).toFixed(1)} M parameters)`,
      ]),
    found.problems.length === 0 ? "No problems." : "Problems:",
    ...found.problems.flatMap(({ kind, severity, count, examples, advice }) => [
      `  ${severity.padEnd(5)}  ${kind}: ${count}`,
      ...examples.map((example) => `           ${example}`),
      ...(count > examples.length ? ["           …"] : []),
      `         ${advice}`,
    ]),
  ];
}

interface LooseConfig {
  readonly data?: { readonly train?: Partial<DataSource> };
}

// The training whose rules apply: that of the config, on the data of --images and --annotations where they
// are given.
function intended({ images, annotations, config, set }: InspectOptions): {
  training: TrainingConfig;
  images: string;
  annotations: string;
} {
  const file = config ?? "--set";
  const written = (
    config === undefined ?
      { training: { steps: 1 } }
    : readJson(config, "The config")) as LooseConfig;
  const source = written.data?.train ?? {};
  const rules = Object.fromEntries(
    ["images", "annotations", "degenerate", "emptyCategories", "orientation", "maxPixels"].flatMap((key) =>
      key in source ? [[key, source[key as keyof DataSource]]] : [],
    ),
  );
  const isGiven = config === undefined || images !== undefined || annotations !== undefined;
  const train = {
    ...rules,
    ...(images !== undefined && { images }),
    ...(annotations !== undefined && { annotations }),
  };
  const training = changedConfig(
    isGiven ? { ...written, data: { ...written.data, train } } : written,
    set,
    file,
  );
  assertEffective(training, file);
  const { format, ...paths } = training.data.train;
  if (format !== "coco")
    throw new UsageError(
      `inspect looks at COCO annotations, and data.train of ${file} has format ${quote(format)}. Give --images and --annotations.`,
    );
  if (paths.images === undefined || paths.annotations === undefined)
    throw new UsageError(
      "inspect needs --images DIR and --annotations FILE, or --config FILE that names them in data.train.",
    );
  return { training, images: paths.images, annotations: paths.annotations };
}

/** `mrcnn inspect`. @returns the exit code: 1 when something would stop a training. */
export async function inspect(options: InspectOptions, given: Terminal): Promise<number> {
  const { config, html, samples, json } = options;
  const { training, images, annotations } = intended(options);
  const outputs = openOutputs(
    { "--json": json, "--html": html },
    { terminal: given, inputs: [annotations, config] },
  );
  const { terminal } = outputs;
  const value = await readCocoValue(annotations);
  const where = "data.train";
  // Which training is meant is known when a config or a --set says so; else boxes alone will do.
  const isSaid = config !== undefined || options.set.some((assignment) => assignment.startsWith("model"));
  const named = reviewOptionsOf(training.data.train, where, {
    purpose: "training",
    masks: parseMaskRcnnConfig({ ...training.model, classes: ["any"] }, `${config ?? "--set"}: model`).mask,
  });
  const rules: CocoReviewOptions = isSaid ? named : { ...named, masks: "consistent" };
  const found = createFindingList(rules.advice);
  const { inspection, review } = inspectAnnotations(value, annotations, { rules, found });
  const names = review.json.categories.map(({ name }) => name);
  const { classes } = training.model;
  if (classes !== undefined && classes.join("\n") !== names.join("\n")) {
    found.add("classes of the config that the data does not have", {
      example: `model.classes are ${classes.join(", ")}, the data has ${names.join(", ")}`,
      advice: "Leave model.classes out: they come from the data.",
    });
  }
  const listed = (value as { images: CocoImage[] }).images.filter(
    ({ file_name }) => typeof file_name === "string" && file_name !== "",
  );
  const interrupt = onInterrupt(terminal, "Stopping; nothing is written.");
  const progress = createProgress(terminal, { label: "inspect", unit: "images", total: listed.length });
  const { orientation, maxPixels } = training.data.train;
  const pictures = {
    ...(orientation === undefined ? {} : { orientation }),
    ...(maxPixels === undefined ? {} : { maxPixels }),
  };
  await reviewPictures(images, listed, found, {
    ...pictures,
    read: "pixels",
    signal: interrupt.signal,
    onImage: (done) => progress.update(done),
  }).finally(() => {
    progress.stop();
    interrupt.release();
  });
  if (interrupt.signal.aborted) return INTERRUPTED;

  const problems = [...inspection.problems, ...found.all()].toSorted(
    (a, b) => Number(a.severity === "note") - Number(b.severity === "note"),
  );
  const whole: Inspection = { ...inspection, problems };
  const fatal = problems.some(({ severity }) => severity === "error");
  const sizes = listed.filter(({ width, height }) => width > 0 && height > 0);
  const isKnown =
    config !== undefined &&
    sizes.length > 0 &&
    names.length > 0 &&
    names.every((name) => typeof name === "string" && name !== "") &&
    new Set(names).size === names.length;
  if (isKnown) await startBackend("cpu"); // a model is made to count its parameters
  const memory = isKnown ? estimateMemory(training, names, sizes) : undefined;
  for (const line of text(whole, memory)) terminal.out(line);
  await outputs.write({
    "--json": () => `${toJson({ ...whole, ...(memory === undefined ? {} : { memory }) }, { indent: 2 })}\n`,
    // Samples can be drawn only from a data set that opens.
    "--html": async () =>
      inspectionPage(whole, {
        title: annotations,
        dataset:
          fatal ? undefined : (
            await cocoDatasetFromFiles({ images, annotations, ...rules, ...pictures, pictures: "unread" })
          ),
        samples,
        memory,
      }),
  });
  return fatal ? 1 : 0;
}
