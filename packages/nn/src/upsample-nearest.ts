import { avgPool, image, matMul, mul, reshape, tensor2d, tidy, transpose } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import type { ImageSize } from "@mrcnn/core";
import { withGradient } from "./with-gradient.ts";

// [inputs, outputs], 1 where an output reads that input.
const readers = (inputs: number, outputs: number): Tensor2D => {
  const values = new Float32Array(inputs * outputs);
  for (let i = 0; i < outputs; i++) values[Math.floor((i * inputs) / outputs) * outputs + i] = 1;
  return tensor2d(values, [inputs, outputs]);
};

// Adds up what each input was read for. TensorFlow.js's own gradient of this op is wrong on the cpu backend
// for maps that are not square.
function sumReaders(dy: Tensor4D, [batch, height, width, channels]: readonly [number, number, number, number]): Tensor {
  const [, outHeight, outWidth] = dy.shape;
  if (outHeight === 2 * height && outWidth === 2 * width) return mul(avgPool(dy, 2, 2, "valid"), 4);
  const rows = matMul(readers(height, outHeight), reshape(transpose(dy, [1, 0, 2, 3]), [outHeight, batch * outWidth * channels]));
  const columns = transpose(reshape(rows, [height, batch, outWidth, channels]), [2, 1, 0, 3]);
  const sums = matMul(readers(width, outWidth), reshape(columns, [outWidth, batch * height * channels]));
  return transpose(reshape(sums, [width, batch, height, channels]), [1, 2, 0, 3]);
}

/** Nearest-neighbour resize of `x` [B, H, W, C]: output pixel i reads input pixel floor(i * in / out), as torch's `nearest`. */
export function upsampleNearest(x: Tensor4D, size: ImageSize): Tensor4D {
  return withGradient(
    { x },
    () => image.resizeNearestNeighbor(x, [size.height, size.width]),
    (dy) => ({ x: () => tidy(() => sumReaders(dy, x.shape)) }),
  );
}
