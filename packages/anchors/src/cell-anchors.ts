const f = Math.fround;

// torch.round's rule: halves go to the even neighbour.
function roundHalfToEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest === 0.5) return low % 2 === 0 ? low : low + 1;
  return rest < 0.5 ? low : low + 1;
}

/**
 * The anchors of one cell, centred at 0: every aspect ratio (height / width) of every size, ratios
 * outermost, as torchvision's `AnchorGenerator.generate_anchors` in float32. A size is the square
 * root of the anchor's area in pixels. `round` rounds corners to whole pixels, halves to even.
 *
 * Returns xyxy [ratios * sizes * 4].
 */
export function cellAnchors(
  sizes: readonly number[],
  aspectRatios: readonly number[],
  { round }: { readonly round: boolean },
): Float32Array {
  const anchors: number[] = [];
  for (const ratio of aspectRatios) {
    const heightFactor = f(Math.sqrt(f(ratio)));
    const widthFactor = f(1 / heightFactor);
    for (const size of sizes) {
      const x = f(widthFactor * f(size)) / 2;
      const y = f(heightFactor * f(size)) / 2;
      anchors.push(...[-x, -y, x, y].map((value) => (round ? roundHalfToEven(value) : value)));
    }
  }
  return Float32Array.from(anchors);
}
