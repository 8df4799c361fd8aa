/** The public names of @mrcnn/boxes that need no TensorFlow.js. */
export { boxAreaOnHost } from "./area.ts";
export { decodeBoxesOnHost, encodeBoxesOnHost } from "./box-coder.ts";
export type { BoxCoderWeights, DecodeOptions } from "./box-coder.ts";
export { clipBoxesOnHost } from "./clip.ts";
export { xywhToXyxyOnHost, xyxyToXywhOnHost } from "./convert.ts";
export { filterSmallBoxesOnHost } from "./filter.ts";
export { gatherBoxesOnHost } from "./gather.ts";
export { pairwiseIouOnHost } from "./iou.ts";
