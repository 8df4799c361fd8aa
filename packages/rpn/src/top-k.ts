/** Selection of the k largest values, as torch.topk. */

// Returns a uint32 key per float32, ordered as the floats are (NaN above infinity, as in torch.topk).
function orderedKeys(values: Float32Array): Uint32Array {
  const keys = new Uint32Array(values.slice().buffer);
  for (let i = 0; i < keys.length; i++) keys[i] = keys[i]! & 0x80000000 ? ~keys[i]! : keys[i]! | 0x80000000;
  return keys;
}

/**
 * Returns the indices of the `k` largest of `values` (all, when there are fewer), largest first; among equal
 * values the lower index first. O(n) by radix selection, then a sort of the k.
 */
export function topK(values: Float32Array, k: number): Int32Array {
  const keys = orderedKeys(values);
  const count = Math.min(k, keys.length);
  // Finds the k-th largest key, a byte at a time from the top; `wanted` ends as the number of keys equal to
  // it to take.
  let limit = 0;
  let known = 0;
  let wanted = count;
  const histogram = new Uint32Array(256);
  for (let shift = 24; shift >= 0 && count > 0; shift -= 8) {
    histogram.fill(0);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      if ((key & known) >>> 0 === limit) histogram[(key >>> shift) & 255]!++;
    }
    let digit = 255;
    while (histogram[digit]! < wanted) wanted -= histogram[digit--]!;
    limit = (limit | (digit << shift)) >>> 0;
    known = (known | (255 << shift)) >>> 0;
  }
  const chosen = new Int32Array(count);
  for (let i = 0, at = 0; at < count; i++) {
    if (keys[i]! > limit || (keys[i] === limit && wanted-- > 0)) chosen[at++] = i;
  }
  // One number carries both orders, so that the native sort needs no comparator.
  const ranks = new Float64Array(count);
  for (let i = 0; i < count; i++) ranks[i] = (0xffffffff - keys[chosen[i]!]!) * count + i;
  ranks.sort();
  return Int32Array.from(ranks, (rank) => chosen[rank % count]!);
}
