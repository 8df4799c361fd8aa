/** The public names of @mrcnn/masks. */
export { bitmapBox, bitmapFromFull, cropBitmap, flipBitmap, resizeBitmap, toFullBitmap } from "./bitmap.ts";
export type { PixelWindow } from "./bitmap.ts";
export { segmentationToRle } from "./coco.ts";
export type {
  CocoAnnotation,
  CocoBox,
  CocoCategory,
  CocoImage,
  CocoJson,
  CocoResult,
  CocoRle,
  CocoSegmentation,
} from "./coco.ts";
export { createFindingList, describeFinding, errorOf } from "./findings.ts";
export type { CocoAdvice, CocoFinding, CocoRemedy, FindingList, Said } from "./findings.ts";
export { cropMasks } from "./crop.ts";
export { foreignAnnotations, foreignResults } from "./foreign-format.ts";
export { boxIou, rleIou, runsIntersection } from "./iou.ts";
export { MASK_BYTES_PER_PIXEL, MAX_PIXELS } from "./limits.ts";
export { pasteMasks } from "./paste.ts";
export type { PasteMethod, PasteOptions } from "./paste.ts";
export { planPaste, rlesFromBits } from "./paste-plan.ts";
export type { PastePlan, PasteTarget } from "./paste-plan.ts";
export { rasterizePolygons, rleFromBox } from "./polygon.ts";
export { readCounts, rleFromString, rleToString } from "./rle-string.ts";
export { parseCocoJson, reviewCoco } from "./review-coco.ts";
export type { CocoReview } from "./review-coco.ts";
export type { CocoReviewOptions } from "./review-options.ts";
export { decodeRle, encodeRle, measureCounts, mergeRles, rleArea, rleFromCounts, rleToBox } from "./rle.ts";
export type { RleMeasures } from "./rle.ts";
