// A forward convolution over an input that already has its padding: y[p, o] = sum over taps and
// channels of x[pixel p under the tap, c] * w[tap, c, o], plus a bias, then relu.
//
// Weights are packed by 8 output channels. Four output pixels at a time, wherever they lie, are four
// addresses in x to which every tap adds the same offset; 4 x 8 sums stay in registers over a
// run of channels.

/** Rows [first, last) of all images, each [inH, inW * C] put into [inH + top + bottom, left + ... + right]. */
export function padRows(
  x: usize, to: usize, inH: i32, inW: i32, channels: i32, top: i32, left: i32, outH: i32, outW: i32, first: i32, last: i32,
): void {
  const line = <usize>(outW * channels * 4);
  const inLine = <usize>(inW * channels * 4);
  const before = <usize>(left * channels * 4);
  for (let r = first; r < last; r++) {
    const image = r / outH;
    const y = r % outH - top;
    const at = to + <usize>r * line;
    if (y < 0 || y >= inH) {
      memory.fill(at, 0, line);
      continue;
    }
    memory.fill(at, 0, before);
    memory.copy(at + before, x + <usize>(image * inH + y) * inLine, inLine);
    memory.fill(at + before + inLine, 0, line - before - inLine);
  }
}

/** Tiles [first, last) of 8 output channels of w [rows, co] as [tile][rows][8], filled up with 0. */
export function packWeights(w: usize, to: usize, rows: i32, co: i32, first: i32, last: i32): void {
  const line = <usize>(co * 4);
  for (let t = first; t < last; t++) {
    let p = to + <usize>(t * rows * 32);
    let q = w + <usize>(t * 32);
    const count = co - t * 8;
    if (count >= 8) {
      for (let r = 0; r < rows; r++, p += 32, q += line) {
        v128.store(p, v128.load(q));
        v128.store(p, v128.load(q, 16), 16);
      }
    } else {
      for (let r = 0; r < rows; r++, p += 32, q += line) {
        for (let i = 0; i < 8; i++) store<f32>(p + (<usize>i << 2), i < count ? load<f32>(q + (<usize>i << 2)) : 0);
      }
    }
  }
}

// Bytes of x that one sum takes up before it is added to the whole: rounding grows with the length of a sum,
// and these are thousands of terms.
const TERMS: usize = 4 * 128;

// Pixels of a block: their inputs stay in the second cache while every tile of output channels passes over them.
const PIXELS: i32 = 128;

// @ts-ignore: decorator
@inline
function finish(y: usize, a: v128, b: v128, relu: bool, count: i32): void {
  if (relu) {
    a = f32x4.max(a, f32x4.splat(0));
    b = f32x4.max(b, f32x4.splat(0));
  }
  if (count >= 8) {
    v128.store(y, a);
    v128.store(y, b, 16);
    return;
  }
  const stop = min(4, count);
  if (stop == 4) v128.store(y, a);
  else {
    store<f32>(y, f32x4.extract_lane(a, 0));
    if (stop > 1) store<f32>(y + 4, f32x4.extract_lane(a, 1));
    if (stop > 2) store<f32>(y + 8, f32x4.extract_lane(a, 2));
  }
  if (count > 4) store<f32>(y + 16, f32x4.extract_lane(b, 0));
  if (count > 5) store<f32>(y + 20, f32x4.extract_lane(b, 1));
  if (count > 6) store<f32>(y + 24, f32x4.extract_lane(b, 2));
}

/**
 * Four pixels by eight output channels. `x0` is the first pixel's address, `x1` to `x3` are how far the
 * others lie from it; runs of `length` bytes, `down` apart by tap row and `across` within a row.
 *
 * Exported only to remain a function: inlined, its pointers' divisions end up inside the loop.
 */
export function convolveTile(
  x0: usize, x1: usize, x2: usize, x3: usize, w: usize, bias: usize, to: usize, outPixel: usize,
  kh: i32, runs: i32, length: usize, down: usize, across: usize, relu: i32, pixels: i32, count: i32,
): void {
  const zero = f32x4.splat(0);
  let sumA0 = zero, sumA1 = zero;
  if (bias != 0) {
    sumA0 = v128.load(bias);
    sumA1 = v128.load(bias, 16);
  }
  let sumB0 = sumA0, sumB1 = sumA1, sumC0 = sumA0, sumC1 = sumA1, sumD0 = sumA0, sumD1 = sumA1;
  for (let ky = 0; ky < kh; ky++, x0 += down) {
    let begin = x0;
    for (let kx = 0; kx < runs; kx++, begin += across) {
      const end = begin + length;
      for (let from = begin; from < end; from += TERMS) {
        const stop = min(end, from + TERMS);
        let a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero;
        for (let q = from; q < stop; q += 4, w += 32) {
          const w0 = v128.load(w), w1 = v128.load(w, 16);
          let s = v128.load32_splat(q);
          a0 = f32x4.add(a0, f32x4.mul(s, w0));
          a1 = f32x4.add(a1, f32x4.mul(s, w1));
          s = v128.load32_splat(q + x1);
          b0 = f32x4.add(b0, f32x4.mul(s, w0));
          b1 = f32x4.add(b1, f32x4.mul(s, w1));
          s = v128.load32_splat(q + x2);
          c0 = f32x4.add(c0, f32x4.mul(s, w0));
          c1 = f32x4.add(c1, f32x4.mul(s, w1));
          s = v128.load32_splat(q + x3);
          d0 = f32x4.add(d0, f32x4.mul(s, w0));
          d1 = f32x4.add(d1, f32x4.mul(s, w1));
        }
        sumA0 = f32x4.add(sumA0, a0);
        sumA1 = f32x4.add(sumA1, a1);
        sumB0 = f32x4.add(sumB0, b0);
        sumB1 = f32x4.add(sumB1, b1);
        sumC0 = f32x4.add(sumC0, c0);
        sumC1 = f32x4.add(sumC1, c1);
        sumD0 = f32x4.add(sumD0, d0);
        sumD1 = f32x4.add(sumD1, d1);
      }
    }
  }
  finish(to, sumA0, sumA1, relu != 0, count);
  if (pixels > 1) finish(to + outPixel, sumB0, sumB1, relu != 0, count);
  if (pixels > 2) finish(to + 2 * outPixel, sumC0, sumC1, relu != 0, count);
  if (pixels > 3) finish(to + 3 * outPixel, sumD0, sumD1, relu != 0, count);
}

/**
 * Output pixels [first, last) of all images. x [batch, inH, inW, ci] with its padding; `weights` from
 * `packWeights` of [kh * kw * ci, co]; `bias` [8 * tiles] or 0; y [batch, outH, outW, co]. `scratch`
 * holds 1024 bytes.
 */
export function convolve(
  x: usize, weights: usize, bias: usize, y: usize, scratch: usize,
  inH: i32, inW: i32, ci: i32, outH: i32, outW: i32, co: i32, kh: i32, kw: i32, sh: i32, sw: i32, dh: i32, dw: i32,
  relu: i32, first: i32, last: i32,
): void {
  const pixel = ci * 4;
  const tiles = (co + 7) / 8;
  const panel = kh * kw * ci * 32;
  const outPixel = <usize>(co * 4);
  // Neighbouring taps of a row follow each other in memory: one run of kw * ci values.
  const joined = dw == 1;
  const runs = joined ? 1 : kw;
  const length = <usize>(joined ? kw * pixel : pixel);
  const down = <usize>(dh * inW * pixel);
  const across = <usize>(dw * pixel);

  for (let block = first; block < last; block += PIXELS) {
    const end = min(last, block + PIXELS);
    // Where each pixel's window begins; divisions are slow, and every tile needs the same.
    for (let p = block; p < end; p++) {
      const row = p / outW;
      const at = ((row / outH) * inH + (row % outH) * sh) * inW + (p % outW) * sw;
      store<usize>(scratch + (<usize>(p - block) << 2), x + <usize>at * <usize>pixel);
    }
    for (let t = 0; t < tiles; t++) {
      const w = weights + <usize>(t * panel);
      const from = bias == 0 ? bias : bias + <usize>(t * 32);
      for (let p = block; p < end; p += 4) {
        // Where fewer than four pixels are left, the last one is computed again.
        const many = min(4, end - p);
        const at = scratch + (<usize>(p - block) << 2);
        const x0 = load<usize>(at);
        const x1 = load<usize>(at + (<usize>min(1, many - 1) << 2));
        const x2 = load<usize>(at + (<usize>min(2, many - 1) << 2));
        const x3 = load<usize>(at + (<usize>min(3, many - 1) << 2));
        const to = y + <usize>p * outPixel + <usize>(t * 32);
        convolveTile(x0, x1 - x0, x2 - x0, x3 - x0, w, from, to, outPixel, kh, runs, length, down, across, relu, many, co - t * 8);
      }
    }
  }
}
