/**
 * The names that backends import to accelerate RoIAlign: its contracts, and loops over typed arrays that
 * kernels may call.
 */
export {
  ROI_ALIGN,
  ROI_ALIGN_GRAD,
  roiAlignGradConfig,
  roiAlignContract,
  ROI_ALIGN_PYRAMID,
  ROI_ALIGN_PYRAMID_GRAD,
  roiAlignPyramidGradConfig,
  roiAlignPyramidContract,
} from "./contract.ts";
export type {
  RoiAlignInputs,
  RoiAlignGradInputs,
  RoiAlignAttrs,
  RoiAlignGradAttrs,
  RoiAlignPyramidInputs,
  RoiAlignPyramidAttrs,
} from "./contract.ts";
export { levelAreas } from "./pyramid-levels.ts";
export { roiAlignBackward, roiAlignForward } from "./roi-align-on-host.ts";
