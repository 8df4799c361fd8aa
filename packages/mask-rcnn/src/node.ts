/** The public names of @mrcnn/mask-rcnn in Node. */

export { cachedPath, cacheFolder } from "./cache-folder.ts";
export type { CacheFolderOptions } from "./cache-folder.ts";
export { catalog, catalogEntry, findInCatalog, nearestInCatalog } from "./catalog.ts";
export type { CatalogEntry, CatalogMetrics, CatalogNetwork, Checksum } from "./catalog.ts";
export type { Category } from "./coco.ts";
export type { Detector, DetectorOptions } from "./detector.ts";
export { downloadFile, fileInCatalog, forget, isCached } from "./download.ts";
export type { CachedFile, Downloadable, DownloadOptions } from "./download.ts";
export { maskToBitmap, maskToRgba, toFound } from "./found.ts";
export type { Found, FoundKeypoint, FoundMask, FoundObject } from "./found.ts";
export { loadMaskRcnn, readWeightsFile } from "./load-node.ts";
export type { LoadOptions, MaskRcnnDetector, NodeImage } from "./load-node.ts";
export { modelOfWeights } from "./model-of-weights.ts";
export type { ModelOfWeightsOptions, OptionNames } from "./model-of-weights.ts";
export { amended, createPretrained, haveNames } from "./pretrained.ts";
export type { Pretrained, PretrainedOptions } from "./pretrained.ts";
export type { DownloadProgress, Fetch, FetchOptions, KeepOptions } from "./transfer.ts";
