export { assignPyramidLevels } from "./pyramid-levels.ts";
export type { PyramidLevelOptions } from "./pyramid-levels.ts";
export { roiAlign } from "./roi-align.ts";
export type { RoiAlignOptions } from "./roi-align.ts";
export { roiAlignPyramid } from "./roi-align-pyramid.ts";
export type { PyramidOptions } from "./roi-align-pyramid.ts";
