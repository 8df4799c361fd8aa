/** The review of one segmentation, without drawing it. */
import { isMrcnnError, quote } from "@mrcnn/core";
import type { Said } from "./findings.ts";
import { MAX_SIDE } from "./limits.ts";
import { readCounts } from "./rle-string.ts";
import { measureCounts, rleFromCounts } from "./rle.ts";

/** The bounds of a mask: (x, y, width, height). */
export type Bounds = readonly [x: number, y: number, width: number, height: number];

export interface SegmentationReview {
  /**
   * State of the mask. "none": there is none (missing, null, [] or [[]]); "empty": no part of it has an area.
   */
  readonly mask: "none" | "empty" | "wrong" | "sound";
  readonly bounds: Bounds | undefined;
  /** The parts that count, where others were left out. */
  readonly parts: readonly (readonly number[])[] | undefined;
}

type Add = (kind: string, said: Said) => void;

const WRONG: SegmentationReview = { mask: "wrong", bounds: undefined, parts: undefined };
const CORRECT = "Correct it, or remove the annotation.";

/** Reviews a segmentation on an image of this size. */
export function reviewSegmentation(
  segmentation: unknown,
  size: { readonly height: unknown; readonly width: unknown },
  add: Add,
): SegmentationReview {
  const isNothing =
    segmentation === undefined ||
    segmentation === null ||
    (Array.isArray(segmentation) && segmentation.every((part) => Array.isArray(part) && part.length === 0));
  if (isNothing) return { mask: "none", bounds: undefined, parts: undefined };
  if (Array.isArray(segmentation)) return reviewPolygons(segmentation, add);
  if (typeof segmentation === "object" && "counts" in segmentation)
    return reviewRuns(segmentation as Runs, size, add);
  add("segmentation of no known form", {
    example: `segmentation must be a list of polygons or { size, counts }, got ${quote(segmentation)}`,
    advice: CORRECT,
  });
  return WRONG;
}

function reviewPolygons(all: readonly unknown[], add: Add): SegmentationReview {
  const odd = all.find((part) => !Array.isArray(part));
  if (odd !== undefined || all.includes(undefined)) {
    const isFlat = all.every((one) => typeof one === "number");
    add("segmentation of no known form", {
      example: `segmentation must be a list of polygons or { size, counts }, got ${quote(all)}`,
      advice:
        isFlat ? "It is one polygon's numbers: put them into a list of their own, [[x1, y1, …]]." : CORRECT,
    });
    return WRONG;
  }
  const parts = all as readonly (readonly unknown[])[];
  let isWrong = false;
  parts.forEach((part, i) => {
    const at = part.findIndex((value) => !(typeof value === "number" && Math.abs(value) < MAX_SIDE));
    if (at >= 0) {
      add("polygon coordinate that is no pixel", {
        example: `polygon ${i} must have finite pixel coordinates, got ${quote(part[at])} at place ${at}`,
        advice: CORRECT,
      });
      isWrong = true;
    } else if (part.length % 2 !== 0) {
      add("polygon of an odd number of coordinates", {
        example: `polygon ${i} must have x and y of each point, got ${part.length} numbers`,
        advice: CORRECT,
      });
      isWrong = true;
    }
  });
  if (isWrong) return WRONG;
  const numbers = parts as readonly (readonly number[])[];
  if (numbers.length >= 3 && numbers.every(({ length }) => length === 2)) {
    add("polygon of pairs", {
      example: `segmentation must be a list of polygons, each flat, got ${numbers.length} points in lists of their own: ${quote(numbers)}`,
      advice: "Write a polygon's points one after the other, [[x1, y1, x2, y2, …]].",
    });
    return WRONG;
  }
  const short = numbers.findIndex(({ length }) => length < 6);
  if (short < 0) return { mask: "sound", bounds: spanOf(numbers), parts: undefined };
  const left = numbers.filter(({ length }) => length >= 6);
  if (left.length === 0) return { mask: "empty", bounds: undefined, parts: undefined };
  add("part with fewer than three points", {
    severity: "note",
    example: `polygon ${short} has ${numbers[short]!.length} numbers: ${quote(numbers[short])}`,
    advice: "It has no area and is left out; the other parts are the mask.",
  });
  return { mask: "sound", bounds: spanOf(left), parts: left };
}

function spanOf(parts: readonly (readonly number[])[]): Bounds {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) {
      left = Math.min(left, part[i]!);
      right = Math.max(right, part[i]!);
      top = Math.min(top, part[i + 1]!);
      bottom = Math.max(bottom, part[i + 1]!);
    }
  }
  return [left, top, right - left, bottom - top];
}

interface Runs {
  readonly size?: unknown;
  readonly counts: unknown;
}

const isPixels = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

function reviewRuns(
  { size, counts }: Runs,
  image: { readonly height: unknown; readonly width: unknown },
  add: Add,
): SegmentationReview {
  const say = (kind: string, example: string): SegmentationReview => {
    add(kind, { example, advice: "Check that the mask was made for this image, or remove the annotation." });
    return WRONG;
  };
  if (!(Array.isArray(size) && size.length === 2 && size.every(isPixels))) {
    return say(
      "run lengths of no size",
      `segmentation's size must be [height, width] in whole pixels, got ${quote(size)}`,
    );
  }
  const [height, width] = size as [number, number];
  if (isPixels(image.height) && isPixels(image.width) && (height !== image.height || width !== image.width)) {
    return say(
      "run lengths of another size than their image",
      `segmentation must be of the image's size ${image.height} x ${image.width} (height x width), got ${height} x ${width}`,
    );
  }
  try {
    let runs: Uint32Array;
    if (typeof counts === "string") {
      const text = new TextEncoder().encode(counts);
      runs = new Uint32Array(text.length);
      runs = runs.subarray(0, readCounts(text, runs, "segmentation"));
    } else if (Array.isArray(counts)) {
      const at = counts.findIndex(
        (count) => !(Number.isSafeInteger(count) && count >= 0 && count <= 0xffffffff),
      );
      if (at >= 0)
        return say(
          "run lengths that can't be read",
          `segmentation's counts must be whole numbers >= 0, got ${quote(counts[at])} at place ${at}`,
        );
      runs = Uint32Array.from(counts as number[]);
    } else
      return say(
        "run lengths that can't be read",
        `segmentation's counts must be a list of numbers or COCO's compressed text, got ${quote(counts)}`,
      );
    rleFromCounts(runs, { height, width }, "segmentation");
    const { box, pixels } = measureCounts(runs, height);
    if (pixels === 0)
      add("mask without pixels", {
        severity: "note",
        example: "segmentation has no pixel set",
        advice: "Its object has a box alone.",
      });
    return { mask: "sound", bounds: pixels === 0 ? undefined : box, parts: undefined };
  } catch (error) {
    if (!isMrcnnError(error)) throw error;
    return say("run lengths that can't be read", error.message.replace(/\.( Check .*)?$/, ""));
  }
}
