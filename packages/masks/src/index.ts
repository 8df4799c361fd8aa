export { bitmapBox, bitmapFromFull, cropBitmap, flipBitmap, resizeBitmap, toFullBitmap } from "./bitmap.ts";
export type { PixelWindow } from "./bitmap.ts";
export { parseCocoJson, segmentationToRle } from "./coco.ts";
export type {
  CocoAnnotation,
  CocoBox,
  CocoCategory,
  CocoImage,
  CocoJson,
  CocoResult,
  CocoRle,
  CocoSegmentation,
  ParseCocoOptions,
} from "./coco.ts";
export { cropMasks } from "./crop.ts";
export { foreignAnnotations, foreignResults } from "./foreign-format.ts";
export { boxIou, rleIou, runsIntersection } from "./iou.ts";
export { pasteMasks } from "./paste.ts";
export type { PasteMethod, PasteOptions } from "./paste.ts";
export { planPaste, rlesFromBits } from "./paste-plan.ts";
export type { PastePlan, PasteTarget } from "./paste-plan.ts";
export { rasterizePolygons, rleFromBox } from "./polygon.ts";
export { readCounts, rleFromString, rleToString } from "./rle-string.ts";
export { decodeRle, encodeRle, measureCounts, mergeRles, rleArea, rleFromCounts, rleToBox } from "./rle.ts";
export type { RleMeasures } from "./rle.ts";
