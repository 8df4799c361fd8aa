/** Conversion of samples to COCO annotations. */
import type { CocoId, GroundTruth, ImageSize } from "@mrcnn/core";
import { encodeRle, rleArea, rleToString, type CocoAnnotation, type CocoJson } from "@mrcnn/masks";

/** A sample of whose image only the size is needed; a `Sample` is one. */
export interface AnnotatedImage {
  readonly id: CocoId;
  readonly name: string;
  readonly image: ImageSize;
  readonly groundTruth: GroundTruth;
}

/**
 * Returns the COCO annotations of samples: category ids are the labels, masks compressed run lengths,
 * annotation ids count from 1. `classNames[0]` is the background, as in a data set.
 */
export function cocoFromSamples(samples: Iterable<AnnotatedImage>, classNames: readonly string[]): CocoJson {
  const images = [];
  const annotations: CocoAnnotation[] = [];
  for (const { id, name, image, groundTruth } of samples) {
    const { height, width } = image;
    images.push({ id, width, height, file_name: name });
    const { boxes, labels, masks, isCrowd } = groundTruth;
    for (let i = 0; i < labels.length; i++) {
      const [x1, y1, x2, y2] = boxes.subarray(i * 4, i * 4 + 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      const mask = masks[i];
      const rle = mask === undefined ? undefined : encodeRle(mask);
      annotations.push({
        id: annotations.length + 1,
        image_id: id,
        category_id: labels[i]!,
        bbox: [x1, y1, x2 - x1, y2 - y1],
        area: rle === undefined ? (x2 - x1) * (y2 - y1) : rleArea(rle),
        iscrowd: isCrowd[i]!,
        ...(rle === undefined ? {} : { segmentation: { size: [height, width], counts: rleToString(rle) } }),
      });
    }
  }
  const categories = classNames.slice(1).map((name, i) => ({ id: i + 1, name }));
  return { images, annotations, categories };
}
