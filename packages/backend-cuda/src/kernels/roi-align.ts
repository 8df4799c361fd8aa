/** Kernels of RoIAlign and its gradient, by TensorFlow's CropAndResize. */
import {
  add,
  avgPool,
  concat,
  gather,
  image,
  mirrorPad,
  tensor1d,
  tensor2d,
  tidy,
  zeros,
} from "@tensorflow/tfjs-core";
import type { KernelConfig, Tensor, Tensor1D, Tensor4D } from "@tensorflow/tfjs-core";
import { ROI_ALIGN, ROI_ALIGN_GRAD } from "@mrcnn/roi-align/kernel";
import type { RoiAlignAttrs, RoiAlignGradAttrs } from "@mrcnn/roi-align/kernel";
import { kernel, opAttrs } from "../tensorflow-backend.ts";
import type { TensorflowBackend } from "../tensorflow-backend.ts";

type Shape4D = readonly [number, number, number, number];

/*
 * RoIAlign is a bilinear resize of each roi to its grid of samples, then a mean over each bin's samples.
 * TensorFlow's CropAndResize does this resize, but treats a sample in the outermost half cell as outside the
 * image, where RoIAlign clamps it. On features padded by one cell of their own edge values both agree: a
 * sample in [-1, H] reads the edge, one beyond reads 0.
 */
const PADDING: [number, number][] = [
  [0, 0],
  [1, 1],
  [1, 1],
  [0, 0],
];
/**
 * Maximum number of sampled values in one chunk of rois; a single roi may exceed it. Forward 32 MB, so that
 * samples are averaged while they are in the cache. Backward 128 MB, since every chunk sums a whole map.
 */
const FORWARD_VALUES = 1 << 23;
const BACKWARD_VALUES = 1 << 25;
const f = Math.fround;

/**
 * A roi's samples along an axis: the number per bin, and the first and last in the coordinates of
 * CropAndResize (0 and 1 are the padded map's outermost cells).
 */
interface Extent {
  readonly samples: number;
  readonly first: number;
  readonly last: number;
}

function extent(
  low: number,
  high: number,
  bins: number,
  size: number,
  { spatialScale, samplingRatio, aligned }: RoiAlignAttrs,
): Extent {
  const scale = f(spatialScale);
  const offset = aligned ? 0.5 : 0;
  const begin = f(f(low * scale) - offset);
  const length = f(f(f(high * scale) - offset) - begin);
  const bin = f((aligned ? length : Math.max(length, 1)) / bins);
  const samples = samplingRatio > 0 ? samplingRatio : Math.max(Math.ceil(bin), 0);
  const half = samples === 0 ? 0 : (0.5 * bin) / samples;
  return {
    samples,
    first: (begin + half + 1) / (size + 1),
    last: (begin + bins * bin - half + 1) / (size + 1),
  };
}

/** Rois with the same number of samples per bin, which share one crop. */
interface Group {
  /** Samples per bin along y and x; 0 for empty rois. */
  readonly grid: readonly [number, number];
  /** Indices of the rois, ascending. */
  readonly rows: number[];
  /** Crops (y1, x1, y2, x2) of the rois. */
  readonly crops: number[];
}

function groupsOf(boxes: Tensor, [, height, width]: Shape4D, attrs: RoiAlignAttrs): Group[] {
  const values = boxes.dataSync<"float32">();
  const groups = new Map<string, Group>();
  for (let i = 0; i < values.length; i += 4) {
    const y = extent(values[i + 1]!, values[i + 3]!, attrs.outputHeight, height, attrs);
    const x = extent(values[i]!, values[i + 2]!, attrs.outputWidth, width, attrs);
    const key = y.samples * x.samples === 0 ? "nothing" : `${y.samples},${x.samples}`;
    let group = groups.get(key);
    if (group === undefined)
      groups.set(
        key,
        (group = { grid: key === "nothing" ? [0, 0] : [y.samples, x.samples], rows: [], crops: [] }),
      );
    group.rows.push(i / 4);
    group.crops.push(y.first, x.first, y.last, x.last);
  }
  return [...groups.values()];
}

/** Splits a group's rois into runs that fit in memory: [begin, end) in `rows`. */
function chunks(
  { grid, rows }: Group,
  { outputHeight, outputWidth }: RoiAlignAttrs,
  channels: number,
  values: number,
): [number, number][] {
  const most = Math.max(
    1,
    Math.floor(values / (outputHeight * outputWidth * Math.max(grid[0] * grid[1], 1) * channels)),
  );
  return Array.from({ length: Math.ceil(rows.length / most) }, (_, i) => [
    i * most,
    Math.min((i + 1) * most, rows.length),
  ]);
}

// When all rois are in one group they are in order already.
const pick = <T extends Tensor>(x: T, rows: readonly number[]): T =>
  rows.length === x.shape[0] ? x : gather(x, tensor1d([...rows], "int32"));

/**
 * Computes RoIAlign. An adaptive number of samples (samplingRatio 0) differs by roi: rois are grouped by it,
 * with one crop for each group.
 */
export const roiAlign: KernelConfig = kernel<"features" | "boxes" | "imageIndex", RoiAlignAttrs>(
  ROI_ALIGN,
  ({ inputs: { features, boxes, imageIndex }, attrs }) =>
    tidy(() => {
      const { outputHeight, outputWidth } = attrs;
      const channels = features.shape[3]!;
      const padded = mirrorPad(features, PADDING, "symmetric") as Tensor4D;
      const groups = groupsOf(boxes, features.shape as unknown as Shape4D, attrs);
      const parts = groups.flatMap((group) =>
        chunks(group, attrs, channels, FORWARD_VALUES).map(([begin, end]) =>
          tidy((): Tensor4D => {
            const { grid, rows, crops } = group;
            if (grid[0] === 0) return zeros([end - begin, outputHeight, outputWidth, channels]);
            const own = tensor2d(crops.slice(4 * begin, 4 * end), [end - begin, 4]);
            const images = pick(imageIndex as Tensor1D, rows.slice(begin, end));
            const samples = image.cropAndResize(
              padded,
              own,
              images,
              [outputHeight * grid[0], outputWidth * grid[1]],
              "bilinear",
              0,
            );
            return grid[0] === 1 && grid[1] === 1 ? samples : avgPool(samples, [...grid], [...grid], "valid");
          }),
        ),
      );
      const all = parts.length === 1 ? parts[0]! : concat(parts, 0);
      return groups.length === 1 ?
          all
        : gather(all, tensor1d(inverse(groups.flatMap(({ rows }) => rows)), "int32"));
    }),
);

/** Computes the gradient of RoIAlign by the gradients of the same ops, which tfjs does not export. */
export const roiAlignGrad: KernelConfig = kernel<"dy" | "boxes" | "imageIndex", RoiAlignGradAttrs>(
  ROI_ALIGN_GRAD,
  ({ inputs: { dy, boxes, imageIndex }, attrs, backend }) =>
    tidy(() => {
      const [batch, height, width, channels] = attrs.inputShape;
      const size = tensor1d([batch, height + 2, width + 2, channels], "int32");
      let padded: Tensor | undefined;
      for (const group of groupsOf(boxes, attrs.inputShape, attrs)) {
        if (group.grid[0] === 0) continue;
        for (const [begin, end] of chunks(group, attrs, channels, BACKWARD_VALUES)) {
          const rows = group.rows.slice(begin, end);
          const part = tidy(() => {
            const samples = averageGrad(backend, pick(dy as Tensor4D, rows), group.grid);
            const inputs = [
              samples,
              tensor2d(group.crops.slice(4 * begin, 4 * end), [end - begin, 4]),
              pick(imageIndex as Tensor1D, rows),
              size,
            ];
            return backend.executeSingleOutput(
              "CropAndResizeGradImage",
              opAttrs(backend, { method: "bilinear" }),
              inputs,
            );
          });
          padded = padded === undefined ? part : add(padded, part);
        }
      }
      if (padded === undefined) return zeros([batch, height, width, channels]);
      const paddings = tensor2d(PADDING, [4, 2], "int32");
      return backend.executeSingleOutput("MirrorPadGrad", opAttrs(backend, { mode: "SYMMETRIC" }), [
        padded,
        paddings,
      ]);
    }),
);

function inverse(order: readonly number[]): Int32Array {
  const places = new Int32Array(order.length);
  for (const [place, row] of order.entries()) places[row] = place;
  return places;
}

function averageGrad(
  backend: TensorflowBackend,
  dy: Tensor4D,
  [ratioY, ratioX]: readonly [number, number],
): Tensor {
  if (ratioY === 1 && ratioX === 1) return dy;
  const [rois, height, width, channels] = dy.shape;
  const shape = tensor1d([rois, height * ratioY, width * ratioX, channels], "int32");
  const window = [1, ratioY, ratioX, 1];
  const attrs = opAttrs(
    backend,
    { padding: "VALID", data_format: "NHWC" },
    { ksize: window, strides: window },
  );
  return backend.executeSingleOutput("AvgPoolGrad", attrs, [shape, dy]);
}
