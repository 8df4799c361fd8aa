/** Nearest-neighbour upsampling, as torch's `interpolate`, and its sum with a finer map. */
import {
  add,
  avgPool,
  concat,
  engine,
  image,
  mul,
  reshape,
  ResizeNearestNeighborGrad,
  slice,
} from "@tensorflow/tfjs-core";
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import { assertShape } from "@mrcnn/core";
import { runKernelOr } from "@mrcnn/core/tensors";
import type { ImageSize } from "@mrcnn/core";
import { upsampleAddContract } from "./kernel.ts";
import { withGradient } from "./with-gradient.ts";

const resized = (x: Tensor4D, height: number, width: number): Tensor4D =>
  image.resizeNearestNeighbor(x, [height, width]);

/**
 * Resizes `x` [B, H, W, C] by nearest neighbours: output pixel i reads input pixel floor(i * in / out), as
 * torch's `nearest`.
 */
export function upsampleNearest(x: Tensor4D, { height, width }: ImageSize): Tensor4D {
  return withGradient<Tensor4D>(
    { x },
    (save) => {
      save([x]);
      return resized(x, height, width);
    },
    (dy, [saved]) => ({ x: () => gradient(dy, saved as Tensor4D) }),
  );
}

/**
 * Adds `x` [B, H, W, C], enlarged as by `upsampleNearest`, to `finer` [B, H', W', C], which joins two levels
 * of a pyramid. Takes one pass where the backend has a kernel.
 *
 * @throws ShapeError unless both have as many images and channels.
 */
export function upsampleAdd(x: Tensor4D, finer: Tensor4D): Tensor4D {
  const [batch, height, width, channels] = finer.shape;
  assertShape(x, [batch, null, null, channels], "upsampleAdd", "x");
  return withGradient<Tensor4D>(
    { x, finer },
    (save) => {
      save([x]);
      return runKernelOr<Tensor4D>(upsampleAddContract, { x, finer }, {}, () =>
        add(finer, resized(x, height, width)),
      );
    },
    // A tensor of its own, since dy is disposed once the gradients are computed.
    (dy, [saved]) => ({ x: () => gradient(dy, saved as Tensor4D), finer: () => reshape(dy, dy.shape) }),
  );
}

function gradient(dy: Tensor4D, images: Tensor4D): Tensor4D {
  const [batch, height, width] = dy.shape;
  const rows = height / images.shape[1];
  const columns = width / images.shape[2];
  // For a whole factor, as in a pyramid of padded images, a pixel's gradient is the sum over its block.
  if (Number.isInteger(rows) && Number.isInteger(columns))
    return mul(avgPool(dy, [rows, columns], [rows, columns], "valid"), rows * columns);
  // One image at a time, since the cpu backend's kernel reads the other images of a batch at wrong offsets.
  const one = (t: Tensor4D, b: number): Tensor4D =>
    slice(t, [b, 0, 0, 0], [1, ...t.shape.slice(1)] as [number, number, number, number]);
  return concat(
    Array.from(
      { length: batch },
      (_, b) =>
        engine().runKernel(
          ResizeNearestNeighborGrad,
          { dy: one(dy, b), images: one(images, b) },
          { alignCorners: false, halfPixelCenters: false },
        ) as Tensor,
    ),
  ) as Tensor4D;
}
