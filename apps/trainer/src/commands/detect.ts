/** `mrcnn detect`: finds objects in pictures and folders of them. */
import { join } from "node:path";
import { toCocoResults } from "@mrcnn/coco-eval";
import type { Detections } from "@mrcnn/core";
import { readImageFile, writeOutput } from "@mrcnn/datasets/node";
import { chooseBackend } from "../backend.ts";
import type { BackendOptions } from "../backend.ts";
import type { Category } from "../data-source.ts";
import { openDetectionsFile } from "../detections-file.ts";
import { categoryIds, detectImage, isOfImage } from "../detection.ts";
import { inOptions, messageOf, UsageError } from "../errors.ts";
import { assertWritable, identityOf } from "../files.ts";
import { findInputs, overlayNames } from "../inputs.ts";
import type { Input } from "../inputs.ts";
import { INTERRUPTED, onInterrupt } from "../interrupt.ts";
import { assertSettable } from "../model-options.ts";
import type { ModelOptions } from "../model-options.ts";
import { loadModel } from "../model-source.ts";
import { openOutputs } from "../outputs.ts";
import { overlayPng } from "../overlay.ts";
import { createProgress } from "../progress.ts";
import { shownName } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

/** Exit code when some of the images, or all, could not be read. */
export const SOME_UNREADABLE = 3;

export interface DetectOptions extends BackendOptions, ModelOptions {
  readonly model: string;
  readonly weights?: string;
  readonly cache?: string;
  readonly offline?: boolean;
  readonly redownload?: boolean;
  readonly recursive: boolean;
  readonly scoreThreshold: number;
  readonly maxDetections?: number;
  readonly minSize?: number;
  readonly maxSize?: number;
  /** Images of more pixels are not decoded. */
  readonly maxPixels?: number;
  readonly json?: string;
  readonly overlay?: string;
}

/** `mrcnn detect`. @returns the exit code. */
export async function detect(
  paths: readonly string[],
  options: DetectOptions,
  given: Terminal,
): Promise<number> {
  assertSettable(options.set);
  const inputs = findInputs(paths, {
    recursive: options.recursive,
    except: options.overlay,
    note: given.note,
  });
  const overlays =
    options.overlay === undefined ?
      undefined
    : overlayNames(inputs).map((name) => join(options.overlay!, name));
  const { terminal, to } = openOutputs(
    { "--json": options.json },
    { terminal: given, inputs: [...inputs.map(({ path }) => path), options.weights, options.model] },
  );
  if (options.overlay !== undefined) assertWritable(options.overlay);
  assertKept(inputs, overlays ?? []);

  let unreadable = 0;
  const name = (input: Input, problem: string): string => {
    unreadable++;
    return `error: ${shownName(input.path)}: ${problem}.`;
  };
  const isReadable = inputs.map((input) => {
    if (input.problem !== undefined) terminal.note(name(input, input.problem));
    return input.problem === undefined;
  });
  if (unreadable === inputs.length) return SOME_UNREADABLE;

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
  const file = to["--json"] && (await openDetectionsFile(to["--json"]));
  let detected = 0;
  let isDone = false;
  try {
    for (const [i, input] of inputs.entries()) {
      if (!isReadable[i]) continue;
      await interrupt.listen();
      if (interrupt.signal.aborted) return INTERRUPTED;
      // Nobody is left to tell, and nothing is written.
      if (terminal.isClosed === true && overlays === undefined && to["--json"]?.target === undefined)
        return 0;
      let image: Awaited<ReturnType<typeof readImageFile>>;
      let detections: Detections;
      try {
        image = await readImageFile(input.path, {
          orient: true,
          ...(options.maxPixels === undefined ? {} : { maxPixels: options.maxPixels }),
        });
        detections = await detectImage(model, { image, name: input.path }, used);
      } catch (error) {
        // The error is the model's or the settings', unless a picture has worked before.
        if (detected === 0 && !isOfImage(error)) throw error;
        progress.note(name(input, reasonOf(error, input.path)));
        progress.update(i + 1);
        continue;
      }
      if (overlays !== undefined)
        await writeOutput(
          overlays[i]!,
          await overlayPng(image, detections, categories, model.config.numerics),
        );
      await file?.add(
        toCocoResults(i + 1, detections, ids).map((result) => ({
          file_name: input.name,
          category_name: nameOf.get(result.category_id),
          ...result,
        })),
      );
      progress.out(`${shownName(input.name)}: ${summary(detections, categories)}`);
      detected++;
      progress.update(i + 1);
    }
    await file?.finish();
    isDone = true;
  } finally {
    progress.stop();
    interrupt.release();
    model.dispose();
    const kept = isDone ? undefined : file?.abandon();
    if (kept !== undefined)
      terminal.note(
        `Detections of the ${detected} of ${inputs.length} images that were done are in ${kept}.`,
      );
  }
  if (unreadable === 0) return 0;
  terminal.note(
    `${unreadable} of ${inputs.length} images are left out; they are named above. The other ${detected} are done.`,
  );
  return SOME_UNREADABLE;
}

function reasonOf(error: unknown, path: string): string {
  const message = inOptions(messageOf(error)).replace(/\.$/, "");
  return message.startsWith(`${path}: `) ? message.slice(path.length + 2) : message;
}

// An overlay in the folder of the pictures may have the name of one.
function assertKept(inputs: readonly Input[], overlays: readonly string[]): void {
  const read = new Map(
    inputs.filter(({ problem }) => problem === undefined).map(({ path }) => [identityOf(path), path]),
  );
  for (const overlay of overlays) {
    const found = identityOf(overlay);
    const input = found === undefined ? undefined : read.get(found);
    if (input !== undefined)
      throw new UsageError(`--overlay: ${overlay} would overwrite the image ${input}. Name another folder.`);
  }
}

// "3 circle (best 0.99), 1 triangle (best 0.87)"
function summary({ labels, scores }: Detections, categories: readonly Category[]): string {
  if (labels.length === 0) return "nothing found";
  return [...new Set(labels)]
    .map((label) => {
      const own = [...scores].filter((_, i) => labels[i] === label);
      return `${own.length} ${shownName(categories[label - 1]!.name)} (best ${Math.max(...own).toFixed(2)})`;
    })
    .join(", ");
}
