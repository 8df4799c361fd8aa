import type { KernelConfig } from "@tensorflow/tfjs-core";
import { ROI_ALIGN, ROI_ALIGN_GRAD, roiAlignBackward, roiAlignForward } from "@mrcnn/roi-align/kernel";
import type { RoiAlignAttrs, RoiAlignGradAttrs } from "@mrcnn/roi-align/kernel";
import { allocate, floats, ints, kernel } from "../heap.ts";
import type { Inputs } from "../heap.ts";

type Shape4D = readonly [number, number, number, number];

/** RoIAlign by the package's own loop, on the heap. */
export const roiAlign: KernelConfig = kernel<Inputs<"features" | "boxes" | "imageIndex">, RoiAlignAttrs>(
  ROI_ALIGN,
  ({ inputs: { features, boxes, imageIndex }, attrs, backend }) => {
    const shape = features.shape as unknown as Shape4D;
    const out = allocate(backend, [boxes.shape[0]!, attrs.outputHeight, attrs.outputWidth, shape[3]]);
    roiAlignForward(floats(backend, features), shape, floats(backend, boxes), ints(backend, imageIndex), attrs, floats(backend, out));
    return out;
  },
);

export const roiAlignGrad: KernelConfig = kernel<Inputs<"dy" | "boxes" | "imageIndex">, RoiAlignGradAttrs>(
  ROI_ALIGN_GRAD,
  ({ inputs: { dy, boxes, imageIndex }, attrs, backend }) => {
    const out = allocate(backend, attrs.inputShape);
    roiAlignBackward(floats(backend, dy), floats(backend, boxes), ints(backend, imageIndex), attrs, floats(backend, out));
    return out;
  },
);
