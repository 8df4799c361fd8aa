/** Exports detections as COCO annotations and images. */
import type { ImageSize } from "@mrcnn/core";
import { decodeRle, rleArea, rleToString } from "@mrcnn/masks";
import type { CocoAnnotation, CocoJson } from "@mrcnn/masks";
import type { Category } from "@mrcnn/mask-rcnn/catalog";
import { drawFound } from "./draw.ts";
import type { View } from "./draw.ts";
import type { Found, ModelInfo } from "./protocol.ts";

/** An image, and which of its objects are shown. */
export interface Exported {
  readonly name: string;
  readonly found: Found;
  readonly shown: readonly number[];
}

/** COCO annotations with their scores, as in a results file. */
export type ScoredCoco = Omit<CocoJson, "annotations"> & {
  readonly annotations: readonly (CocoAnnotation & { readonly score: number })[];
};

/** Converts detections to a COCO file: masks as compressed run lengths, ids from 1. */
export function cocoOf(pictures: readonly Exported[], categories: readonly Category[]): ScoredCoco {
  const annotations: (CocoAnnotation & { score: number })[] = [];
  const images = pictures.map(({ name, found: { size, detections }, shown }, image) => {
    const { boxes, labels, scores, masks, keypoints } = detections;
    for (const i of shown) {
      const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      const mask = masks?.[i];
      const own =
        keypoints === undefined ? undefined : (
          Array.from(keypoints.points.subarray(3 * keypoints.count * i, 3 * keypoints.count * (i + 1)))
        );
      annotations.push({
        id: annotations.length + 1,
        image_id: image + 1,
        category_id: categories[labels[i]! - 1]!.id,
        bbox: [x1, y1, x2 - x1, y2 - y1],
        area: mask === undefined ? (x2 - x1) * (y2 - y1) : rleArea(mask),
        iscrowd: 0,
        score: scores[i]!,
        ...(mask !== undefined && {
          segmentation: { size: [size.height, size.width], counts: rleToString(mask) },
        }),
        ...(own !== undefined && { keypoints: own, num_keypoints: keypoints!.count }),
      });
    }
    return { id: image + 1, width: size.width, height: size.height, file_name: name };
  });
  return { images, annotations, categories: categories.map(({ id, name }) => ({ id, name })) };
}

function canvasOf({ width, height }: ImageSize): {
  canvas: OffscreenCanvas;
  context: OffscreenCanvasRenderingContext2D;
} {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (context === null)
    throw new RangeError(`The browser gives no canvas of ${width} x ${height}: out of memory.`);
  return { canvas, context };
}

// Lines and letters on small images stay fine when the image is enlarged first.
const enlargement = ({ width, height }: ImageSize): number =>
  Math.max(1, Math.floor(1024 / Math.max(width, height)));

/** Renders the image with the visible detections as PNG; small images are enlarged by a whole factor. */
export async function pngOf(image: ImageBitmap, found: Found, view: View, model: ModelInfo): Promise<Blob> {
  const scale = enlargement(image);
  const { canvas, context } = canvasOf({ width: image.width * scale, height: image.height * scale });
  context.scale(scale, scale);
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0);
  const density = Math.max(1, Math.max(canvas.width, canvas.height) / 1200);
  drawFound(
    context,
    found,
    { ...view, hovered: undefined },
    { scale, density, names: model.categories.map(({ name }) => name), keypoints: model.keypoints },
  );
  return canvas.convertToBlob({ type: "image/png" });
}

/**
 * Renders the pixels of some objects on a transparent background, cropped to them, as PNG. Objects without a
 * mask are cut out by their box.
 */
export async function cutOut(
  image: ImageBitmap,
  { size, detections }: Found,
  objects: readonly number[],
): Promise<Blob> {
  const { boxes, masks } = detections;
  const alpha = new Uint8Array(size.width * size.height);
  let [left, top, right, bottom] = [size.width, size.height, 0, 0];
  const include = (x1: number, y1: number, x2: number, y2: number): void => {
    [left, top, right, bottom] = [
      Math.min(left, x1),
      Math.min(top, y1),
      Math.max(right, x2),
      Math.max(bottom, y2),
    ];
  };
  for (const i of objects) {
    const mask = masks?.[i];
    if (mask !== undefined) {
      const { left: x, top: y, width, height, data } = decodeRle(mask);
      if (width === 0) continue;
      include(x, y, x + width, y + height);
      for (let v = 0; v < height; v++)
        for (let u = 0; u < width; u++)
          if (data[v * width + u] !== 0) alpha[(y + v) * size.width + x + u] = 255;
    } else {
      const [x1, y1, x2, y2] = [
        Math.max(0, Math.round(boxes[4 * i]!)),
        Math.max(0, Math.round(boxes[4 * i + 1]!)),
        Math.min(size.width, Math.round(boxes[4 * i + 2]!)),
        Math.min(size.height, Math.round(boxes[4 * i + 3]!)),
      ];
      include(x1, y1, x2, y2);
      for (let y = y1; y < y2; y++) alpha.fill(255, y * size.width + x1, y * size.width + x2);
    }
  }
  if (right <= left) throw new RangeError("None of the objects covers a pixel: there is nothing to cut out.");
  const { canvas, context } = canvasOf({ width: right - left, height: bottom - top });
  context.drawImage(image, -left, -top);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let y = 0; y < canvas.height; y++)
    for (let x = 0; x < canvas.width; x++)
      pixels.data[4 * (y * canvas.width + x) + 3] = alpha[(top + y) * size.width + left + x]!;
  context.putImageData(pixels, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/** Saves a file through the browser. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Returns a file's name without its extension. */
export const stemOf = (name: string): string => name.replace(/\.[^.]+$/, "") || name;
