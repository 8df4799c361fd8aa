/** dx = dy where y > 0, else 0, of values [first, last). */
export function reluGradient(dy: usize, y: usize, dx: usize, first: i32, last: i32): void {
  let at = <usize>first << 2;
  const end = <usize>last << 2;
  const zero = f32x4.splat(0);
  for (; at + 16 <= end; at += 16) v128.store(dx + at, v128.and(v128.load(dy + at), f32x4.gt(v128.load(y + at), zero)));
  for (; at < end; at += 4) store<f32>(dx + at, load<f32>(y + at) > 0 ? load<f32>(dy + at) : 0);
}
