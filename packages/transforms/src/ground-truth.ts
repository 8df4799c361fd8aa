/** Ground truth under resizing, orientation and cropping of its image. */
import type { Bitmap, GroundTruth, ImageSize } from "@mrcnn/core";
import { bitmapBox, cropBitmap, resizeBitmap, type PixelWindow } from "@mrcnn/masks";
import { orientBitmap, orientBoxes, type Orientation } from "./orient.ts";

/**
 * Scales boxes [N * 4] of an image of size `from` to the same image at size `to`, in float32 as torchvision's
 * resize_boxes. With the sizes swapped it is the inverse.
 */
export function mapBoxes(boxes: Float32Array, from: ImageSize, to: ImageSize): Float32Array {
  const x = Math.fround(to.width / from.width);
  const y = Math.fround(to.height / from.height);
  return boxes.map((v, i) => v * (i % 2 === 0 ? x : y));
}

/** Resizes masks to the same image at size `to`, by nearest neighbours as torchvision. */
export function mapMasks(masks: readonly Bitmap[], to: ImageSize): Bitmap[] {
  return masks.map((mask) => resizeBitmap(mask, to));
}

/**
 * Resizes the ground truth of an image of size `from` to the same image at size `to`. Every object is kept,
 * even where nothing of its mask is left.
 */
export function resizeGroundTruth(groundTruth: GroundTruth, from: ImageSize, to: ImageSize): GroundTruth {
  if (from.height === to.height && from.width === to.width) return groundTruth;
  const { boxes, masks } = groundTruth;
  return { ...groundTruth, boxes: mapBoxes(boxes, from, to), masks: mapMasks(masks, to) };
}

/** Orients ground truth with its image; `size` is the image's size before. */
export function orientGroundTruth(
  groundTruth: GroundTruth,
  size: ImageSize,
  orientation: Orientation,
): GroundTruth {
  return {
    ...groundTruth,
    boxes: orientBoxes(groundTruth.boxes, size, orientation),
    masks: groundTruth.masks.map((mask) => orientBitmap(mask, orientation)),
  };
}

const countSet = (mask: Bitmap): number => {
  let count = 0;
  for (const bit of mask.data) count += bit;
  return count;
};

/**
 * Crops ground truth to a window of its image. An object cut by the window gets the box of what remains of
 * its mask (without masks: its clipped box); objects with fewer than `minArea` visible pixels are dropped.
 */
export function cropGroundTruth(
  groundTruth: GroundTruth,
  window: PixelWindow,
  { minArea = 1 }: { minArea?: number } = {},
): GroundTruth {
  const { left, top, width, height } = window;
  const hasMasks = groundTruth.masks.length > 0;
  const boxes = new Float32Array(groundTruth.boxes.length);
  const masks: Bitmap[] = [];
  const kept: number[] = [];
  for (let i = 0; i < groundTruth.labels.length; i++) {
    const [x1, y1, x2, y2] = groundTruth.boxes.subarray(i * 4, i * 4 + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const mask = groundTruth.masks[i];
    const moved = [x1 - left, y1 - top, x2 - left, y2 - top] as const;
    const inside = moved[0] >= 0 && moved[1] >= 0 && moved[2] <= width && moved[3] <= height;
    let box: ArrayLike<number> = [
      Math.max(moved[0], 0),
      Math.max(moved[1], 0),
      Math.min(moved[2], width),
      Math.min(moved[3], height),
    ];
    const area = Math.max(0, box[2]! - box[0]!) * Math.max(0, box[3]! - box[1]!);
    if (area === 0) continue;
    if (mask === undefined) {
      if (area < minArea) continue;
    } else {
      const cut = cropBitmap(mask, window);
      const visible = countSet(cut);
      if (visible === 0 || visible < minArea) continue;
      if (!inside) box = bitmapBox(cut);
      masks.push(cut);
    }
    boxes.set(box, kept.length * 4);
    kept.push(i);
  }
  return {
    boxes: boxes.slice(0, kept.length * 4),
    labels: Int32Array.from(kept, (i) => groundTruth.labels[i]!),
    isCrowd: Uint8Array.from(kept, (i) => groundTruth.isCrowd[i]!),
    masks: hasMasks ? masks : [],
  };
}
