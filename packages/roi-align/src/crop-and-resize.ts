/**
 * Crop-and-resize pooling of RoIs, as TensorFlow's `tf.image.crop_and_resize` and matterport's
 * PyramidROIAlign.
 */
import {
  add,
  concat,
  gather,
  mul,
  reshape,
  sub,
  tensor1d,
  tensor2d,
  tidy,
  zeros,
} from "@tensorflow/tfjs-core";
import type { Rank, Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import { assertLength, assertShape, ConfigError, ShapeError } from "@mrcnn/core";
import type { Rois } from "@mrcnn/core";
import type { FeatureMaps } from "@mrcnn/core/tensors";
import { poolPyramid } from "./pool-pyramid.ts";
import type { LevelOptions } from "./pool-pyramid.ts";

/** Options of `cropAndResize`. */
export interface CropAndResizeOptions {
  /** Samples of each RoI: [height, width]. */
  readonly outputSize: readonly [number, number];
}

/** Options of `cropAndResizePyramid`. */
export interface CropPyramidOptions extends CropAndResizeOptions, LevelOptions {}

const f = Math.fround;
// Most values of an intermediate of one chunk (16 MB in float32).
const CHUNK_VALUES = 1 << 22;

/**
 * The two cells that each sample along one axis is interpolated between; `low` is -1 for a sample outside of
 * the map.
 */
interface AxisSamples {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly share: Float32Array;
}

// Float32 operations in TensorFlow's order: whether the last sample lies within the map may depend on the
// last bit.
function axisSamples(from: number, to: number, samples: number, size: number): AxisSamples {
  const step = samples > 1 ? f(f(f(to - from) * (size - 1)) / (samples - 1)) : 0;
  const begin = samples > 1 ? f(from * (size - 1)) : f(0.5 * f(from + to) * (size - 1));
  const result = {
    low: new Int32Array(samples).fill(-1),
    high: new Int32Array(samples),
    share: new Float32Array(samples),
  };
  for (let i = 0; i < samples; i++) {
    const at = f(begin + f(i * step));
    if (!(at >= 0 && at <= size - 1)) continue;
    result.low[i] = Math.floor(at);
    result.high[i] = Math.ceil(at);
    result.share[i] = at - Math.floor(at);
  }
  return result;
}

/**
 * Pools RoIs as TensorFlow's `tf.image.crop_and_resize`: one bilinear sample per bin, the outer ones on the
 * RoI's edges; zero outside of the map.
 *
 * `features` float32 [B, H, W, C]; `rois` on the host, xyxy as fractions of the map, 0 and 1 being the
 * centres of the map's first and last cells.
 * Returns float32 [R, outputSize[0], outputSize[1], C] in the order of `rois`; [0, ...] for none. For
 * inference: no gradient.
 *
 * @throws ShapeError when arrays don't fit together or an image index is outside the batch.
 * @throws ConfigError for sizes that aren't whole numbers from 1.
 */
export function cropAndResize(
  features: Tensor4D,
  rois: Rois,
  { outputSize }: CropAndResizeOptions,
): Tensor4D {
  const [outputHeight, outputWidth] = outputSize;
  assertShape(features, [null, null, null, null], "cropAndResize", "features");
  const [batch, height, width, channels] = features.shape;
  const count = rois.imageIndex.length;
  assertLength(rois.boxes, count * 4, "cropAndResize", "rois.boxes");
  for (const image of rois.imageIndex) {
    if (!(image >= 0 && image < batch)) {
      throw new ShapeError(
        `cropAndResize: rois.imageIndex must be in [0, ${batch}), got ${image}. Features and rois must be of one batch.`,
      );
    }
  }
  if (!outputSize.every((side) => Number.isInteger(side) && side >= 1)) {
    throw new ConfigError(
      `cropAndResize: outputSize must be two whole numbers of at least 1, got ${outputSize.join(", ")}.`,
    );
  }
  const bins = outputHeight * outputWidth;

  // TensorFlow.js has this operation, but its backends differ in the result; gathering four cells per sample
  // gives the same on all.
  const crop = (cells: Tensor2D, begin: number, end: number): Tensor2D => {
    const index = Array.from({ length: 4 }, () => new Int32Array((end - begin) * bins));
    const [nw, ne, sw, se] = index as [Int32Array, Int32Array, Int32Array, Int32Array];
    const [x, y, inside] = Array.from({ length: 3 }, () => new Float32Array(nw.length)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    let allInside = true;
    for (let r = begin, at = 0; r < end; r++) {
      const [x1, y1, x2, y2] = rois.boxes.subarray(r * 4, r * 4 + 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      const ys = axisSamples(y1, y2, outputHeight, height);
      const xs = axisSamples(x1, x2, outputWidth, width);
      for (let i = 0; i < outputHeight; i++) {
        const upper = (rois.imageIndex[r]! * height + Math.max(ys.low[i]!, 0)) * width;
        const lower = (rois.imageIndex[r]! * height + ys.high[i]!) * width;
        for (let j = 0; j < outputWidth; j++, at++) {
          const left = Math.max(xs.low[j]!, 0);
          const right = xs.high[j]!;
          nw[at] = upper + left;
          ne[at] = upper + right;
          sw[at] = lower + left;
          se[at] = lower + right;
          x[at] = xs.share[j]!;
          y[at] = ys.share[i]!;
          if (ys.low[i]! < 0 || xs.low[j]! < 0) allInside = false;
          else inside[at] = 1;
        }
      }
    }
    const pick = (rows: Int32Array): Tensor2D => gather(cells, tensor1d(rows, "int32"));
    const between = (a: Tensor2D, b: Tensor2D, share: Float32Array): Tensor2D =>
      add(a, mul(sub(b, a), tensor2d(share, [share.length, 1])));
    const value = between(between(pick(nw), pick(ne), x), between(pick(sw), pick(se), x), y);
    return allInside ? value : mul(value, tensor2d(inside, [inside.length, 1]));
  };

  return tidy(() => {
    if (count === 0) return zeros<Rank.R4>([0, outputHeight, outputWidth, channels]);
    const cells = reshape(features, [batch * height * width, channels]) as Tensor2D;
    const most = Math.max(1, Math.floor(CHUNK_VALUES / (bins * channels)));
    const parts: Tensor2D[] = [];
    for (let begin = 0; begin < count; begin += most)
      parts.push(tidy(() => crop(cells, begin, Math.min(begin + most, count))));
    return reshape(parts.length === 1 ? parts[0]! : concat(parts, 0), [
      count,
      outputHeight,
      outputWidth,
      channels,
    ]);
  });
}

/**
 * Applies `cropAndResize` to a feature pyramid, each RoI on the level assigned to its size, as matterport's
 * PyramidROIAlign does with `levelRule: "matterport"`. Features, rois and result as in `roiAlignPyramid`, the
 * boxes as fractions of the image. For inference: no gradient.
 *
 * @throws ConfigError when a named level is missing.
 * @throws ShapeError when levels aren't successive powers of two, and as `cropAndResize` does.
 */
export function cropAndResizePyramid(
  features: FeatureMaps,
  rois: Rois,
  options: CropPyramidOptions,
): Tensor4D {
  const { outputSize } = options;
  return poolPyramid("cropAndResizePyramid", features, rois, options, (map, part) =>
    cropAndResize(map, part, { outputSize }),
  );
}
