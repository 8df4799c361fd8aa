import { clipBoxesOnHost, gatherBoxesOnHost } from "@mrcnn/boxes";
import { roundHalfToEven } from "@mrcnn/core";
import type { BoxDetections, ImageSize } from "@mrcnn/core";
import type { PixelWindow } from "@mrcnn/masks";
import { mapBoxes } from "@mrcnn/transforms";
import type { NumericsProfile } from "./numerics.ts";

/** Detections with boxes in the photo's pixels; `kept` are their places among those given. */
export interface PhotoDetections extends BoxDetections {
  readonly kept: Int32Array;
}

const area = (boxes: Float32Array, i: number): number =>
  Math.max(boxes[4 * i + 2]! - boxes[4 * i]!, 0) * Math.max(boxes[4 * i + 3]! - boxes[4 * i + 1]!, 0);

function only(
  boxes: Float32Array,
  { labels, scores }: BoxDetections,
  isKept: (i: number) => boolean,
): PhotoDetections {
  const kept = Int32Array.from([...labels.keys()].filter(isKept));
  return {
    kept,
    boxes: gatherBoxesOnHost(boxes, kept),
    labels: kept.map((i) => labels[i]!),
    scores: Float32Array.from(kept, (i) => scores[i]!),
  };
}

/**
 * Takes detections from the network's input back to the photo, which filled `window` of it, as each
 * library does: torchvision only scales; detectron2 scales, clips and drops the empty; matterport
 * rounds to whole pixels and drops the empty (its boxes come as fractions of the input).
 */
export function toPhoto(
  how: NumericsProfile["boxes"],
  found: BoxDetections,
  window: PixelWindow,
  { input, photo }: { readonly input: ImageSize; readonly photo: ImageSize },
): PhotoDetections {
  if (how === "rounded") {
    const f = Math.fround;
    const fractions = toFractions(window, input);
    const spans = [photo.width - 1, photo.height - 1];
    // Float32 until the photo's pixels, as there.
    const boxes = found.boxes.map((q, i) => {
      const [from, to] = [fractions[i % 2]!, fractions[(i % 2) + 2]!];
      return roundHalfToEven(f(f(q - from) / f(to - from)) * spans[i % 2]! + (i % 4 < 2 ? 0 : 1));
    });
    return only(boxes, found, (i) => area(boxes, i) > 0);
  }
  const scaled = mapBoxes(found.boxes, window, photo);
  if (how === "scaled") return only(scaled, found, () => true);
  const boxes = clipBoxesOnHost(scaled, photo);
  return only(
    boxes,
    found,
    (i) => boxes[4 * i + 2]! > boxes[4 * i]! && boxes[4 * i + 3]! > boxes[4 * i + 1]!,
  );
}

/** A window (x1, y1, x2, y2) as matterport's `norm_boxes` has it: its first and last pixels over side - 1. */
export function toFractions({ left, top, width, height }: PixelWindow, size: ImageSize): Float32Array {
  const [x, y] = [size.width - 1, size.height - 1];
  return Float32Array.of(left / x, top / y, (left + width - 1) / x, (top + height - 1) / y);
}
