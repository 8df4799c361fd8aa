/** The public names of @mrcnn/mask-rcnn in a page. */

export { catalog, catalogEntry, findInCatalog, nearestInCatalog } from "./catalog.ts";
export type { CatalogEntry, CatalogMetrics, CatalogNetwork, Checksum } from "./catalog.ts";
export type { Category } from "./coco.ts";
export type { Detector, DetectorOptions } from "./detector.ts";
export { maskToBitmap, maskToRgba, toFound } from "./found.ts";
export type { Found, FoundKeypoint, FoundMask, FoundObject } from "./found.ts";
export { loadMaskRcnn } from "./load-page.ts";
export type { LoadOptions, MaskRcnnDetector } from "./load-page.ts";
export { downloadInPage, forgetInPage, isCachedInPage } from "./page-cache.ts";
export type { PageDownloadOptions } from "./page-cache.ts";
export { readPageImage } from "./page-image.ts";
export type { PageImage } from "./page-image.ts";
export { modelOfWeights } from "./model-of-weights.ts";
export type { ModelOfWeightsOptions, OptionNames } from "./model-of-weights.ts";
export { amended, createPretrained, haveNames } from "./pretrained.ts";
export type { Pretrained, PretrainedOptions } from "./pretrained.ts";
export type { DownloadProgress, Fetch, FetchOptions, KeepOptions } from "./transfer.ts";
