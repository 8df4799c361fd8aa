export { boxArea, boxAreaOnHost } from "./area.ts";
export { decodeBoxes, decodeBoxesOnHost, encodeBoxes, encodeBoxesOnHost } from "./box-coder.ts";
export type { BoxCoderWeights, DecodeOptions } from "./box-coder.ts";
export { clipBoxes, clipBoxesOnHost } from "./clip.ts";
export { xywhToXyxyOnHost, xyxyToXywhOnHost } from "./convert.ts";
export { filterSmallBoxesOnHost } from "./filter.ts";
export { gatherBoxesOnHost } from "./gather.ts";
export { pairwiseIou, pairwiseIouOnHost } from "./iou.ts";
