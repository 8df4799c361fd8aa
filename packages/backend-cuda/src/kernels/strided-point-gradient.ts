/** Kernel of the filter's gradient of strided 1x1 convolutions, which avoids an error of oneDNN. */
import { stridedSlice, tidy } from "@tensorflow/tfjs-core";
import type {
  Conv2DBackpropFilterAttrs,
  KernelConfig,
  KernelFunc,
  Tensor,
  Tensor4D,
} from "@tensorflow/tfjs-core";
import type { KernelArgs } from "../tensorflow-backend.ts";

/**
 * Computes Conv2DBackpropFilter of 1x1 filters with a stride, on the CPU. oneDNN's kernel for it writes
 * beyond its workspace when the input has fewer than 16 channels and the processor AVX-512 (TensorFlow 2.21):
 * the process dies later, of a corrupted heap. Such a filter reads only every stride-th pixel, so those are
 * extracted first; then the stride is 1. All other gradients go to `original`, tfjs-node's kernel.
 */
export function stridedPointGradient(original: KernelConfig): KernelConfig {
  const call = original.kernelFunc as unknown as (args: object) => Tensor;
  const kernelFunc = ({
    inputs,
    attrs,
    backend,
  }: KernelArgs<"x" | "dy", Conv2DBackpropFilterAttrs>): Tensor => {
    const [filterHeight, filterWidth] = attrs.filterShape;
    const [strideY, strideX] =
      typeof attrs.strides === "number" ? [attrs.strides, attrs.strides] : attrs.strides;
    const isPoint =
      filterHeight === 1 &&
      filterWidth === 1 &&
      strideY * strideX > 1 &&
      (attrs.pad === "valid" || attrs.pad === "same" || attrs.pad === 0);
    if (!isPoint || attrs.dataFormat !== "NHWC" || backend.isUsingGpuDevice)
      return call({ inputs, attrs, backend });
    return tidy(() => {
      const { x, dy } = inputs;
      const seen = stridedSlice(x as Tensor4D, [0, 0, 0, 0], x.shape, [1, strideY, strideX, 1]);
      return call({ inputs: { x: seen, dy }, attrs: { ...attrs, strides: [1, 1], pad: "valid" }, backend });
    });
  };
  return { ...original, kernelFunc: kernelFunc as unknown as KernelFunc };
}
