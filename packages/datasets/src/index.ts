/** The public names of @mrcnn/datasets that run in browsers too. */
export { epochOrder, trainingBatch } from "./batches.ts";
export type { BatchPlan } from "./batches.ts";
export { cocoDataset } from "./coco.ts";
export type { CocoDataset, CocoDatasetOptions } from "./coco.ts";
export { nucleiDataset } from "./nuclei.ts";
export type { NucleiOptions, Stain } from "./nuclei.ts";
export { isForeignPictureName, isPictureName, PICTURE_ENDINGS } from "./picture-names.ts";
export { shapesDataset } from "./shapes.ts";
export type { Shape, ShapesOptions } from "./shapes.ts";
export { cocoFromSamples } from "./to-coco.ts";
export type { AnnotatedImage } from "./to-coco.ts";
