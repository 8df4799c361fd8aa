import { add, avgPool, concat, image, mirrorPad, slice, tensor1d, tensor2d, tidy } from "@tensorflow/tfjs-core";
import type { KernelConfig, Tensor, Tensor1D, Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import { ROI_ALIGN, ROI_ALIGN_GRAD } from "@mrcnn/roi-align/kernel";
import type { RoiAlignAttrs, RoiAlignGradAttrs } from "@mrcnn/roi-align/kernel";
import { kernel, opAttrs } from "../tensorflow-backend.ts";
import type { TensorflowBackend } from "../tensorflow-backend.ts";

type Shape4D = readonly [number, number, number, number];

/*
 * RoIAlign is a bilinear resize of each roi to its grid of samples, then a mean over each bin's
 * samples. TensorFlow's CropAndResize resizes so, but takes a sample in the outermost half cell for
 * one outside the image, where RoIAlign clamps it. On features grown by one cell of their own edge
 * values both agree: a sample in [-1, H] reads the edge, one beyond reads 0.
 */
const PADDING: [number, number][] = [[0, 0], [1, 1], [1, 1], [0, 0]];
/** Values of the samples of one chunk of rois (128 MB in float32). */
const CHUNK_VALUES = 1 << 25;
const f = Math.fround;

/** The first and last sample of an axis, as CropAndResize counts: 0 and 1 are the padded map's outermost cells. */
function extent(low: number, high: number, bins: number, size: number, { spatialScale, samplingRatio, aligned }: RoiAlignAttrs): [number, number] {
  const scale = f(spatialScale);
  const offset = aligned ? 0.5 : 0;
  const begin = f(f(low * scale) - offset);
  const length = f(f(f(high * scale) - offset) - begin);
  const bin = f((aligned ? length : Math.max(length, 1)) / bins);
  const half = (0.5 * bin) / samplingRatio;
  return [(begin + half + 1) / (size + 1), (begin + bins * bin - half + 1) / (size + 1)];
}

function cropBoxes(boxes: Tensor, [, height, width]: Shape4D, attrs: RoiAlignAttrs): Tensor2D {
  const from = boxes.dataSync<"float32">();
  const to = new Float32Array(from.length);
  for (let i = 0; i < from.length; i += 4) {
    const [y1, y2] = extent(from[i + 1]!, from[i + 3]!, attrs.outputHeight, height, attrs);
    const [x1, x2] = extent(from[i]!, from[i + 2]!, attrs.outputWidth, width, attrs);
    to.set([y1, x1, y2, x2], i);
  }
  return tensor2d(to, [from.length / 4, 4]);
}

function chunks(rois: number, { outputHeight, outputWidth, samplingRatio }: RoiAlignAttrs, channels: number): [number, number][] {
  const most = Math.max(1, Math.floor(CHUNK_VALUES / (outputHeight * outputWidth * samplingRatio ** 2 * channels)));
  return Array.from({ length: Math.ceil(rois / most) }, (_, i) => [i * most, Math.min(most, rois - i * most)]);
}

const supports = ({ samplingRatio }: RoiAlignAttrs): boolean => samplingRatio > 0;

/** For a fixed number of samples per bin; an adaptive one (samplingRatio 0) differs by roi. */
export const roiAlign: KernelConfig = kernel<"features" | "boxes" | "imageIndex", RoiAlignAttrs>(
  ROI_ALIGN,
  ({ inputs: { features, boxes, imageIndex }, attrs }) =>
    tidy(() => {
      const { outputHeight, outputWidth, samplingRatio } = attrs;
      const crops = cropBoxes(boxes, features.shape as unknown as Shape4D, attrs);
      const padded = mirrorPad(features, PADDING, "symmetric") as Tensor4D;
      const size: [number, number] = [outputHeight * samplingRatio, outputWidth * samplingRatio];
      const parts = chunks(boxes.shape[0]!, attrs, features.shape[3]!).map(([begin, count]) =>
        tidy(() => {
          const chosen = slice(crops, [begin, 0], [count, 4]);
          const samples = image.cropAndResize(padded, chosen, slice(imageIndex as Tensor1D, begin, count), size, "bilinear", 0);
          return samplingRatio === 1 ? samples : avgPool(samples, samplingRatio, samplingRatio, "valid");
        }),
      );
      return parts.length === 1 ? parts[0]! : concat(parts, 0);
    }),
  supports,
);

/** The ops' own gradients in turn, which tfjs does not name. */
export const roiAlignGrad: KernelConfig = kernel<"dy" | "boxes" | "imageIndex", RoiAlignGradAttrs>(
  ROI_ALIGN_GRAD,
  ({ inputs: { dy, boxes, imageIndex }, attrs, backend }) =>
    tidy(() => {
      const [batch, height, width, channels] = attrs.inputShape;
      const crops = cropBoxes(boxes, attrs.inputShape, attrs);
      const size = tensor1d([batch, height + 2, width + 2, channels], "int32");
      let padded: Tensor | undefined;
      for (const [begin, count] of chunks(boxes.shape[0]!, attrs, channels)) {
        const part = tidy(() => {
          const samples = averageGrad(backend, slice(dy as Tensor4D, [begin, 0, 0, 0], [count, -1, -1, -1]), attrs);
          const inputs = [samples, slice(crops, [begin, 0], [count, 4]), slice(imageIndex as Tensor1D, begin, count), size];
          return backend.executeSingleOutput("CropAndResizeGradImage", opAttrs(backend, { method: "bilinear" }), inputs);
        });
        padded = padded === undefined ? part : add(padded, part);
      }
      const paddings = tensor2d(PADDING, [4, 2], "int32");
      return backend.executeSingleOutput("MirrorPadGrad", opAttrs(backend, { mode: "SYMMETRIC" }), [padded!, paddings]);
    }),
  supports,
);

function averageGrad(backend: TensorflowBackend, dy: Tensor4D, { samplingRatio: ratio }: RoiAlignAttrs): Tensor {
  if (ratio === 1) return dy;
  const [rois, height, width, channels] = dy.shape;
  const shape = tensor1d([rois, height * ratio, width * ratio, channels], "int32");
  const window = [1, ratio, ratio, 1];
  const attrs = opAttrs(backend, { padding: "VALID", data_format: "NHWC" }, { ksize: window, strides: window });
  return backend.executeSingleOutput("AvgPoolGrad", attrs, [shape, dy]);
}
