// Group normalization of x [B, pixels, C]. Sums are taken in double precision, so that one pass over
// x finds both moments.

// sums [2][C] doubles: of a and of a * b, over the pixels of one image.
function moments(a: usize, b: usize, pixels: i32, channels: i32, sums: usize): void {
  memory.fill(sums, 0, <usize>(channels * 16));
  const products = sums + <usize>(channels * 8);
  const row = channels * 4;
  // Sixteen pixels are added up in single precision before they join the double sums.
  let c = 0;
  for (; c + 4 <= channels; c += 4) {
    let s0 = f64x2.splat(0), s1 = f64x2.splat(0), p0 = f64x2.splat(0), p1 = f64x2.splat(0);
    let at = <usize>(c * 4);
    let n = 0;
    while (n < pixels) {
      const stop = min(pixels, n + 16);
      let s = f32x4.splat(0), p = f32x4.splat(0);
      for (; n < stop; n++, at += row) {
        const v = v128.load(a + at);
        s = f32x4.add(s, v);
        p = f32x4.add(p, f32x4.mul(v, v128.load(b + at)));
      }
      s0 = f64x2.add(s0, f64x2.promote_low_f32x4(s));
      s1 = f64x2.add(s1, f64x2.promote_low_f32x4(v128.shuffle<f32>(s, s, 2, 3, 2, 3)));
      p0 = f64x2.add(p0, f64x2.promote_low_f32x4(p));
      p1 = f64x2.add(p1, f64x2.promote_low_f32x4(v128.shuffle<f32>(p, p, 2, 3, 2, 3)));
    }
    v128.store(sums + <usize>(c * 8), s0);
    v128.store(sums + <usize>(c * 8), s1, 16);
    v128.store(products + <usize>(c * 8), p0);
    v128.store(products + <usize>(c * 8), p1, 16);
  }
  for (; c < channels; c++) {
    let s: f64 = 0, p: f64 = 0;
    let at = <usize>(c * 4);
    for (let n = 0; n < pixels; n++, at += row) {
      const v = <f64>load<f32>(a + at);
      s += v;
      p += v * <f64>load<f32>(b + at);
    }
    store<f64>(sums + <usize>(c * 8), s);
    store<f64>(products + <usize>(c * 8), p);
  }
}

/**
 * y [B, pixels, C], mean and rstd [B, groups] of images [first, last). `scratch` holds C * 24 bytes.
 */
export function groupNormForward(
  x: usize, weight: usize, bias: usize, y: usize, mean: usize, rstd: usize, scratch: usize,
  pixels: i32, channels: i32, groups: i32, eps: f64, first: i32, last: i32,
): void {
  const perGroup = channels / groups;
  const count = <f64>pixels * <f64>perGroup;
  const sums = scratch;
  const squares = sums + <usize>(channels * 8);
  const scale = squares + <usize>(channels * 8);
  const shift = scale + <usize>(channels * 4);
  const image = pixels * channels * 4;
  for (let b = first; b < last; b++) {
    const from = x + <usize>(b * image);
    moments(from, from, pixels, channels, sums);
    for (let g = 0; g < groups; g++) {
      let s: f64 = 0, q: f64 = 0;
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
        s += load<f64>(sums + <usize>(c * 8));
        q += load<f64>(squares + <usize>(c * 8));
      }
      const m = s / count;
      const r = 1 / Math.sqrt(max(0, q / count - m * m) + eps);
      store<f32>(mean + <usize>((b * groups + g) * 4), <f32>m);
      store<f32>(rstd + <usize>((b * groups + g) * 4), <f32>r);
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
        const k = r * <f64>load<f32>(weight + <usize>(c * 4));
        store<f32>(scale + <usize>(c * 4), <f32>k);
        store<f32>(shift + <usize>(c * 4), <f32>(<f64>load<f32>(bias + <usize>(c * 4)) - m * k));
      }
    }
    let at: usize = 0;
    const row = <usize>(channels * 4);
    for (let n = 0; n < pixels; n++, at += row) {
      let i: usize = 0;
      for (; i + 16 <= row; i += 16) {
        const v = f32x4.add(f32x4.mul(v128.load(from + at + i), v128.load(scale + i)), v128.load(shift + i));
        v128.store(y + <usize>(b * image) + at + i, v);
      }
      for (; i < row; i += 4) {
        store<f32>(y + <usize>(b * image) + at + i, load<f32>(from + at + i) * load<f32>(scale + i) + load<f32>(shift + i));
      }
    }
  }
}

/**
 * dx [B, pixels, C], and the sums of dweight and dbias [C] of images [first, last) as doubles in
 * `totals` [2][C]. `scratch` holds C * 28 bytes.
 */
export function groupNormBackward(
  dy: usize, x: usize, weight: usize, mean: usize, rstd: usize, dx: usize, totals: usize, scratch: usize,
  pixels: i32, channels: i32, groups: i32, first: i32, last: i32,
): void {
  const perGroup = channels / groups;
  const count = <f64>pixels * <f64>perGroup;
  const sums = scratch;
  const products = sums + <usize>(channels * 8);
  const ofDy = products + <usize>(channels * 8);
  const ofX = ofDy + <usize>(channels * 4);
  const constant = ofX + <usize>(channels * 4);
  const image = pixels * channels * 4;
  const totalBias = totals + <usize>(channels * 8);
  memory.fill(totals, 0, <usize>(channels * 16));
  for (let b = first; b < last; b++) {
    const from = <usize>(b * image);
    moments(dy + from, x + from, pixels, channels, sums);
    for (let g = 0; g < groups; g++) {
      const m = <f64>load<f32>(mean + <usize>((b * groups + g) * 4));
      const r = <f64>load<f32>(rstd + <usize>((b * groups + g) * 4));
      let s: f64 = 0, q: f64 = 0; // sums over the group of dL/dx̂, and of dL/dx̂ * x̂
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
        const sum = load<f64>(sums + <usize>(c * 8));
        const dot = (load<f64>(products + <usize>(c * 8)) - m * sum) * r;
        const w = <f64>load<f32>(weight + <usize>(c * 4));
        const at = <usize>(c * 8);
        store<f64>(totals + at, load<f64>(totals + at) + dot);
        store<f64>(totalBias + at, load<f64>(totalBias + at) + sum);
        s += sum * w;
        q += dot * w;
      }
      const slope = (-q * r * r) / count;
      const rest = (-s * r) / count - slope * m;
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
        store<f32>(ofDy + <usize>(c * 4), <f32>(r * <f64>load<f32>(weight + <usize>(c * 4))));
        store<f32>(ofX + <usize>(c * 4), <f32>slope);
        store<f32>(constant + <usize>(c * 4), <f32>rest);
      }
    }
    let at = from;
    const row = <usize>(channels * 4);
    for (let n = 0; n < pixels; n++, at += row) {
      let i: usize = 0;
      for (; i + 16 <= row; i += 16) {
        const v = f32x4.add(
          f32x4.mul(v128.load(dy + at + i), v128.load(ofDy + i)),
          f32x4.add(f32x4.mul(v128.load(x + at + i), v128.load(ofX + i)), v128.load(constant + i)),
        );
        v128.store(dx + at + i, v);
      }
      for (; i < row; i += 4) {
        store<f32>(dx + at + i, load<f32>(dy + at + i) * load<f32>(ofDy + i) + load<f32>(x + at + i) * load<f32>(ofX + i) + load<f32>(constant + i));
      }
    }
  }
}
