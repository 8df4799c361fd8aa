// The gradient of a convolution's filter: dW[ky, kx, c, o] = sum over images and output pixels of
// x[pixel under the tap, c] * dy[pixel, o].
//
// The map is walked in blocks of some hundred output pixels. Each block's values are first packed
// into panels, x by 4 channels and dy by 8, so that the inner loop reads both in order whatever the
// number of channels; then every tile of 4 x 8 sums runs over the block in registers, for every tap.

const PIXELS: i32 = 256; // of a block: both panels of a tile then stay in the first cache

// @ts-ignore: decorator
@inline
function tiles(n: i32, width: i32): i32 {
  return (n + width - 1) / width;
}

// @ts-ignore: decorator
@inline
function rowsOfBlock(outH: i32, outW: i32): i32 {
  return min(outH, max(1, PIXELS / outW));
}

// @ts-ignore: decorator
@inline
function imagesOfBlock(batch: i32, outH: i32, outW: i32): i32 {
  return min(batch, max(1, PIXELS / (outH * outW)));
}

/** Bytes of scratch memory that `filterGradient` needs for its panels and sums. */
export function filterGradientScratch(
  batch: i32, outH: i32, outW: i32, ci: i32, co: i32, kh: i32, kw: i32, sh: i32, sw: i32, dh: i32, dw: i32,
): i32 {
  const rows = rowsOfBlock(outH, outW);
  const images = imagesOfBlock(batch, outH, outW);
  const inRows = (rows - 1) * sh + (kh - 1) * dh + 1;
  const inColumns = (outW - 1) * sw + (kw - 1) * dw + 1;
  const x = tiles(ci, 4) * images * inRows * inColumns * 16;
  const dy = tiles(co, 8) * images * rows * outW * 32;
  const sums = kh * kw * tiles(ci, 4) * tiles(co, 8) * 128;
  return x + dy + sums;
}

// Four neighbouring values, of which only the first `count` exist.
// @ts-ignore: decorator
@inline
function loadSome(at: usize, count: i32): v128 {
  if (count >= 4) return v128.load(at);
  let v = v128.load32_zero(at);
  if (count > 1) v = f32x4.replace_lane(v, 1, load<f32>(at + 4));
  if (count > 2) v = f32x4.replace_lane(v, 2, load<f32>(at + 8));
  return v;
}

/**
 * Writes the part of `dw` [kh, kw, ci, co] whose output channels lie in tiles [first, last) of 8;
 * threads share the tiles. x [batch, inH, inW, ci], dy [batch, outH, outW, co]. With `add`, adds to
 * what is in `out`.
 */
export function filterGradient(
  x: usize, dy: usize, out: usize, scratch: usize,
  batch: i32, inH: i32, inW: i32, ci: i32, outH: i32, outW: i32, co: i32,
  kh: i32, kw: i32, sh: i32, sw: i32, dh: i32, dw: i32, padTop: i32, padLeft: i32,
  first: i32, last: i32, add: i32,
): void {
  const rows = rowsOfBlock(outH, outW);
  const images = imagesOfBlock(batch, outH, outW);
  const inColumns = (outW - 1) * sw + (kw - 1) * dw + 1;
  const mostInRows = (rows - 1) * sh + (kh - 1) * dh + 1;
  const ciTiles = tiles(ci, 4);
  const mine = last - first;
  const xPanel = images * mostInRows * inColumns * 16;
  const dyPanel = images * rows * outW * 32;
  const xs = scratch;
  const dys = xs + <usize>(ciTiles * xPanel);
  const sums = dys + <usize>(mine * dyPanel);
  const tapBytes = ciTiles * mine * 128;
  memory.fill(sums, 0, <usize>(kh * kw * tapBytes));
  const zero = f32x4.splat(0);

  for (let b0 = 0; b0 < batch; b0 += images) {
    const imagesHere = min(images, batch - b0);
    for (let r0 = 0; r0 < outH; r0 += rows) {
      const rowsHere = min(rows, outH - r0);
      const inRows = (rowsHere - 1) * sh + (kh - 1) * dh + 1;

      // Pack x: [tile of 4 channels][image][row][column][4].
      for (let b = 0; b < imagesHere; b++) {
        for (let j = 0; j < inRows; j++) {
          const y = r0 * sh - padTop + j;
          const line = x + <usize>(((b0 + b) * inH + y) * inW * ci) * 4;
          const begin = max(0, min(inColumns, padLeft));
          const end = y < 0 || y >= inH ? begin : max(begin, min(inColumns, inW + padLeft));
          for (let t = 0; t < ciTiles; t++) {
            let to = xs + <usize>(t * xPanel + (b * mostInRows + j) * inColumns * 16);
            for (let i = 0; i < begin; i++, to += 16) v128.store(to, zero);
            let from = line + <usize>(((begin - padLeft) * ci + t * 4) * 4);
            const count = ci - t * 4;
            if (count >= 4) {
              for (let i = begin; i < end; i++, to += 16, from += ci * 4) v128.store(to, v128.load(from));
            } else {
              for (let i = begin; i < end; i++, to += 16, from += ci * 4) v128.store(to, loadSome(from, count));
            }
            for (let i = end; i < inColumns; i++, to += 16) v128.store(to, zero);
          }
        }
      }

      // Pack dy: [tile of 8 channels][image][row][column][8].
      for (let t = 0; t < mine; t++) {
        const channel = (first + t) * 8;
        const count = co - channel;
        for (let b = 0; b < imagesHere; b++) {
          let from = dy + <usize>((((b0 + b) * outH + r0) * outW * co + channel) * 4);
          let to = dys + <usize>(t * dyPanel + b * rows * outW * 32);
          const pixels = rowsHere * outW;
          for (let i = 0; i < pixels; i++, to += 32, from += co * 4) {
            if (count >= 8) {
              v128.store(to, v128.load(from));
              v128.store(to, v128.load(from, 16), 16);
            } else {
              v128.store(to, loadSome(from, count));
              v128.store(to, count > 4 ? loadSome(from + 16, count - 4) : zero, 16);
            }
          }
        }
      }

      for (let o = 0; o < mine; o++) {
        for (let c = 0; c < ciTiles; c++) {
          for (let ky = 0; ky < kh; ky++) {
            for (let kx = 0; kx < kw; kx++) {
              const sum = sums + <usize>((ky * kw + kx) * tapBytes + (o * ciTiles + c) * 128);
              let a0 = v128.load(sum), a1 = v128.load(sum, 16), b0_ = v128.load(sum, 32), b1 = v128.load(sum, 48);
              let c0 = v128.load(sum, 64), c1 = v128.load(sum, 80), d0 = v128.load(sum, 96), d1 = v128.load(sum, 112);
              for (let b = 0; b < imagesHere; b++) {
                for (let r = 0; r < rowsHere; r++) {
                  let p = xs + <usize>(c * xPanel + ((b * mostInRows + r * sh + ky * dh) * inColumns + kx * dw) * 16);
                  let q = dys + <usize>(o * dyPanel + (b * rows + r) * outW * 32);
                  const stop = q + <usize>(outW * 32);
                  for (; q < stop; q += 32, p += sw * 16) {
                    const g0 = v128.load(q), g1 = v128.load(q, 16);
                    let s = v128.load32_splat(p);
                    a0 = f32x4.add(a0, f32x4.mul(s, g0));
                    a1 = f32x4.add(a1, f32x4.mul(s, g1));
                    s = v128.load32_splat(p, 4);
                    b0_ = f32x4.add(b0_, f32x4.mul(s, g0));
                    b1 = f32x4.add(b1, f32x4.mul(s, g1));
                    s = v128.load32_splat(p, 8);
                    c0 = f32x4.add(c0, f32x4.mul(s, g0));
                    c1 = f32x4.add(c1, f32x4.mul(s, g1));
                    s = v128.load32_splat(p, 12);
                    d0 = f32x4.add(d0, f32x4.mul(s, g0));
                    d1 = f32x4.add(d1, f32x4.mul(s, g1));
                  }
                }
              }
              v128.store(sum, a0); v128.store(sum, a1, 16); v128.store(sum, b0_, 32); v128.store(sum, b1, 48);
              v128.store(sum, c0, 64); v128.store(sum, c1, 80); v128.store(sum, d0, 96); v128.store(sum, d1, 112);
            }
          }
        }
      }
    }
  }

  // From tiles to [kh, kw, ci, co], without the padding channels.
  for (let tap = 0; tap < kh * kw; tap++) {
    for (let o = 0; o < mine; o++) {
      const channel = (first + o) * 8;
      const count = min(8, co - channel);
      for (let c = 0; c < ci; c++) {
        const from = sums + <usize>(tap * tapBytes + (o * ciTiles + c / 4) * 128 + (c % 4) * 32);
        const to = out + <usize>(((tap * ci + c) * co + channel) * 4);
        for (let i = 0; i < count; i++) {
          const v = load<f32>(from + i * 4);
          store<f32>(to + i * 4, add ? load<f32>(to + i * 4) + v : v);
        }
      }
    }
  }
}
