/**
 * Adds each value of dy [batch, outH, outW, C] to dx at the first largest value of its window of x
 * [batch, inH, inW, C], four channels at a time. dx comes in zeroed. Images [first, last) only.
 */
export function maxPoolGradient(
  x: usize, dy: usize, dx: usize, inH: i32, inW: i32, outH: i32, outW: i32, channels: i32,
  kh: i32, kw: i32, sh: i32, sw: i32, padTop: i32, padLeft: i32, first: i32, last: i32,
): void {
  const pixel = channels * 4;
  let g = dy + <usize>(first * outH * outW * pixel);
  for (let b = first; b < last; b++) {
    for (let row = 0; row < outH; row++) {
      const top = row * sh - padTop;
      const y0 = max(0, top), y1 = min(inH, top + kh);
      for (let column = 0; column < outW; column++, g += pixel) {
        const left = column * sw - padLeft;
        const x0 = max(0, left), x1 = min(inW, left + kw);
        let c = 0;
        for (; c + 4 <= channels; c += 4) {
          let best = f32x4.splat(-Infinity);
          let where = i32x4.splat(-1);
          for (let y = y0; y < y1; y++) {
            let at = <usize>(((b * inH + y) * inW + x0) * pixel + c * 4);
            for (let i = x0; i < x1; i++, at += pixel) {
              const v = v128.load(x + at);
              const more = f32x4.gt(v, best);
              best = v128.bitselect(v, best, more);
              where = v128.bitselect(i32x4.splat(<i32>at), where, more);
            }
          }
          const d = v128.load(g + <usize>(c * 4));
          add(dx, i32x4.extract_lane(where, 0), 0, f32x4.extract_lane(d, 0));
          add(dx, i32x4.extract_lane(where, 1), 4, f32x4.extract_lane(d, 1));
          add(dx, i32x4.extract_lane(where, 2), 8, f32x4.extract_lane(d, 2));
          add(dx, i32x4.extract_lane(where, 3), 12, f32x4.extract_lane(d, 3));
        }
        for (; c < channels; c++) {
          let best: f32 = -Infinity;
          let where = -1;
          for (let y = y0; y < y1; y++) {
            let at = <usize>(((b * inH + y) * inW + x0) * pixel + c * 4);
            for (let i = x0; i < x1; i++, at += pixel) {
              const v = load<f32>(x + at);
              if (v > best) {
                best = v;
                where = <i32>at;
              }
            }
          }
          add(dx, where, 0, load<f32>(g + <usize>(c * 4)));
        }
      }
    }
  }
}

// Where all of a window is NaN, or it lies outside, nothing was larger and nothing gets the gradient.
// @ts-ignore: decorator
@inline
function add(dx: usize, where: i32, lane: i32, d: f32): void {
  if (where == -1) return;
  const at = dx + <usize>where + <usize>lane;
  store<f32>(at, load<f32>(at) + d);
}
