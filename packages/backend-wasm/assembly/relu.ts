/** y = max(x, 0) of values [first, last); NaN stays NaN, whatever its sign. */
export function relu(x: usize, y: usize, first: i32, last: i32): void {
  let at = <usize>first << 2;
  const end = <usize>last << 2;
  const zero = f32x4.splat(0);
  for (; at + 16 <= end; at += 16) v128.store(y + at, f32x4.max(v128.load(x + at), zero));
  for (; at < end; at += 4) store<f32>(y + at, max<f32>(load<f32>(x + at), 0));
}
