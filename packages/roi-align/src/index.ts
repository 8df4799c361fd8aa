/** The public names of @mrcnn/roi-align. */
export { cropAndResize, cropAndResizePyramid } from "./crop-and-resize.ts";
export type { CropAndResizeOptions, CropPyramidOptions } from "./crop-and-resize.ts";
export type { LevelOptions } from "./pool-pyramid.ts";
export { assignPyramidLevels } from "./pyramid-levels.ts";
export type { LevelRule, PyramidLevelOptions } from "./pyramid-levels.ts";
export { roiAlign } from "./roi-align.ts";
export type { RoiAlignOptions } from "./roi-align.ts";
export { roiAlignPyramid } from "./roi-align-pyramid.ts";
export type { PyramidOptions } from "./roi-align-pyramid.ts";
