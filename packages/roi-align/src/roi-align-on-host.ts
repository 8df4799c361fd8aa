/** RoIAlign and its gradient over typed arrays. */
import { axisTaps } from "./interpolation.ts";
import type { AxisTaps } from "./interpolation.ts";
import type { RoiAlignAttrs, RoiAlignGradAttrs } from "./contract.ts";

type Shape4D = readonly [number, number, number, number];

// Calls `visit` for each bin of each RoI with the offsets and weights of the cells it reads.
function forEachBin(
  shape: Shape4D,
  boxes: Float32Array,
  imageIndex: Int32Array,
  attrs: RoiAlignAttrs,
  visit: (bin: number, count: number, offsets: Int32Array, weights: Float64Array) => void,
): void {
  const [, height, width, channels] = shape;
  const { outputHeight, outputWidth } = attrs;
  const widest = ({ starts }: AxisTaps): number =>
    starts.reduce((most, end, i) => Math.max(most, end - (starts[i - 1] ?? 0)), 0);
  let offsets = new Int32Array(64);
  let weights = new Float64Array(64);
  for (let r = 0, bin = 0; r < imageIndex.length; r++) {
    const ys = axisTaps(boxes[r * 4 + 1]!, boxes[r * 4 + 3]!, outputHeight, height, attrs);
    const xs = axisTaps(boxes[r * 4]!, boxes[r * 4 + 2]!, outputWidth, width, attrs);
    const most = widest(ys) * widest(xs);
    if (most > offsets.length) {
      offsets = new Int32Array(most);
      weights = new Float64Array(most);
    }
    const image = imageIndex[r]! * height;
    for (let h = 0; h < outputHeight; h++) {
      for (let w = 0; w < outputWidth; w++, bin++) {
        let count = 0;
        for (let y = ys.starts[h]!; y < ys.starts[h + 1]!; y++) {
          const row = (image + ys.cells[y]!) * width;
          const weight = ys.weights[y]!;
          for (let x = xs.starts[w]!; x < xs.starts[w + 1]!; x++) {
            offsets[count] = (row + xs.cells[x]!) * channels;
            weights[count++] = weight * xs.weights[x]!;
          }
        }
        visit(bin, count, offsets, weights);
      }
    }
  }
}

/**
 * Computes RoIAlign over typed arrays: `features` [B, H, W, C] of `featureShape`, `boxes` [R, 4] in image
 * pixels, `imageIndex` [R]; writes `out` [R, outputHeight, outputWidth, C]. Every cell that a bin reads is
 * visited once, channels innermost.
 */
export function roiAlignForward(
  features: Float32Array,
  featureShape: Shape4D,
  boxes: Float32Array,
  imageIndex: Int32Array,
  attrs: RoiAlignAttrs,
  out: Float32Array,
): void {
  const channels = featureShape[3];
  forEachBin(featureShape, boxes, imageIndex, attrs, (bin, count, offsets, weights) => {
    const start = bin * channels;
    if (count === 0) out.fill(0, start, start + channels);
    // Four cells per pass, which reads and writes `out` less often.
    for (let i = 0; i < count; i += 4) {
      const w0 = weights[i]!;
      const o0 = offsets[i]!;
      const w1 = i + 1 < count ? weights[i + 1]! : 0;
      const o1 = i + 1 < count ? offsets[i + 1]! : o0;
      const w2 = i + 2 < count ? weights[i + 2]! : 0;
      const o2 = i + 2 < count ? offsets[i + 2]! : o0;
      const w3 = i + 3 < count ? weights[i + 3]! : 0;
      const o3 = i + 3 < count ? offsets[i + 3]! : o0;
      for (let c = 0; c < channels; c++) {
        const value =
          w0 * features[o0 + c]! + w1 * features[o1 + c]! + w2 * features[o2 + c]! + w3 * features[o3 + c]!;
        out[start + c] = i === 0 ? value : out[start + c]! + value;
      }
    }
  });
}

/**
 * Computes the gradient of `roiAlignForward` with respect to the features: `dy`
 * [R, outputHeight, outputWidth, C]; writes `dx` of `attrs.inputShape` (overwritten).
 */
export function roiAlignBackward(
  dy: Float32Array,
  boxes: Float32Array,
  imageIndex: Int32Array,
  attrs: RoiAlignGradAttrs,
  dx: Float32Array,
): void {
  const channels = attrs.inputShape[3];
  dx.fill(0);
  forEachBin(attrs.inputShape, boxes, imageIndex, attrs, (bin, count, offsets, weights) => {
    const start = bin * channels;
    let i = 0;
    for (; i + 4 <= count; i += 4) {
      const w0 = weights[i]!;
      const o0 = offsets[i]!;
      const w1 = weights[i + 1]!;
      const o1 = offsets[i + 1]!;
      const w2 = weights[i + 2]!;
      const o2 = offsets[i + 2]!;
      const w3 = weights[i + 3]!;
      const o3 = offsets[i + 3]!;
      for (let c = 0; c < channels; c++) {
        const d = dy[start + c]!;
        dx[o0 + c]! += w0 * d;
        dx[o1 + c]! += w1 * d;
        dx[o2 + c]! += w2 * d;
        dx[o3 + c]! += w3 * d;
      }
    }
    for (; i < count; i++) {
      const weight = weights[i]!;
      const offset = offsets[i]!;
      for (let c = 0; c < channels; c++) dx[offset + c]! += weight * dy[start + c]!;
    }
  });
}
