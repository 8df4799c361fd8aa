/** Group normalization and its gradients over typed arrays, as torch.nn.GroupNorm. */

/** Attributes of group normalization. */
export interface GroupNormAttrs {
  /** Number of groups, which must divide the channels; a group is a run of neighbouring channels. */
  readonly groups: number;
  readonly eps: number;
}

/**
 * Computes group normalization over typed arrays: `x` and `y` [B, H, W, C] of `shape`, `weight` and `bias`
 * [C], `mean` and `rstd` [B, groups] (1 / sqrt(biased variance + eps)). Fills `y`, `mean` and `rstd`. Sums
 * are taken in double precision, so one pass finds both moments.
 */
export function groupNormForward(
  x: Float32Array,
  shape: readonly [number, number, number, number],
  weight: Float32Array,
  bias: Float32Array,
  { groups, eps }: GroupNormAttrs,
  y: Float32Array,
  mean: Float32Array,
  rstd: Float32Array,
): void {
  const [batch, height, width, channels] = shape;
  const pixels = height * width;
  const perGroup = channels / groups;
  const count = pixels * perGroup;
  const sum = new Float64Array(channels);
  const square = new Float64Array(channels);
  const scale = new Float32Array(channels);
  const shift = new Float32Array(channels);
  for (let b = 0; b < batch; b++) {
    const start = b * pixels * channels;
    const end = start + pixels * channels;
    sum.fill(0);
    square.fill(0);
    for (let i = start; i < end;) {
      for (let c = 0; c < channels; c++, i++) {
        const v = x[i]!;
        sum[c] = sum[c]! + v;
        square[c] = square[c]! + v * v;
      }
    }
    for (let g = 0; g < groups; g++) {
      let s = 0;
      let q = 0;
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
        s += sum[c]!;
        q += square[c]!;
      }
      const m = s / count;
      const r = 1 / Math.sqrt(Math.max(0, q / count - m * m) + eps);
      mean[b * groups + g] = m;
      rstd[b * groups + g] = r;
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
        scale[c] = r * weight[c]!;
        shift[c] = bias[c]! - m * r * weight[c]!;
      }
    }
    for (let i = start; i < end;) {
      for (let c = 0; c < channels; c++, i++) y[i] = x[i]! * scale[c]! + shift[c]!;
    }
  }
}

/**
 * Computes the gradients of `groupNormForward` in closed form: fills `dx` [B, H, W, C], `dweight` and `dbias`
 * [C] from `dy`, the forward pass's inputs and its results `mean` and `rstd` [B, groups].
 */
export function groupNormBackward(
  dy: Float32Array,
  x: Float32Array,
  shape: readonly [number, number, number, number],
  weight: Float32Array,
  mean: Float32Array,
  rstd: Float32Array,
  { groups }: Pick<GroupNormAttrs, "groups">,
  dx: Float32Array,
  dweight: Float32Array,
  dbias: Float32Array,
): void {
  const [batch, height, width, channels] = shape;
  const pixels = height * width;
  const perGroup = channels / groups;
  const count = pixels * perGroup;
  const sumDy = new Float64Array(channels);
  const sumDyX = new Float64Array(channels);
  // dx = dy * ofDy + x * ofX + constant, with these per channel.
  const ofDy = new Float32Array(channels);
  const ofX = new Float32Array(channels);
  const constant = new Float32Array(channels);
  const totalWeight = new Float64Array(channels);
  const totalBias = new Float64Array(channels);
  for (let b = 0; b < batch; b++) {
    const start = b * pixels * channels;
    const end = start + pixels * channels;
    sumDy.fill(0);
    sumDyX.fill(0);
    for (let i = start; i < end;) {
      for (let c = 0; c < channels; c++, i++) {
        const d = dy[i]!;
        sumDy[c] = sumDy[c]! + d;
        sumDyX[c] = sumDyX[c]! + d * x[i]!;
      }
    }
    for (let g = 0; g < groups; g++) {
      const m = mean[b * groups + g]!;
      const r = rstd[b * groups + g]!;
      let s = 0; // sum of dL/dx̂ over the group
      let q = 0; // sum of dL/dx̂ * x̂
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
        const dot = (sumDyX[c]! - m * sumDy[c]!) * r;
        totalWeight[c] = totalWeight[c]! + dot;
        totalBias[c] = totalBias[c]! + sumDy[c]!;
        s += sumDy[c]! * weight[c]!;
        q += dot * weight[c]!;
      }
      const slope = (-q * r * r) / count;
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
        ofDy[c] = r * weight[c]!;
        ofX[c] = slope;
        constant[c] = (-s * r) / count - slope * m;
      }
    }
    for (let i = start; i < end;) {
      for (let c = 0; c < channels; c++, i++) dx[i] = dy[i]! * ofDy[c]! + x[i]! * ofX[c]! + constant[c]!;
    }
  }
  dweight.set(totalWeight);
  dbias.set(totalBias);
}
