// AssemblyScript, compiled to src/simd-module.ts by tools/assemble.mjs. Every function works on
// addresses in TensorFlow.js's own memory; nothing here allocates or keeps state, so that several
// threads may run it on one memory.
export { convolve, convolveTile, packWeights, padRows } from "./convolution";
export { filterGradient, filterGradientScratch } from "./filter-gradient";
export { groupNormForward, groupNormBackward } from "./group-norm";
export { maxPoolGradient } from "./max-pool-gradient";
export { relu } from "./relu";
export { reluGradient } from "./relu-gradient";
export { bin, roiBackward, roiForward, roiScratch } from "./roi-align";
export { transpose } from "./transpose";
