/** Bilinear upsampling, as torch's `interpolate`. */
import { image, matMul, reshape, tensor3d } from "@tensorflow/tfjs-core";
import type { Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import type { ImageSize } from "@mrcnn/core";
import { withGradient } from "./with-gradient.ts";

/**
 * Resizes `x` [B, H, W, C] bilinearly to a larger size, pixel centres at half integers, as torch's
 * `interpolate(mode="bilinear", align_corners=False)`.
 */
export function upsampleBilinear(x: Tensor4D, { height, width }: ImageSize): Tensor4D {
  const [batch, fromHeight, fromWidth, channels] = x.shape;
  return withGradient<Tensor4D>(
    { x },
    () => image.resizeBilinear(x, [height, width], false, true),
    // TensorFlow.js's own gradient ignores half-pixel centres.
    (dy) => ({
      x: () => {
        const rows = matMul(
          spread(fromWidth, width),
          reshape(dy, [batch * height, width, channels]) as Tensor3D,
        );
        const dx = matMul(
          spread(fromHeight, height),
          reshape(rows, [batch, height, fromWidth * channels]) as Tensor3D,
        );
        return reshape(dx, [batch, fromHeight, fromWidth, channels]);
      },
    }),
  );
}

// Weights [1, from, to] of each of `from` input pixels in each of `to` output pixels.
function spread(from: number, to: number): Tensor3D {
  const weights = new Float32Array(from * to);
  for (let i = 0; i < to; i++) {
    const at = Math.max(((i + 0.5) * from) / to - 0.5, 0);
    const low = Math.min(Math.floor(at), from - 1);
    const share = at - low;
    weights[low * to + i]! += 1 - share;
    weights[Math.min(low + 1, from - 1) * to + i]! += share;
  }
  return tensor3d(weights, [1, from, to]);
}
