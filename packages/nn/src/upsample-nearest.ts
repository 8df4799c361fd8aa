import { avgPool, concat, engine, image, mul, ResizeNearestNeighborGrad, slice } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import type { ImageSize } from "@mrcnn/core";
import { withGradient } from "./with-gradient.ts";

/** Nearest-neighbour resize of `x` [B, H, W, C]: output pixel i reads input pixel floor(i * in / out), as torch's `nearest`. */
export function upsampleNearest(x: Tensor4D, { height, width }: ImageSize): Tensor4D {
  return withGradient<Tensor4D>(
    { x },
    (save) => {
      save([x]);
      return image.resizeNearestNeighbor(x, [height, width]);
    },
    (dy, [saved]) => ({
      x: () => {
        const images = saved as Tensor4D;
        const rows = height / images.shape[1];
        const columns = width / images.shape[2];
        // By a whole factor, as in a pyramid of padded images, a pixel's gradient is the sum of its block.
        if (Number.isInteger(rows) && Number.isInteger(columns)) return mul(avgPool(dy, [rows, columns], [rows, columns], "valid"), rows * columns);
        // One image at a time: the cpu backend's kernel reads the other images of a batch at wrong places.
        const one = (t: Tensor4D, b: number): Tensor4D => slice(t, [b, 0, 0, 0], [1, ...t.shape.slice(1)] as [number, number, number, number]);
        return concat(
          Array.from({ length: dy.shape[0] }, (_, b) =>
            engine().runKernel(ResizeNearestNeighborGrad, { dy: one(dy, b), images: one(images, b) }, { alignCorners: false, halfPixelCenters: false }) as Tensor,
          ),
        );
      },
    }),
  );
}
