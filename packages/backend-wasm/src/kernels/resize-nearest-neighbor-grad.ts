/** Kernel of the gradient of nearest-neighbour resizing. */
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { allocate, builtin, floats, kernel } from "../heap.ts";

interface Attrs {
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
}

/** Returns for each output coordinate the input coordinate that the forward resize reads. */
function sources(from: number, to: number, { alignCorners, halfPixelCenters }: Attrs): Int32Array {
  const scale = alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to;
  return Int32Array.from({ length: to }, (_, i) => {
    const at = halfPixelCenters ? (i + 0.5) * scale : i * scale;
    return Math.min(from - 1, alignCorners ? Math.round(at) : Math.floor(at));
  });
}

/** Adds every output pixel's gradient to the pixel it was read from. */
export const resizeNearestNeighborGrad: KernelConfig = kernel<{ images: TensorInfo; dy: TensorInfo }, Attrs>(
  "ResizeNearestNeighborGrad",
  ({ inputs: { images, dy }, attrs, backend }) => {
    const [batch, height, width, channels] = images.shape as [number, number, number, number];
    const rows = sources(height, dy.shape[1]!, attrs);
    const columns = sources(width, dy.shape[2]!, attrs);
    const out = allocate(backend, images.shape);
    const from = floats(backend, dy);
    const to = floats(backend, out);
    to.fill(0);
    let at = 0;
    for (let b = 0; b < batch; b++) {
      for (const y of rows) {
        const line = (b * height + y) * width;
        for (const x of columns) {
          const base = (line + x) * channels;
          for (let c = 0; c < channels; c++) to[base + c] = to[base + c]! + from[at++]!;
        }
      }
    }
    return out;
  },
  builtin("ResizeNearestNeighborGrad"),
);
