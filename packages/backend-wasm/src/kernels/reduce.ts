/** Kernels of sum and mean over outer axes. */
import { backend_util, util } from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { allocate, builtin, call, floats, kernel, sizeOf } from "../heap.ts";

interface Attrs {
  readonly axis: number | number[];
  readonly keepDims: boolean;
}

/**
 * Makes the kernel of Sum or Mean over neighbouring axes that are not the innermost: the sums of each channel
 * of a feature map, which are the gradients of biases. TensorFlow.js would transpose the whole map first.
 */
function reducer(name: "Sum" | "Mean"): KernelConfig {
  const original = builtin(name);
  return kernel<{ x: TensorInfo }, Attrs>(
    name,
    ({ inputs: { x }, attrs, backend }) => {
      const axes = util.parseAxisParam(attrs.axis, x.shape).toSorted((a, b) => a - b);
      const first = axes[0] ?? 0;
      const last = axes.at(-1) ?? 0;
      const inner = sizeOf(x.shape.slice(last + 1));
      if (x.dtype !== "float32" || axes.length !== last - first + 1 || inner < 4)
        return call(original, backend, { x }, attrs);
      const outer = sizeOf(x.shape.slice(0, first));
      const count = sizeOf(x.shape.slice(first, last + 1));
      const [shape] = backend_util.computeOutAndReduceShapes(x.shape, axes);
      const out = allocate(backend, attrs.keepDims ? backend_util.expandShapeToKeepDim(shape, axes) : shape);
      const from = floats(backend, x);
      const to = floats(backend, out);
      const sums = new Float64Array(inner);
      let at = 0;
      for (let o = 0; o < outer; o++) {
        sums.fill(0);
        for (let n = 0; n < count; n++) {
          for (let i = 0; i < inner; i++) sums[i] = sums[i]! + from[at++]!;
        }
        for (let i = 0; i < inner; i++) to[o * inner + i] = name === "Mean" ? sums[i]! / count : sums[i]!;
      }
      return out;
    },
    original,
  );
}

export const sum: KernelConfig = reducer("Sum");
export const mean: KernelConfig = reducer("Mean");
