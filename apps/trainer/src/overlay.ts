/** Pictures with what was found drawn over them. */
import type { Detections, GroundTruth, ImageSize, RawImage } from "@mrcnn/core";
import { catalogEntry } from "@mrcnn/mask-rcnn";
import type { Numerics } from "@mrcnn/model";
import { drawGroundTruth, drawOverlay, tileImages } from "@mrcnn/visualize";
import type { KeypointStyle, ReportImage } from "@mrcnn/visualize";
import type { Category } from "./data-source.ts";
import { encodePng } from "./png.ts";

const namesOf = (categories: readonly Category[]): string[] => [
  "background",
  ...categories.map(({ name }) => name),
];

// Small pictures are enlarged, so that lines and words on them stay fine.
const scaleOf = ({ width, height }: ImageSize): number =>
  Math.max(1, Math.floor(512 / Math.max(width, height)));

// Persons get COCO's limbs. torchvision's scores are logits, shown from a sigmoid of one half; detectron2's
// are probabilities within a heatmap, shown from where its own pictures show them.
function keypointStyle({ keypoints }: Detections, numerics: Numerics): KeypointStyle {
  const person = catalogEntry("keypointrcnn_resnet50_fpn").keypoints!;
  return {
    threshold: numerics === "detectron2" ? 0.05 : 0,
    ...(keypoints?.count === person.names.length && person),
  };
}

/**
 * All of `detections` drawn over their image, as a PNG; `numerics` are those of the model that found them.
 */
export function overlayPng(
  image: RawImage,
  detections: Detections,
  categories: readonly Category[],
  numerics: Numerics = "torchvision",
): Promise<Uint8Array> {
  const keypoints = keypointStyle(detections, numerics);
  return encodePng(
    drawOverlay(image, detections, {
      classNames: namesOf(categories),
      scoreThreshold: 0,
      scale: scaleOf(image),
      keypoints,
    }),
  );
}

/** Objects drawn over their image. */
export function drawObjects(
  image: RawImage,
  groundTruth: GroundTruth,
  categories: readonly Category[],
): RawImage {
  return drawGroundTruth(image, groundTruth, { classNames: namesOf(categories), scale: scaleOf(image) });
}

/** Detections from `scoreThreshold` up beside the ground truth. */
export function drawPair(
  image: RawImage,
  detections: Detections,
  groundTruth: GroundTruth,
  categories: readonly Category[],
  scoreThreshold: number,
): RawImage {
  const found = drawOverlay(image, detections, {
    classNames: namesOf(categories),
    scoreThreshold,
    scale: scaleOf(image),
  });
  return tileImages([found, drawObjects(image, groundTruth, categories)], { columns: 2 });
}

/** A picture for a page. */
export async function reportImage(image: RawImage, caption: string): Promise<ReportImage> {
  return {
    caption,
    pngDataUrl: `data:image/png;base64,${Buffer.from(await encodePng(image)).toString("base64")}`,
  };
}
