/** Rows [first, last) of `from` [rows, columns] into `to` [columns, rows], in squares of 4 by 4. */
export function transpose(from: usize, to: usize, rows: i32, columns: i32, first: i32, last: i32): void {
  const width = columns * 4;
  const height = rows * 4;
  let i = first;
  // Squares of 4 rows by 4 columns; sixteen columns at a time keep whole cache lines in use.
  for (; i + 4 <= last; i += 4) {
    let p = from + <usize>(i * width);
    let q = to + <usize>(i * 4);
    let j = 0;
    for (; j + 4 <= columns; j += 4, p += 16, q += 4 * height) {
      const a = v128.load(p), b = v128.load(p + width), c = v128.load(p + 2 * width), d = v128.load(p + 3 * width);
      const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5), ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
      const cd0 = v128.shuffle<f32>(c, d, 0, 4, 1, 5), cd1 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      v128.store(q, v128.shuffle<f32>(ab0, cd0, 0, 1, 4, 5));
      v128.store(q + height, v128.shuffle<f32>(ab0, cd0, 2, 3, 6, 7));
      v128.store(q + 2 * height, v128.shuffle<f32>(ab1, cd1, 0, 1, 4, 5));
      v128.store(q + 3 * height, v128.shuffle<f32>(ab1, cd1, 2, 3, 6, 7));
    }
    for (; j < columns; j++, p += 4, q += height) {
      for (let k = 0; k < 4; k++) store<f32>(q + k * 4, load<f32>(p + k * width));
    }
  }
  for (; i < last; i++) {
    for (let j = 0; j < columns; j++) store<f32>(to + <usize>(j * height + i * 4), load<f32>(from + <usize>(i * width + j * 4)));
  }
}
