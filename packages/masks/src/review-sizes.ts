/** The review of sizes, which bounds the memory and work of images, masks and outlines in advance. */
import { quote } from "@mrcnn/core";
import type { FindingList } from "./findings.ts";
import { MASK_BYTES_PER_PIXEL, MAX_PIXELS, MAX_SIDE } from "./limits.ts";
import { tangleOf } from "./polygon.ts";
import type { CocoReviewOptions, Look } from "./review-options.ts";

type Loose = Readonly<Record<string, unknown>>;
type Needs = Pick<CocoReviewOptions, "images" | "masks" | "maxPixels"> & { readonly found: FindingList };

/** Reviews the sizes of images. */
export function reviewImageSizes(
  images: readonly Loose[],
  { images: files, maxPixels = MAX_PIXELS, found }: Needs,
): void {
  if (files !== "needed") return;
  for (const { id, file_name, width, height } of images) {
    const [w, h] = [Number(width), Number(height)];
    if (!(w * h > maxPixels || w > MAX_SIDE || h > MAX_SIDE)) continue;
    const limit = w * h > maxPixels ? `${maxPixels} in all` : `${MAX_SIDE} on a side`;
    found.add("image of more pixels than are read", {
      example: `image ${quote(id)} (${quote(file_name)}): has ${w}x${h} pixels, more than the limit of ${limit}`,
      advice: "Write the size of its file, or cut the image into pieces.",
      remedy: "more pixels",
    });
  }
}

/** Reviews outlines, and the memory of each image's masks in all. */
export function reviewMaskSizes(
  looks: readonly Look[],
  { images: files, masks, maxPixels = MAX_PIXELS, found }: Needs,
): void {
  if (masks === "unneeded") return;
  const bytes = new Map<Loose, number>();
  for (const { annotation, name, image, mask, bounds } of looks) {
    const size = { width: Number(image?.width), height: Number(image?.height) };
    if (image === undefined || mask !== "sound" || !(size.width * size.height <= maxPixels)) continue;
    const { segmentation } = annotation;
    if (Array.isArray(segmentation)) {
      segmentation.forEach((part: readonly number[], i) => {
        const tangle = part.length < 6 ? undefined : tangleOf(part, size);
        if (tangle !== undefined)
          found.add("polygon that is no outline", {
            example: `${name}: polygon ${i} ${tangle.replace(/\.$/, "")}`,
            advice: "Correct it, or remove the annotation.",
          });
      });
    }
    if (bounds !== undefined) bytes.set(image, (bytes.get(image) ?? 0) + within(bounds, size));
  }
  if (files !== "needed") return;
  for (const [{ id, file_name }, sum] of bytes) {
    if (sum <= MASK_BYTES_PER_PIXEL * maxPixels) continue;
    found.add("masks that take too much memory", {
      example: `image ${quote(id)} (${quote(file_name)}): the boxes of its masks have ${Math.round(sum)} pixels in all, more than ${MASK_BYTES_PER_PIXEL * maxPixels}`,
      advice: "Cut the image into pieces, or remove masks that span it.",
      remedy: "more pixels",
    });
  }
}

// Returns the number of a box's pixels that lie in an image.
function within(
  [x, y, w, h]: readonly [number, number, number, number],
  { width, height }: { readonly width: number; readonly height: number },
): number {
  return (
    Math.max(0, Math.min(x + w, width) - Math.max(x, 0)) *
    Math.max(0, Math.min(y + h, height) - Math.max(y, 0))
  );
}
