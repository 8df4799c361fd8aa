/** The public names of @mrcnn/heads. */
export { applyBoxHead, applyBoxPredictor, initBoxHead, initBoxPredictor } from "./box-head.ts";
export type { BoxHeadConfig, BoxHeadParams, BoxPredictorParams, BoxTrunkParams } from "./box-head.ts";
export { classProbabilities } from "./class-probabilities.ts";
export {
  decodeKeypoints,
  decodeKeypointsOnDevice,
  keypointsFromPairs,
  readKeypoints,
} from "./decode-keypoints.ts";
export type { DecodeKeypointsOptions } from "./decode-keypoints.ts";
export { applyKeypointHead, initKeypointHead } from "./keypoint-head.ts";
export type { KeypointHeadConfig, KeypointHeadParams } from "./keypoint-head.ts";
export { applyMaskHead, applyMaskHeadOfLabels, initMaskHead } from "./mask-head.ts";
export type { MaskHeadConfig, MaskHeadParams } from "./mask-head.ts";
export { pasteOnDevice } from "./paste-on-device.ts";
export type { PasteArrays, PasteOnDeviceOptions } from "./paste-on-device.ts";
export { selectDetections, selectDetectionsOnDevice } from "./select-detections.ts";
export type { DetectionConfig } from "./detection-config.ts";
