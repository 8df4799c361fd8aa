// RoIAlign is separable: a bin's value is the sum over its rows and columns of weightY * weightX *
// feature. Both lists are made once for each roi; positions are rounded to float32 as torchvision's are.
//
// `scratch` holds, for either axis, starts i32 [bins + 1] and at most (size + 1) taps per bin, each a
// cell i32 and a weight f32; `roiScratch` says how much that is.

/** Bytes of scratch memory for one thread. */
export function roiScratch(height: i32, width: i32, outH: i32, outW: i32): i32 {
  return (outH + outW + 2) * 4 + (outH * (height + 1) + outW * (width + 1)) * 8;
}

// Fills starts and taps of one axis; returns where the taps end.
function axis(low: f32, high: f32, bins: i32, size: i32, scale: f32, ratio: i32, aligned: i32, starts: usize, taps: usize): usize {
  const offset: f32 = aligned ? 0.5 : 0;
  const begin = low * scale - offset;
  let extent = high * scale - offset - begin;
  if (!aligned) extent = max<f32>(extent, 1);
  const bin = extent / <f32>bins;
  const samples = ratio > 0 ? ratio : max(<i32>Mathf.ceil(bin), 0);
  const share: f32 = 1 / <f32>samples;
  let end = taps;
  for (let b = 0; b < bins; b++) {
    store<i32>(starts + (<usize>b << 2), <i32>((end - taps) >> 3));
    const first = end;
    const binBegin = begin + <f32>b * bin;
    for (let s = 0; s < samples; s++) {
      const position = binBegin + ((<f32>s + 0.5) * bin) / <f32>samples;
      if (!(position >= -1 && position <= <f32>size)) continue;
      const inside = max<f32>(position, 0);
      let cell = <i32>inside;
      let part: f32 = inside - <f32>cell;
      if (cell >= size - 1) {
        cell = size - 1;
        part = 0;
      }
      end = tap(first, end, cell, (1 - part) * share);
      if (part > 0) end = tap(first, end, cell + 1, part * share);
    }
  }
  store<i32>(starts + (<usize>bins << 2), <i32>((end - taps) >> 3));
  return end;
}

// Samples of a bin go forward, or backward where a roi is inverted: equal cells are near the end.
function tap(first: usize, end: usize, cell: i32, weight: f32): usize {
  for (let at = end; at > first; ) {
    at -= 8;
    if (load<i32>(at) == cell) {
      store<f32>(at + 4, load<f32>(at + 4) + weight);
      return end;
    }
  }
  store<i32>(end, cell);
  store<f32>(end + 4, weight);
  return end + 8;
}

/** out [R, outH, outW, C] of rois [first, last), from features [B, H, W, C], boxes [R, 4], image [R]. */
export function roiForward(
  features: usize, boxes: usize, image: usize, out: usize, scratch: usize,
  height: i32, width: i32, channels: i32, outH: i32, outW: i32, scale: f32, ratio: i32, aligned: i32, first: i32, last: i32,
): void {
  const startsY = scratch;
  const startsX = startsY + (<usize>(outH + 1) << 2);
  const tapsY = startsX + (<usize>(outW + 1) << 2);
  const tapsX = tapsY + (<usize>(outH * (height + 1)) << 3);
  const pixel = <usize>channels << 2;
  let to = out + <usize>(first * outH * outW) * pixel;
  for (let r = first; r < last; r++) {
    const box = boxes + (<usize>r << 4);
    axis(load<f32>(box + 4), load<f32>(box + 12), outH, height, scale, ratio, aligned, startsY, tapsY);
    axis(load<f32>(box), load<f32>(box + 8), outW, width, scale, ratio, aligned, startsX, tapsX);
    const from = features + <usize>(load<i32>(image + (<usize>r << 2)) * height * width) * pixel;
    for (let h = 0; h < outH; h++) {
      for (let w = 0; w < outW; w++, to += pixel) {
        bin(from, to, pixel, <usize>width * pixel, startsY + (<usize>h << 2), tapsY, startsX + (<usize>w << 2), tapsX);
      }
    }
  }
}

export function bin(from: usize, to: usize, pixel: usize, line: usize, startsY: usize, tapsY: usize, startsX: usize, tapsX: usize): void {
  const y0 = tapsY + (<usize>load<i32>(startsY) << 3), y1 = tapsY + (<usize>load<i32>(startsY + 4) << 3);
  const x0 = tapsX + (<usize>load<i32>(startsX) << 3), x1 = tapsX + (<usize>load<i32>(startsX + 4) << 3);
  let c: usize = 0;
  for (; c + 32 <= pixel; c += 32) {
    let a = f32x4.splat(0), b = f32x4.splat(0);
    for (let y = y0; y < y1; y += 8) {
      const row = from + <usize>load<i32>(y) * line + c;
      const wy = load<f32>(y + 4);
      for (let x = x0; x < x1; x += 8) {
        const at = row + <usize>load<i32>(x) * pixel;
        const weight = f32x4.splat(wy * load<f32>(x + 4));
        a = f32x4.add(a, f32x4.mul(weight, v128.load(at)));
        b = f32x4.add(b, f32x4.mul(weight, v128.load(at, 16)));
      }
    }
    v128.store(to + c, a);
    v128.store(to + c, b, 16);
  }
  for (; c < pixel; c += 4) {
    let sum: f32 = 0;
    for (let y = y0; y < y1; y += 8) {
      const row = from + <usize>load<i32>(y) * line + c;
      for (let x = x0; x < x1; x += 8) sum += load<f32>(y + 4) * load<f32>(x + 4) * load<f32>(row + <usize>load<i32>(x) * pixel);
    }
    store<f32>(to + c, sum);
  }
}

/**
 * Adds to dx [B, H, W, C], which comes in zeroed, the gradient of all `rois` in channels [first,
 * last): threads share the channels, because rois overlap.
 */
export function roiBackward(
  dy: usize, boxes: usize, image: usize, dx: usize, scratch: usize,
  height: i32, width: i32, channels: i32, outH: i32, outW: i32, scale: f32, ratio: i32, aligned: i32, rois: i32, first: i32, last: i32,
): void {
  const startsY = scratch;
  const startsX = startsY + (<usize>(outH + 1) << 2);
  const tapsY = startsX + (<usize>(outW + 1) << 2);
  const tapsX = tapsY + (<usize>(outH * (height + 1)) << 3);
  const pixel = <usize>channels << 2;
  const line = <usize>width * pixel;
  const begin = <usize>first << 2;
  const end = <usize>last << 2;
  let from = dy;
  for (let r = 0; r < rois; r++) {
    const box = boxes + (<usize>r << 4);
    axis(load<f32>(box + 4), load<f32>(box + 12), outH, height, scale, ratio, aligned, startsY, tapsY);
    axis(load<f32>(box), load<f32>(box + 8), outW, width, scale, ratio, aligned, startsX, tapsX);
    const to = dx + <usize>(load<i32>(image + (<usize>r << 2)) * height) * line;
    for (let h = 0; h < outH; h++) {
      const y0 = load<i32>(startsY + (<usize>h << 2)), y1 = load<i32>(startsY + (<usize>h << 2) + 4);
      for (let w = 0; w < outW; w++, from += pixel) {
        const x0 = load<i32>(startsX + (<usize>w << 2)), x1 = load<i32>(startsX + (<usize>w << 2) + 4);
        for (let y = y0; y < y1; y++) {
          const row = to + <usize>load<i32>(tapsY + (<usize>y << 3)) * line;
          const wy = load<f32>(tapsY + (<usize>y << 3) + 4);
          for (let x = x0; x < x1; x++) {
            const at = row + <usize>load<i32>(tapsX + (<usize>x << 3)) * pixel;
            const weight = wy * load<f32>(tapsX + (<usize>x << 3) + 4);
            const splat = f32x4.splat(weight);
            let c = begin;
            for (; c + 16 <= end; c += 16) v128.store(at + c, f32x4.add(v128.load(at + c), f32x4.mul(splat, v128.load(from + c))));
            for (; c < end; c += 4) store<f32>(at + c, load<f32>(at + c) + weight * load<f32>(from + c));
          }
        }
      }
    }
  }
}
