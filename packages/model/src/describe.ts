/**
 * Heads on given boxes: a walk whose regions are the caller's, for test-time augmentation, tracking, prompts
 * and studies.
 */
import { clipBoxesOnHost, decodeBoxesOnHost, gatherBoxesOnHost } from "@mrcnn/boxes";
import { assertOptions, ConfigError } from "@mrcnn/core";
import type { ImageSize, RawImage } from "@mrcnn/core";
import type { BoxHeadOutput } from "@mrcnn/core/tensors";
import { classProbabilities } from "@mrcnn/heads";
import type { Addition, Placed } from "./branches.ts";
import { concatRois, readAnswers } from "./detect.ts";
import type { Tools } from "./detect.ts";
import { watchOutputs } from "./finite-outputs.ts";
import { assertSizesAgree, detectRules, prepareInput } from "./input.ts";
import type { DetectOptions } from "./input.ts";
import { numericsProfiles } from "./numerics.ts";
import type { Model } from "./parts.ts";
import { createStageRunner } from "./stages.ts";
import { boxesToInput, boxesToPhoto } from "./to-photo.ts";
import type { Placement } from "./to-photo.ts";
import { walk } from "./walk.ts";

/** Options of one call, which override the config. */
export interface DescribeOptions extends Pick<DetectOptions, "minSize" | "maxSize"> {
  /**
   * The class whose mask and corrected box each given box wants: labels from 1, for each image. Default the
   * most probable.
   */
  readonly labels?: readonly Int32Array[] | undefined;
}

/** What the heads say of an image's given boxes, in their order. */
export interface Description extends Addition {
  /** Size of the image. */
  readonly imageSize: ImageSize;
  /** The boxes as they were given: (x1, y1, x2, y2) in the image's pixels, [N * 4]. */
  readonly boxes: Float32Array;
  /** The boxes as the box head corrects them for their class, within the image, [N * 4]. */
  readonly corrected: Float32Array;
  /** Each box's class, from 1: the given one, else the most probable, [N]. */
  readonly labels: Int32Array;
  /** Probability of that class, [N]. */
  readonly scores: Float32Array;
  /** Probability of every class, the background first, [N * K]. */
  readonly probabilities: Float32Array;
}

/**
 * Runs the heads on boxes that the caller gives: none is proposed, suppressed or dropped.
 *
 * @param boxes for each image, (x1, y1, x2, y2) in its pixels, [N * 4]; N may be 0.
 * @throws ConfigError for boxes and labels that don't fit the images or the model; WeightsError when the
 *   network puts out
 *   NaN or infinity.
 */
export async function describeBoxes(
  model: Model,
  images: readonly RawImage[],
  boxes: readonly Float32Array[],
  { labels: given, ...options }: DescribeOptions = {},
): Promise<Description[]> {
  assertOptions(options, { minSize: detectRules["minSize"]!, maxSize: detectRules["maxSize"]! }, "describe");
  assertSizesAgree(options, "describe");
  const { config } = model;
  const classes = config.classes.length + 1;
  assertBoxes(boxes, images.length);
  if (given !== undefined) assertLabels(given, boxes, classes);
  if (images.length === 0) return [];

  const { boxes: how, decoding } = numericsProfiles[config.numerics];
  const stages = createStageRunner();
  const outputs = watchOutputs();
  const tools: Tools = { stages, outputs, inTurn: false };
  try {
    const { batch, windows, limits } = prepareInput(config, images, options);
    const placements = images.map(({ height, width }, i): Placement => ({
      window: windows[i]!,
      input: batch.imageSizes[i]!,
      photo: { height, width },
    }));
    const rois = concatRois(boxes.map((own, i) => boxesToInput(how, own, placements[i]!)));
    const firsts = boxes.map((_, i) => boxes.slice(0, i).reduce((sum, own) => sum + own.length / 4, 0));
    let descriptions: Omit<Description, keyof Addition>[] = [];
    let placed: Placed[] = [];

    const describe = async ({ classLogits, deltas }: BoxHeadOutput): Promise<void> => {
      await outputs.see("class scores", classLogits);
      await outputs.see("box deltas", deltas);
      const [logits, shifts] = (await Promise.all([classLogits.data(), deltas.data()])) as [
        Float32Array,
        Float32Array,
      ];
      await outputs.settle();
      const all = classProbabilities(logits, classes);
      descriptions = boxes.map((own, i) => {
        const [first, count] = [firsts[i]!, own.length / 4];
        const probabilities = all.slice(first * classes, (first + count) * classes);
        const labels =
          given?.[i] ??
          Int32Array.from({ length: count }, (_, row) =>
            mostProbable(probabilities.subarray(row * classes, (row + 1) * classes)),
          );
        const decoded = decodeBoxesOnHost(
          gatherBoxesOnHost(
            shifts,
            labels.map((label, row) => (first + row) * classes + label),
          ),
          rois.boxes.subarray(4 * first, 4 * (first + count)),
          config.box.weights,
          decoding,
        );
        const { imageSizes } = batch;
        const within = clipBoxesOnHost(decoded, limits[i]!);
        return {
          imageSize: placements[i]!.photo,
          boxes: own,
          corrected: clipBoxesOnHost(
            boxesToPhoto(how, within, { ...placements[i]!, input: imageSizes[i]! }),
            placements[i]!.photo,
          ),
          labels,
          scores: Float32Array.from(labels, (label, row) => probabilities[row * classes + label]!),
          probabilities,
        };
      });
      placed = descriptions.map(({ imageSize, labels, scores }, i) => ({
        boxes: boxes[i]!,
        labels,
        scores,
        imageSize,
        window: windows[i]!,
        rows: labels.map((_, row) => firsts[i]! + row),
      }));
    };

    return await walk(model, batch, {
      ...stages,
      statistics: "running",
      regions: rois,
      async chooseObjects(output) {
        await describe(output);
        return {
          rois,
          labels: Int32Array.from(descriptions.flatMap(({ labels }) => [...labels])),
          none: rois.imageIndex.length === 0,
        };
      },
      async finish(answers) {
        const additions = await readAnswers(model, answers, { rois, placed }, tools);
        return descriptions.map((description, i) => ({ ...description, ...additions[i] }));
      },
    });
  } finally {
    stages.dispose();
    outputs.dispose();
  }
}

function mostProbable(row: Float32Array): number {
  let best = 1;
  for (let label = 2; label < row.length; label++) if (row[label]! > row[best]!) best = label;
  return best;
}

function assertBoxes(boxes: readonly Float32Array[], images: number): void {
  if (boxes.length !== images)
    throw new ConfigError(`describe: boxes must be given for each of ${images} images, got ${boxes.length}.`);
  for (const [i, own] of boxes.entries()) {
    if (own.length % 4 !== 0)
      throw new ConfigError(
        `describe: boxes[${i}] must hold four numbers for each box, got ${own.length} in all.`,
      );
    for (let at = 0; at < own.length; at += 4) {
      const [x1, y1, x2, y2] = own.subarray(at, at + 4) as unknown as [number, number, number, number];
      if (x1 < x2 && y1 < y2 && Number.isFinite(x2 - x1) && Number.isFinite(y2 - y1)) continue;
      throw new ConfigError(
        `describe: boxes[${i}] must be (x1, y1, x2, y2) with x1 < x2 and y1 < y2, got (${[x1, y1, x2, y2].join(", ")}) for box ${at / 4}.`,
      );
    }
  }
}

function assertLabels(labels: readonly Int32Array[], boxes: readonly Float32Array[], classes: number): void {
  if (labels.length !== boxes.length)
    throw new ConfigError(
      `describe: labels must be given for each of ${boxes.length} images, got ${labels.length}.`,
    );
  for (const [i, own] of labels.entries()) {
    if (own.length !== boxes[i]!.length / 4)
      throw new ConfigError(
        `describe: labels[${i}] must hold one label for each of ${boxes[i]!.length / 4} boxes, got ${own.length}.`,
      );
    const wrong = own.find((label) => !(label >= 1 && label < classes));
    if (wrong !== undefined)
      throw new ConfigError(`describe: labels[${i}] must be from 1 to ${classes - 1}, got ${wrong}.`);
  }
}
