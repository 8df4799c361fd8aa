/** Max pooling, as torch.nn.MaxPool2d and Keras's MaxPooling2D. */
import { maxPool as tfMaxPool, pad, reshape, slice, tidy } from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";

/** Options of max pooling, in pixels; both axes are treated alike. */
export interface MaxPoolOptions {
  readonly size: number;
  readonly stride: number;
  /**
   * Pixels of -infinity added on each side, as in torch; "same" is TensorFlow's padding to ceil(H / stride)
   * outputs. Default 0.
   */
  readonly padding?: number | "same";
}

/**
 * Returns the maximum of each `size` × `size` window of `x` [B, H, W, C], where H' = floor((H + 2
 * padding - size) / stride) + 1. As torch.nn.MaxPool2d, or Keras's MaxPooling2D with "same".
 */
export function maxPool(x: Tensor4D, { size, stride, padding = 0 }: MaxPoolOptions): Tensor4D {
  return tidy(() => {
    if (size === 1 && padding === 0) return subsample(x, stride);
    if (padding === 0 || padding === "same")
      return tfMaxPool(x, size, stride, padding === 0 ? "valid" : "same");
    // Backends differ on explicit padding, so it is added here; after the end only as much as a window
    // reaches.
    const after = (n: number): number => {
      const windows = Math.floor((n + 2 * padding - size) / stride) + 1;
      return Math.max(0, (windows - 1) * stride + size - n - padding);
    };
    const [, height, width] = x.shape;
    const padded = pad(
      x,
      [
        [0, 0],
        [padding, after(height)],
        [padding, after(width)],
        [0, 0],
      ],
      -Infinity,
    );
    return tfMaxPool(padded, size, stride, "valid");
  });
}

// Keeps every stride-th pixel. The wasm backend's pooling refuses windows of one pixel, and a strided slice
// has no gradient, so rows and columns are grouped by reshaping and the first of each group is kept.
function subsample(x: Tensor4D, stride: number): Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const rows = Math.ceil(height / stride);
  const columns = Math.ceil(width / stride);
  const whole = pad(x, [
    [0, 0],
    [0, rows * stride - height],
    [0, columns * stride - width],
    [0, 0],
  ]);
  const row = columns * stride * channels;
  const firstRows = slice(
    reshape(whole, [batch * rows, stride * row]) as Tensor2D,
    [0, 0],
    [batch * rows, row],
  );
  const groups = reshape(firstRows, [batch * rows * columns, stride * channels]) as Tensor2D;
  return reshape(slice(groups, [0, 0], [batch * rows * columns, channels]), [batch, rows, columns, channels]);
}
