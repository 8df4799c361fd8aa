/**
 * Instance-level average precision of Cityscapes, as cityscapesScripts' `evalInstanceLevelSemanticLabeling`.
 */
import { ConfigError, DatasetError } from "@mrcnn/core";
import type { Rle } from "@mrcnn/core";
import { rleArea, runsIntersection } from "@mrcnn/masks";

/** An image of Cityscapes, whose instances do not overlap. */
export interface CityscapesImage {
  readonly instances: readonly {
    readonly categoryId: number;
    readonly mask: Rle;
    /**
     * Whether these are several objects that weren't separated (an instance id below 1000, as "cargroup"):
     * detections on them are ignored.
     */
    readonly isGroup?: boolean;
  }[];
  /** Pixels of labels that are not evaluated; detections on them are ignored. */
  readonly ignored?: Rle;
  readonly detections: readonly { readonly categoryId: number; readonly score: number; readonly mask: Rle }[];
}

/** Options of the evaluation. */
export interface EvaluateCityscapesOptions {
  /** The classes that have instances. */
  readonly categories: readonly { readonly id: number; readonly name: string }[];
  /** Smallest number of pixels of an instance that counts. Default 100. */
  readonly minRegionSize?: number;
}

/** Cityscapes' metrics; -1 without instances. */
export interface CityscapesEvaluation {
  /** Mean AP over overlaps 0.5 to 0.95 and the classes that have instances. */
  readonly AP: number;
  /** AP at overlap 0.5 ("AP50%"). */
  readonly AP50: number;
  readonly perCategory: readonly {
    readonly id: number;
    readonly name: string;
    readonly AP: number;
    readonly AP50: number;
  }[];
}

// The values of numpy.arange(0.5, 1, 0.05).
const OVERLAPS = Array.from({ length: 10 }, (_, i) => 0.5 + i * (0.5 + 0.05 - 0.5));

interface Tally {
  /** Scores of the detections that count; `right` tells which are right. */
  readonly scores: number[];
  readonly right: boolean[];
  /** Number of instances without a match. */
  missed: number;
}

/**
 * Computes Cityscapes' instance-level average precision with the arithmetic of cityscapesScripts'
 * `evalInstanceLevelSemanticLabeling`: matching by overlap alone (above 0.5, so that no detection matches two
 * instances); detections are ignored whose share on ignored pixels, groups or small instances exceeds the
 * overlap; and AP is the area under the curve of all distinct scores. Distances are not used.
 *
 * @throws DatasetError naming the image's index and the detection; ConfigError when an option is invalid.
 */
export function evaluateCityscapes(
  images: Iterable<CityscapesImage>,
  options: EvaluateCityscapesOptions,
): CityscapesEvaluation {
  const { categories, minRegionSize = 100 } = options;
  if (!(minRegionSize >= 0))
    throw new ConfigError(`evaluateCityscapes: minRegionSize must be a number >= 0, got ${minRegionSize}.`);
  const classes = new Map(
    categories.map(({ id }) => [
      id,
      {
        hasInstances: false,
        hasDetections: false,
        tallies: OVERLAPS.map((): Tally => ({ scores: [], right: [], missed: 0 })),
      },
    ]),
  );
  if (classes.size !== categories.length)
    throw new ConfigError("evaluateCityscapes: categories must be of unique ids.");

  let place = 0;
  for (const { instances, ignored, detections } of images) {
    const where = `evaluateCityscapes: images[${place++}]`;
    const found = detections.flatMap(({ categoryId, score, mask }, i) => {
      if (!Number.isFinite(score))
        throw new DatasetError(`${where}: detections[${i}]: score must be a finite number, got ${score}.`);
      for (const other of [ignored, ...instances.map((one) => one.mask)]) {
        if (
          other !== undefined &&
          (other.size.height !== mask.size.height || other.size.width !== mask.size.width)
        ) {
          throw new DatasetError(
            `${where}: detections[${i}]: mask must be of the image's size ${other.size.height} x ${other.size.width} (height x width), got ${mask.size.height} x ${mask.size.width}.`,
          );
        }
      }
      const pixels = rleArea(mask);
      return pixels === 0 || !classes.has(categoryId) ?
          []
        : [
            {
              categoryId,
              score,
              mask,
              pixels,
              onIgnored: ignored === undefined ? 0 : runsIntersection(mask.counts, ignored.counts),
            },
          ];
    });
    for (const [id, { tallies, ...one }] of classes) {
      const mine = found.filter(({ categoryId }) => categoryId === id);
      const all = instances
        .filter(({ categoryId }) => categoryId === id)
        .map(({ mask, isGroup = false }) => {
          const pixels = rleArea(mask);
          return {
            pixels,
            isGroup,
            counts: !isGroup && pixels >= minRegionSize,
            shared: mine.map((detection) => runsIntersection(detection.mask.counts, mask.counts)),
          };
        });
      classes.set(id, {
        tallies,
        hasInstances: one.hasInstances || all.some(({ counts }) => counts),
        hasDetections: one.hasDetections || mine.length > 0,
      });
      tallies.forEach((tally, o) => {
        const matches = (instance: (typeof all)[number], d: number): boolean =>
          instance.shared[d]! / (instance.pixels + mine[d]!.pixels - instance.shared[d]!) > OVERLAPS[o]!;
        for (const instance of all) {
          if (!instance.counts) continue;
          const scores = mine
            .flatMap(({ score }, d) => (matches(instance, d) ? [score] : []))
            .toSorted((a, b) => b - a);
          // The best detection is right, others of the same instance are wrong.
          scores.forEach((score, i) => {
            tally.scores.push(score);
            tally.right.push(i === 0);
          });
          if (scores.length === 0) tally.missed++;
        }
        mine.forEach((detection, d) => {
          if (all.some((instance) => matches(instance, d))) return;
          // A small group is counted twice, as in cityscapesScripts.
          const out = all.reduce(
            (sum, { isGroup, pixels, shared }) =>
              sum + shared[d]! * (Number(isGroup) + Number(pixels < minRegionSize)),
            detection.onIgnored,
          );
          if (out / detection.pixels > OVERLAPS[o]!) return;
          tally.scores.push(detection.score);
          tally.right.push(false);
        });
      });
    }
  }

  const perCategory = categories.map(({ id, name }) => {
    const { tallies, hasInstances, hasDetections } = classes.get(id)!;
    const aps = tallies.map((tally) =>
      !hasInstances ? -1
      : hasDetections ? areaUnder(tally)
      : 0,
    );
    return { id, name, AP: mean(aps), AP50: aps[0]! };
  });
  const counted = perCategory.filter(({ AP }) => AP >= 0);
  return { AP: mean(counted.map(({ AP }) => AP)), AP50: mean(counted.map(({ AP50 }) => AP50)), perCategory };
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? -1 : values.reduce((sum, value) => sum + value, 0) / values.length;

// Precision and recall are those of all scores from each distinct one up, lowest first, then (1, 0); each
// point's precision is weighted by half the recall between its neighbours.
function areaUnder({ scores, right, missed }: Tally): number {
  const order = Array.from(scores.keys()).sort((a, b) => scores[a]! - scores[b]!);
  const all = right.filter(Boolean).length;
  const precision: number[] = [];
  const recall: number[] = [];
  let below = 0;
  order.forEach((at, i) => {
    if (i === 0 || scores[at]! !== scores[order[i - 1]!]!) {
      precision.push((all - below) / (order.length - i));
      recall.push((all - below) / (all + missed));
    }
    if (right[at]) below++;
  });
  precision.push(1);
  recall.push(0);
  return precision.reduce(
    (sum, p, i) => sum + p * 0.5 * ((recall[i - 1] ?? recall[0]!) - (recall[i + 1] ?? 0)),
    0,
  );
}
