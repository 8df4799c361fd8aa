/** Pooling of RoIs from the levels of a feature pyramid. */
import { concat, customGrad, gather, tensor1d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import { ConfigError, ShapeError } from "@mrcnn/core";
import type { ImageSize, Rois } from "@mrcnn/core";
import type { FeatureMaps } from "@mrcnn/core/tensors";
import { assignPyramidLevels } from "./pyramid-levels.ts";
import type { LevelRule } from "./pyramid-levels.ts";

/** Options that decide the level of a pyramid from which a RoI is pooled. */
export interface LevelOptions {
  /**
   * Image size from which the maps' scales are inferred: the largest height and width of the batch. Padding
   * to a multiple of the stride makes no difference.
   */
  readonly imageSize: ImageSize;
  /** Names of the maps to pool from, finest first. Default all but "p6" and "pool". */
  readonly levels?: readonly string[];
  /** Formula that assigns levels, see `assignPyramidLevels`. Default "torchvision". */
  readonly levelRule?: LevelRule;
  /** Side in pixels of the square RoI that belongs to `canonicalLevel`. Default 224. */
  readonly canonicalScale?: number;
  /** Level of a RoI of side `canonicalScale`. Default 4. */
  readonly canonicalLevel?: number;
}

// tf.gather's own gradient is slow or missing on some backends, but the gradient of a permutation is itself a
// gather.
function permuteRows(x: Tensor4D, order: Int32Array): Tensor4D {
  const inverse = new Int32Array(order.length);
  for (let i = 0; i < order.length; i++) inverse[order[i]!] = i;
  const permute = customGrad((rows) => ({
    value: gather(rows as Tensor4D, tensor1d(order, "int32")),
    gradFunc: (dy: Tensor) => tidy(() => gather(dy, tensor1d(inverse, "int32"))),
  }));
  return permute(x) as Tensor4D;
}

/**
 * Returns the maps to pool from, finest first, and the level of the first: 2 for stride 4.
 *
 * @throws as `poolPyramid`.
 */
export function pyramidMaps(
  where: string,
  features: FeatureMaps,
  { imageSize, levels }: LevelOptions,
): { readonly maps: readonly Tensor4D[]; readonly minLevel: number } {
  const names = levels ?? [...features.keys()].filter((name) => name !== "p6" && name !== "pool");
  const maps = names.map((name) => {
    const map = features.get(name);
    if (map === undefined) {
      throw new ConfigError(
        `${where}: levels must name feature maps (${[...features.keys()].join(", ")}), got "${name}".`,
      );
    }
    return map;
  });
  const strides = maps.map((map) => -Math.round(Math.log2(map.shape[1] / imageSize.height)));
  const [minLevel] = strides;
  if (minLevel === undefined)
    throw new ConfigError(`${where}: features must hold at least one level to pool from, got none.`);
  if (strides.some((stride, i) => stride !== minLevel + i)) {
    throw new ShapeError(
      `${where}: features must halve from level to level, got heights ${maps.map((map) => map.shape[1]).join(", ")} ` +
        `for an image ${imageSize.height} high. Pass the size of the network input as imageSize, and levels finest first.`,
    );
  }
  return { maps, minLevel };
}

/**
 * Pools each RoI with `pool` from the level assigned to its size, in the order of `rois`. `pool` is called
 * once per level that has RoIs (for the finest, with none, when there are no RoIs at all), with the level's
 * number: 2 for stride 4. `where` names the caller in errors.
 */
export function poolPyramid(
  where: string,
  features: FeatureMaps,
  rois: Rois,
  options: LevelOptions,
  pool: (map: Tensor4D, rois: Rois, level: number) => Tensor4D,
): Tensor4D {
  const { imageSize, levelRule, canonicalScale, canonicalLevel } = options;
  const { maps, minLevel } = pyramidMaps(where, features, options);
  const assigned = assignPyramidLevels(rois.boxes, {
    minLevel,
    maxLevel: minLevel + maps.length - 1,
    imageSize,
    ...(levelRule === undefined ? {} : { levelRule }),
    ...(canonicalScale === undefined ? {} : { canonicalScale }),
    ...(canonicalLevel === undefined ? {} : { canonicalLevel }),
  });
  return tidy(() => {
    const pooled: Tensor4D[] = [];
    const order = new Int32Array(assigned.length); // each RoI's row in the concatenation
    let placed = 0;
    for (const [i, map] of maps.entries()) {
      const members = Array.from(assigned.keys()).filter((r) => assigned[r] === minLevel + i);
      if (members.length === 0) continue;
      for (const r of members) order[r] = placed++;
      const part: Rois = {
        boxes: Float32Array.from(members.flatMap((r) => [...rois.boxes.subarray(r * 4, r * 4 + 4)])),
        imageIndex: Int32Array.from(members, (r) => rois.imageIndex[r]!),
      };
      pooled.push(pool(map, part, minLevel + i));
    }
    if (pooled.length === 0) return pool(maps[0]!, rois, minLevel);
    return pooled.length === 1 ? pooled[0]! : permuteRows(concat(pooled, 0), order);
  });
}
