// Sums of a few rows each: what RoIAlign does with features, and back. Entry n of `offsets` (in
// values) and `weights` belongs to the output row r with starts[r] <= n < starts[r + 1].

/** out[r] = sum of weight * from[offset ...], rows of `width` values. */
export function gatherRows(from: usize, out: usize, starts: usize, offsets: usize, weights: usize, rows: i32, width: i32): void {
  const bytes = <usize>(width * 4);
  for (let r = 0; r < rows; r++) {
    const begin = load<i32>(starts + <usize>(r * 4));
    const end = load<i32>(starts + <usize>(r * 4 + 4));
    const to = out + <usize>r * bytes;
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      let sum = f32x4.splat(0);
      for (let n = begin; n < end; n++) {
        const at = from + <usize>load<u32>(offsets + <usize>(n * 4)) * 4 + i;
        sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(weights + <usize>(n * 4)), v128.load(at)));
      }
      v128.store(to + i, sum);
    }
    for (; i < bytes; i += 4) {
      let sum: f32 = 0;
      for (let n = begin; n < end; n++) {
        sum += load<f32>(weights + <usize>(n * 4)) * load<f32>(from + <usize>load<u32>(offsets + <usize>(n * 4)) * 4 + i);
      }
      store<f32>(to + i, sum);
    }
  }
}

/** to[offset ...] += weight * from[r]: the transpose of `gatherRows`. */
export function scatterRows(from: usize, to: usize, starts: usize, offsets: usize, weights: usize, rows: i32, width: i32): void {
  const bytes = <usize>(width * 4);
  for (let r = 0; r < rows; r++) {
    const begin = load<i32>(starts + <usize>(r * 4));
    const end = load<i32>(starts + <usize>(r * 4 + 4));
    const source = from + <usize>r * bytes;
    for (let n = begin; n < end; n++) {
      const weight = load<f32>(weights + <usize>(n * 4));
      const at = to + <usize>load<u32>(offsets + <usize>(n * 4)) * 4;
      const w = f32x4.splat(weight);
      let i: usize = 0;
      for (; i + 16 <= bytes; i += 16) v128.store(at + i, f32x4.add(v128.load(at + i), f32x4.mul(w, v128.load(source + i))));
      for (; i < bytes; i += 4) store<f32>(at + i, load<f32>(at + i) + weight * load<f32>(source + i));
    }
  }
}
