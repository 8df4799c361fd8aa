/** Assignment of boxes to the levels of a feature pyramid, as torchvision, detectron2 and matterport. */
import { boxAreaOnHost } from "@mrcnn/boxes";
import { ConfigError, roundHalfToEven } from "@mrcnn/core";
import type { ImageSize } from "@mrcnn/core";

const f = Math.fround;

/** The library whose formula decides a RoI's level. */
export type LevelRule = "torchvision" | "detectron2" | "matterport";

/** The levels of a pyramid, and the size of RoI that belongs to each. */
export interface PyramidLevelOptions {
  /** Finest level: 2 for stride 4. */
  readonly minLevel: number;
  readonly maxLevel: number;
  /** Side in pixels of the square RoI that belongs to `canonicalLevel`. Default 224. */
  readonly canonicalScale?: number;
  /** Level of a RoI of side `canonicalScale`. Default 4. */
  readonly canonicalLevel?: number;
  /** Formula that assigns the levels. Default "torchvision". */
  readonly levelRule?: LevelRule;
  /** Size of the network's input in pixels; "matterport" needs it for the canonical box. */
  readonly imageSize?: ImageSize;
}

/**
 * Returns the pyramid level that each box is pooled from (Feature Pyramid Networks, eq. 1), within
 * [minLevel, maxLevel] and rounded to float32 as each library does. With k = `canonicalLevel` and
 * s = sqrt(area) / `canonicalScale`:
 * - "torchvision": floor(k + log2(s) + 1e-6) (LevelMapper);
 * - "detectron2": floor(k + log2(s + 1e-8)) (assign_boxes_to_levels);
 * - "matterport": k + round(log2(s)), halves to even, of boxes as fractions of the image (PyramidROIAlign).
 *
 * `boxes` [N * 4], xyxy in image pixels, for "matterport" as fractions of the image. Returns [N] levels, e.g.
 * 2..5; empty boxes get the finest.
 *
 * @throws ConfigError when there are no levels, or for "matterport" without `imageSize`.
 */
export function assignPyramidLevels(boxes: Float32Array, options: PyramidLevelOptions): Int32Array {
  const {
    minLevel,
    maxLevel,
    canonicalScale = 224,
    canonicalLevel = 4,
    levelRule = "torchvision",
    imageSize,
  } = options;
  if (!(minLevel <= maxLevel)) {
    throw new ConfigError(
      `assignPyramidLevels: minLevel must be at most maxLevel, got ${minLevel} and ${maxLevel}.`,
    );
  }
  const levelOf = levelRules(canonicalScale, canonicalLevel)[levelRule];
  const sizes =
    levelRule === "matterport" ?
      relativeSizes(boxes, canonicalScale, imageSize)
    : boxAreaOnHost(boxes).map(Math.sqrt);
  return Int32Array.from(sizes, (size) => {
    const level = levelOf(size);
    return level > minLevel ? Math.min(level, maxLevel) : minLevel;
  });
}

// Each rule maps the square root of a RoI's area to a level; "matterport" takes it relative to that of the
// canonical box.
const levelRules = (
  canonicalScale: number,
  canonicalLevel: number,
): Readonly<Record<LevelRule, (size: number) => number>> => ({
  torchvision: (size) => Math.floor(f(f(canonicalLevel + f(Math.log2(f(size / canonicalScale)))) + f(1e-6))),
  detectron2: (size) => Math.floor(f(canonicalLevel + f(Math.log2(f(f(size / canonicalScale) + f(1e-8)))))),
  matterport: (size) => canonicalLevel + roundHalfToEven(f(f(Math.log(size)) / f(Math.log(2)))),
});

/**
 * Returns for each level but the finest the smallest float32 area of a box, in square pixels, that
 * `assignPyramidLevels` assigns to it: with these a device finds levels by comparison, without computing
 * logarithms. For "torchvision" and "detectron2".
 *
 * @throws ConfigError for "matterport", whose areas are shares of the image.
 */
export function levelAreas(options: Omit<PyramidLevelOptions, "imageSize">): number[] {
  const { minLevel, maxLevel, canonicalScale = 224, canonicalLevel = 4, levelRule = "torchvision" } = options;
  if (levelRule === "matterport")
    throw new ConfigError('levelAreas: levelRule must be "torchvision" or "detectron2", got "matterport".');
  const levelOf = levelRules(canonicalScale, canonicalLevel)[levelRule];
  const bits = new Uint32Array(1);
  const floatOf = (pattern: number): number => {
    bits[0] = pattern;
    return new Float32Array(bits.buffer)[0]!;
  };
  return Array.from({ length: maxLevel - minLevel }, (_, i) => {
    // Positive floats have the same order as their bit patterns.
    let [low, high] = [0, 0x7f000000];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (levelOf(f(Math.sqrt(floatOf(middle)))) > minLevel + i) high = middle;
      else low = middle + 1;
    }
    return floatOf(low);
  });
}

// Returns the square roots of the areas of boxes given as fractions of the image, over that of the canonical
// box.
function relativeSizes(
  boxes: Float32Array,
  canonicalScale: number,
  imageSize: ImageSize | undefined,
): Float32Array {
  if (imageSize === undefined)
    throw new ConfigError('assignPyramidLevels: imageSize must be given for the levelRule "matterport".');
  const { height, width } = imageSize;
  const canonical = f(f(canonicalScale) / f(Math.sqrt(f(height * width))));
  return boxAreaOnHost(boxes).map((value) => f(Math.sqrt(value)) / canonical);
}
