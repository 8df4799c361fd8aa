export { cocoDatasetFromFiles, readCocoAnnotations, writeCocoAnnotations } from "./coco-files.ts";
export type { CocoFiles } from "./coco-files.ts";
export { readImageFile, writeImageFile } from "./image-file.ts";
export { loadBatches } from "./loader.ts";
export type { LoaderOptions } from "./loader.ts";
export { maskFoldersDataset } from "./mask-folders.ts";
export type { MaskFolders } from "./mask-folders.ts";
export { openDataset } from "./open.ts";
export type { DatasetDescription } from "./open.ts";
