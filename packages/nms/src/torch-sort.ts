/** torch's unstable descending sort on the CPU. */

// Length up to which std::sort stops dividing and uses insertion sort.
const SMALL = 16;

/**
 * Returns the indices that sort `values` from highest to lowest as torch's CPU `sort(descending=True)` does,
 * including the order of equal values: it is the C++ library's introsort (libstdc++), whose order of equals
 * is arbitrary but deterministic. NaN counts as the highest.
 */
export function torchSortDescending(values: Float32Array): Int32Array {
  const order = Int32Array.from(values.keys());
  const before = (i: number, j: number): boolean => {
    const [a, b] = [values[i]!, values[j]!];
    return a > b || (Number.isNaN(a) && !Number.isNaN(b));
  };
  const swap = (i: number, j: number): void => {
    const held = order[i]!;
    order[i] = order[j]!;
    order[j] = held;
  };

  // Moves the median of positions a, b and c to position `to`.
  const medianTo = (to: number, a: number, b: number, c: number): void => {
    const less = (i: number, j: number): boolean => before(order[i]!, order[j]!);
    if (less(a, b))
      swap(
        to,
        less(b, c) ? b
        : less(a, c) ? c
        : a,
      );
    else
      swap(
        to,
        less(a, c) ? a
        : less(b, c) ? c
        : b,
      );
  };
  const partition = (first: number, last: number): number => {
    medianTo(first, first + 1, first + ((last - first) >> 1), last - 1);
    const pivot = order[first]!;
    let i = first + 1;
    let j = last;
    for (;;) {
      while (before(order[i]!, pivot)) i++;
      j--;
      while (before(pivot, order[j]!)) j--;
      if (i >= j) return i;
      swap(i, j);
      i++;
    }
  };
  const divide = (first: number, end: number, depth: number): void => {
    let last = end;
    for (let left = depth; last - first > SMALL; left--) {
      // The C++ library switches to heapsort here, as on inputs made to defeat quicksort; there the order of
      // equals differs.
      if (left === 0) {
        order.subarray(first, last).sort((a, b) =>
          before(a, b) ? -1
          : before(b, a) ? 1
          : a - b,
        );
        return;
      }
      const cut = partition(first, last);
      divide(cut, last, left - 1);
      last = cut;
    }
  };
  divide(0, order.length, 2 * Math.max(31 - Math.clz32(order.length), 0));

  for (let i = 1; i < order.length; i++) {
    const own = order[i]!;
    let j = i;
    while (j > 0 && before(own, order[j - 1]!)) order[j] = order[--j]!;
    order[j] = own;
  }
  return order;
}
