import { boxAreaOnHost } from "@mrcnn/boxes";
import { ConfigError } from "@mrcnn/core";

const f = Math.fround;

/** Which levels there are, and which size of roi belongs to which. */
export interface PyramidLevelOptions {
  /** Finest level: 2 for stride 4. */
  readonly minLevel: number;
  readonly maxLevel: number;
  /** Side in pixels of the square roi that belongs to `canonicalLevel`; 224 by default. */
  readonly canonicalScale?: number;
  /** 4 by default. */
  readonly canonicalLevel?: number;
}

/**
 * The pyramid level each box is pooled from: `floor(canonicalLevel + log2(sqrt(area) /
 * canonicalScale) + 1e-6)` within [minLevel, maxLevel] (Feature Pyramid Networks, eq. 1; the
 * epsilon, and float32 rounding, as in torchvision's LevelMapper).
 *
 * `boxes` [N * 4], xyxy in image pixels. Returns [N] levels, e.g. 2..5; empty boxes get the finest.
 */
export function assignPyramidLevels(boxes: Float32Array, options: PyramidLevelOptions): Int32Array {
  const { minLevel, maxLevel, canonicalScale = 224, canonicalLevel = 4 } = options;
  if (!(minLevel <= maxLevel)) {
    throw new ConfigError(`assignPyramidLevels: minLevel must be at most maxLevel, got ${minLevel} and ${maxLevel}.`);
  }
  return Int32Array.from(boxAreaOnHost(boxes), (area) => {
    const side = f(Math.sqrt(area));
    const level = Math.floor(f(f(canonicalLevel + f(Math.log2(f(side / canonicalScale)))) + f(1e-6)));
    return level > minLevel ? Math.min(level, maxLevel) : minLevel;
  });
}
