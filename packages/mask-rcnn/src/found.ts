/** Detections as plain objects, with masks in COCO's compressed run-length encoding. */
import type { CocoId, Detections } from "@mrcnn/core";
import { rleFromString, rleToString, toFullBitmap } from "@mrcnn/masks";
import type { Category } from "./coco.ts";

/** A mask in COCO's format: run lengths at the image's size, compressed to text. */
export interface FoundMask {
  /** Height and width in pixels. */
  readonly size: readonly [number, number];
  readonly counts: string;
}

/** A keypoint of an object. */
export interface FoundKeypoint {
  readonly name: string;
  /** Position in the image's pixels. */
  readonly x: number;
  readonly y: number;
  /** The heatmap's value there: a logit; higher is more certain. */
  readonly score: number;
}

/** A detected object. */
export interface FoundObject {
  /** The model's number of the class, from 1. */
  readonly label: number;
  /**
   * The data set's id of the class: COCO's for the catalog's models, that of the annotations for the user's
   * own models (also text, or a bigint beyond 2^53).
   */
  readonly categoryId: CocoId;
  readonly name: string;
  /** Score from 0 to 1. */
  readonly score: number;
  /** Bounding box in the image's pixels, from its top left corner. */
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  /** Present when the model has masks. */
  readonly mask?: FoundMask;
  /** Present when the model has keypoints. */
  readonly keypoints?: readonly FoundKeypoint[];
}

/** The objects in an image: plain data, ready for JSON. */
export interface Found {
  /** Width of the image in pixels. */
  readonly width: number;
  readonly height: number;
  /** The objects, highest score first. */
  readonly objects: readonly FoundObject[];
}

/**
 * Converts a model's detections to plain objects. `categories` begin with that of label 1; `keypoints` are
 * names.
 */
export function toFound(
  detections: Detections,
  categories: readonly Category[],
  keypoints: readonly string[],
): Found {
  const { boxes, labels, scores, masks, imageSize } = detections;
  const { width, height } = imageSize;
  const objects = Array.from(labels, (label, i): FoundObject => {
    const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
    const { id, name } = categories[label - 1]!;
    const own = detections.keypoints;
    return {
      label,
      categoryId: id,
      name,
      score: scores[i]!,
      box: { x: x1, y: y1, width: x2 - x1, height: y2 - y1 },
      ...(masks !== undefined && {
        mask: { size: [height, width] as const, counts: rleToString(masks[i]!) },
      }),
      ...(own !== undefined && {
        keypoints: Array.from({ length: own.count }, (_, k) => {
          const at = i * own.count + k;
          return {
            name: keypoints[k]!,
            x: own.points[3 * at]!,
            y: own.points[3 * at + 1]!,
            score: own.scores[at]!,
          };
        }),
      }),
    };
  });
  return { width, height, objects };
}

/**
 * Decodes a mask to one byte per pixel, row by row: 1 inside, 0 outside; `size[0] * size[1]` long.
 *
 * @throws DatasetError when the text is truncated or not a mask.
 */
export function maskToBitmap({ size: [height, width], counts }: FoundMask): Uint8Array {
  return toFullBitmap(rleFromString(counts, { height, width }, "maskToBitmap"));
}

/**
 * Converts a mask to pixels of one colour (red, green, blue, opacity; 0 to 255), transparent outside: in a
 * page `new ImageData(maskToRgba(mask, colour), width, height)`.
 *
 * @throws DatasetError when the text is truncated or not a mask.
 */
export function maskToRgba(
  mask: FoundMask,
  colour: readonly [number, number, number, number],
): Uint8ClampedArray<ArrayBuffer> {
  const inside = maskToBitmap(mask);
  const pixels = new Uint8ClampedArray(4 * inside.length);
  inside.forEach((isInside, i) => {
    if (isInside === 1) pixels.set(colour, 4 * i);
  });
  return pixels;
}
