/** Interpolation of a pasted mask along one axis, as torchvision, detectron2 and matterport. */

const f = Math.fround;

/**
 * Positions of an image's pixels relative to a mask's, along one axis. Pixel `first + i` lies between the
 * mask's positions `low[i]` and `low[i] + 1`, where the latter has the weight `share[i]`; outside of [0,
 * side) the mask is zero. `low` ascends from -1 or above to `side` or below.
 */
export interface PasteAxis {
  readonly first: number;
  readonly low: Int32Array;
  readonly share: Float32Array | Float64Array;
}

/** Computes the position in the mask of each pixel of [first, end). */
function axis<T extends Float32Array | Float64Array>(
  first: number,
  end: number,
  share: (length: number) => T,
  place: (pixel: number) => { low: number; share: number },
): PasteAxis {
  const length = Math.max(end - first, 0);
  const result = { first, low: new Int32Array(length), share: share(length) };
  for (let i = 0; i < length; i++) {
    const at = place(first + i);
    result.low[i] = at.low;
    result.share[i] = at.share;
  }
  return result;
}

/**
 * Follows torchvision's expand_boxes, truncation to whole pixels, and interpolation of the mask with a zero
 * on each side; float32.
 */
export function axisLikeTorchvision(from: number, to: number, side: number, length: number): PasteAxis {
  const padded = side + 2;
  const half = f(f(f(to - from) * 0.5) * f(padded / side));
  const centre = f(f(to + from) * 0.5);
  const begin = Math.trunc(f(centre - half));
  const pixels = Math.max(Math.trunc(f(centre + half)) - begin + 1, 1);
  const scale = f(padded / pixels);
  return axis(
    Math.max(begin, 0),
    Math.min(begin + pixels, length),
    (n) => new Float32Array(n),
    (pixel) => {
      const at = Math.max(f(f(scale * f(pixel - begin + 0.5)) - 0.5), 0);
      const low = Math.min(Math.floor(at), padded - 1);
      return { low: low - 1, share: Math.min(Math.max(f(at - low), 0), 1) };
    },
  );
}

/**
 * Follows the grid of detectron2's _do_paste_mask within its region of interest, unnormalised as by torch's
 * grid_sample; float32.
 */
export function axisLikeDetectron2(from: number, to: number, side: number, length: number): PasteAxis {
  const extent = f(to - from);
  const begin = Math.max(Math.floor(from) - 1, 0);
  // An empty box has no samples.
  const end = extent > 0 ? Math.min(Math.ceil(to) + 1, length) : begin;
  const position = (pixel: number): number => {
    const at = f(f(f(f(f(pixel + 0.5) - from) / extent) * 2) - 1);
    return f(f(f(at + 1) * (side / 2)) - 0.5);
  };
  let first = begin;
  while (first < end && position(first) < -1) first++;
  let last = end;
  while (last > first && position(last - 1) >= side) last--;
  return axis(
    first,
    last,
    (n) => new Float32Array(n),
    (pixel) => {
      const at = position(pixel);
      const low = Math.floor(at);
      return { low, share: f(at - low) };
    },
  );
}

/**
 * Follows scikit-image's resize (scipy's zoom on a grid, zeros around) of the mask to the whole pixels of a
 * box; float64.
 */
export function axisLikeScikitImage(from: number, to: number, side: number, length: number): PasteAxis {
  const scale = side / (to - from);
  return axis(
    Math.max(from, 0),
    Math.min(to, length),
    (n) => new Float64Array(n),
    (pixel) => {
      const at = (pixel - from + 0.5) * scale - 0.5;
      const low = Math.floor(at);
      return { low, share: at - low };
    },
  );
}
