/** The public names of @mrcnn/datasets/node, which need Node.js. */
export {
  cocoDatasetFromFiles,
  readCocoAnnotations,
  readCocoValue,
  writeCocoAnnotations,
} from "./coco-files.ts";
export type { CocoFiles } from "./coco-files.ts";
export { decodeImage, readImageFile, readImageHeader, writeImageFile } from "./image-file.ts";
export type { DecodeImageOptions, ImageHeader } from "./image-file.ts";
export { reviewPictures } from "./image-review.ts";
export type { AnnotatedFile, PictureReviewOptions } from "./image-review.ts";
export { readJsonFile } from "./json-file.ts";
export type { ReadJsonFileOptions } from "./json-file.ts";
export { loadBatches } from "./loader.ts";
export type { LoaderOptions } from "./loader.ts";
export { maskFoldersDataset } from "./mask-folders.ts";
export type { MaskFolders } from "./mask-folders.ts";
export { createFindNearby } from "./nearby-file.ts";
export type { FindNearby, NearbyFile } from "./nearby-file.ts";
export {
  openOutputStream,
  outputTarget,
  replaceFile,
  tryOutput,
  withPath,
  writeFilesWhole,
  writeOutput,
} from "./output-file.ts";
export type { OutputContent, OutputStream, OutputTarget, WriteBytes } from "./output-file.ts";
export { openDataset, readThrough } from "./open.ts";
export type { DatasetDescription } from "./open.ts";
export { whyNoFile } from "./regular-file.ts";
