/** Kernels of RoIAlign and its gradient. */
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { ROI_ALIGN, ROI_ALIGN_GRAD } from "@mrcnn/roi-align/kernel";
import type { RoiAlignAttrs, RoiAlignGradAttrs } from "@mrcnn/roi-align/kernel";
import { allocate, floats, kernel, release, sizeOf } from "../heap.ts";
import type { Inputs } from "../heap.ts";
import { address, inParts, instanceOf, partsOf } from "../simd.ts";

type Shape4D = readonly [number, number, number, number];

/** Computes RoIAlign by assembly/roi-align.ts; threads share the rois. */
export const roiAlign: KernelConfig = kernel<Inputs<"features" | "boxes" | "imageIndex">, RoiAlignAttrs>(
  ROI_ALIGN,
  ({ inputs: { features, boxes, imageIndex }, attrs, backend }) => {
    const [, height, width, channels] = features.shape as unknown as Shape4D;
    const { outputHeight, outputWidth, spatialScale, samplingRatio, aligned } = attrs;
    const rois = boxes.shape[0]!;
    const out = allocate(backend, [rois, outputHeight, outputWidth, channels]);
    const bytes = instanceOf(backend).simd.roiScratch(height, width, outputHeight, outputWidth);
    const scratch = allocate(backend, [(bytes / 4) * partsOf(backend)]);
    const pointers = [features, boxes, imageIndex, out].map((info: TensorInfo) => address(backend, info));
    const sizes = [
      height,
      width,
      channels,
      outputHeight,
      outputWidth,
      spatialScale,
      samplingRatio,
      aligned ? 1 : 0,
    ];
    const least = Math.ceil(50_000 / (outputHeight * outputWidth * channels));
    inParts(backend, "roiForward", { total: rois, least }, (first, last, part) => [
      ...pointers,
      address(backend, scratch) + part * bytes,
      ...sizes,
      first,
      last,
    ]);
    release(backend, scratch);
    return out;
  },
);

/** Computes the gradient of RoIAlign; threads share the channels, because rois overlap. */
export const roiAlignGrad: KernelConfig = kernel<Inputs<"dy" | "boxes" | "imageIndex">, RoiAlignGradAttrs>(
  ROI_ALIGN_GRAD,
  ({ inputs: { dy, boxes, imageIndex }, attrs, backend }) => {
    const [, height, width, channels] = attrs.inputShape;
    const { outputHeight, outputWidth, spatialScale, samplingRatio, aligned } = attrs;
    const rois = boxes.shape[0]!;
    const dx = allocate(backend, attrs.inputShape);
    floats(backend, dx).fill(0);
    const bytes = instanceOf(backend).simd.roiScratch(height, width, outputHeight, outputWidth);
    const scratch = allocate(backend, [(bytes / 4) * partsOf(backend)]);
    const pointers = [dy, boxes, imageIndex, dx].map((info: TensorInfo) => address(backend, info));
    const sizes = [
      height,
      width,
      channels,
      outputHeight,
      outputWidth,
      spatialScale,
      samplingRatio,
      aligned ? 1 : 0,
      rois,
    ];
    const least = Math.max(16, Math.ceil((50_000 * channels) / sizeOf(dy.shape)));
    inParts(backend, "roiBackward", { total: channels, step: 16, least }, (first, last, part) => [
      ...pointers,
      address(backend, scratch) + part * bytes,
      ...sizes,
      first,
      last,
    ]);
    release(backend, scratch);
    return dx;
  },
);
