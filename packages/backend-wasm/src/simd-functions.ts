/** The names of this package's compiled functions. */

/** The compiled functions of assembly/, whose comments describe them. Pointers are byte addresses. */
export type Simd = Readonly<Record<SimdName, (...args: readonly number[]) => number>>;

export type SimdName =
  | "convolve"
  | "filterGradient"
  | "filterGradientScratch"
  | "groupNormBackward"
  | "groupNormForward"
  | "maxPoolGradient"
  | "packWeights"
  | "padRows"
  | "relu"
  | "reluGradient"
  | "roiBackward"
  | "roiForward"
  | "roiScratch"
  | "transpose";
