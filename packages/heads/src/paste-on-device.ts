/** Pasting of masks into the image on the device. */
import { tensor1d, tensor2d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor3D } from "@tensorflow/tfjs-core";
import { hasKernel, runKernel } from "@mrcnn/core/tensors";
import { pasteMasksContract } from "./kernel.ts";
import type { PasteMasksAttrs } from "./kernel.ts";

/** The arrays of the `PastePlan` that `planPaste` of @mrcnn/masks returns. */
export interface PasteArrays {
  readonly windows: Int32Array;
  readonly low: Int32Array;
  readonly share: Float32Array;
  readonly words: number;
}

/** Options that decide which pixels belong to the object, as in `pasteMasks` of @mrcnn/masks. */
export interface PasteOnDeviceOptions {
  /** Value above which, or for detectron2 at or above which, a pixel belongs to the object. Default 0.5. */
  readonly threshold?: number;
  /** The library whose rule is followed. Default "torchvision". */
  readonly method?: "torchvision" | "detectron2";
}

/**
 * Pastes `masks` [R, side, side] (probabilities of each detection's own class) at their places in the image:
 * returns int32 [words], a bit for each pixel of the plan's windows, which `rlesFromBits` of @mrcnn/masks
 * turns into run lengths. Returns undefined where the backend has no kernel: read the masks and use
 * `pasteMasks`. Interpolated values differ from the host's in their last bits, so pixels whose value is
 * within 1e-6 of the threshold may differ.
 */
export function pasteOnDevice(
  masks: Tensor3D,
  { words, ...plan }: PasteArrays,
  { threshold = 0.5, method = "torchvision" }: PasteOnDeviceOptions = {},
): Tensor1D | undefined {
  const attrs: PasteMasksAttrs = { words, threshold, method };
  if (!hasKernel(pasteMasksContract, attrs)) return undefined;
  return tidy(() => {
    const windows = tensor2d(plan.windows, [plan.windows.length / 8, 8], "int32");
    const inputs = { masks, windows, low: tensor1d(plan.low, "int32"), share: tensor1d(plan.share) };
    return runKernel<Tensor1D, PasteMasksAttrs>(pasteMasksContract, inputs, attrs)!;
  });
}
