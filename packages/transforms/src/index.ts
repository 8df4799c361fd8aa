/** The public names of @mrcnn/transforms. */
export { batchImages } from "./batch.ts";
export type { BatchOptions } from "./batch.ts";
export { cropImage, randomWindow } from "./crop.ts";
export { cropGroundTruth, mapBoxes, mapMasks, orientGroundTruth, resizeGroundTruth } from "./ground-truth.ts";
export { adjustColor } from "./jitter.ts";
export type { ColorChange } from "./jitter.ts";
export { imagenetNormalization, normalizeImage } from "./normalize.ts";
export type { Normalization } from "./normalize.ts";
export { orientBitmap, orientBoxes, orientImage, orientSize } from "./orient.ts";
export type { Orientation } from "./orient.ts";
export { resizeLikePillow } from "./pillow.ts";
export { preparedSize, prepareImage } from "./prepare-image.ts";
export type { ImageOptions, PreparedImage } from "./prepare-image.ts";
export { prepareTrainingSample } from "./prepare-training-sample.ts";
export type { Augmentation, PreparedSample, TrainingOptions } from "./prepare-training-sample.ts";
export { resizeImage, roundedShortestEdgeSize, shortestEdgeSize } from "./resize.ts";
export type { ShortestEdge } from "./resize.ts";
export { resizeLikeScikitImage } from "./scikit-image.ts";
