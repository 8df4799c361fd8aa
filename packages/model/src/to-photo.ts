/** Boxes between a photo and the network's input, as each library maps them. */
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

/** Where a photo lies in the network's input, and how large both are. */
export interface Placement {
  readonly window: PixelWindow;
  readonly input: ImageSize;
  readonly photo: ImageSize;
}

/**
 * Takes detections from the network's input back to the photo, as each library does: torchvision only scales;
 * detectron2 scales, clips and drops the empty; matterport rounds to whole pixels and drops the empty.
 */
export function toPhoto(
  how: NumericsProfile["boxes"],
  found: BoxDetections,
  placement: Placement,
): PhotoDetections {
  const boxes = boxesToPhoto(how, found.boxes, placement);
  if (how === "scaled") return only(boxes, found, () => true);
  return only(
    boxes,
    found,
    (i) => boxes[4 * i + 2]! > boxes[4 * i]! && boxes[4 * i + 3]! > boxes[4 * i + 1]!,
  );
}

/**
 * Takes boxes [N * 4] from the network's input (matterport's: fractions of it) back to the photo; none is
 * dropped.
 */
export function boxesToPhoto(
  how: NumericsProfile["boxes"],
  boxes: Float32Array,
  { window, input, photo }: Placement,
): Float32Array {
  if (how !== "rounded") {
    const scaled = mapBoxes(boxes, window, photo);
    return how === "scaled" ? scaled : clipBoxesOnHost(scaled, photo);
  }
  const f = Math.fround;
  const fractions = toFractions(window, input);
  const spans = [photo.width - 1, photo.height - 1];
  // Float32 until the photo's pixels, as there.
  return boxes.map((q, i) => {
    const [from, to] = [fractions[i % 2]!, fractions[(i % 2) + 2]!];
    return roundHalfToEven(f(f(q - from) / f(to - from)) * spans[i % 2]! + (i % 4 < 2 ? 0 : 1));
  });
}

/**
 * Takes boxes [N * 4] from the photo to the network's input (matterport's: fractions of it): `boxesToPhoto`
 * the other way.
 */
export function boxesToInput(
  how: NumericsProfile["boxes"],
  boxes: Float32Array,
  { window, input, photo }: Placement,
): Float32Array {
  if (how !== "rounded") return mapBoxes(boxes, photo, window);
  const fractions = toFractions(window, input);
  const spans = [photo.width - 1, photo.height - 1];
  return boxes.map((x, i) => {
    const [from, to] = [fractions[i % 2]!, fractions[(i % 2) + 2]!];
    return from + ((x - (i % 4 < 2 ? 0 : 1)) / spans[i % 2]!) * (to - from);
  });
}

/** A window (x1, y1, x2, y2) as matterport's `norm_boxes` has it: its first and last pixels over side - 1. */
export function toFractions({ left, top, width, height }: PixelWindow, size: ImageSize): Float32Array {
  const [x, y] = [size.width - 1, size.height - 1];
  return Float32Array.of(left / x, top / y, (left + width - 1) / x, (top + height - 1) / y);
}
