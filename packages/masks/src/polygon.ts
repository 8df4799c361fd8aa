/** Rasterization of polygons and boxes, as pycocotools. */
import { DatasetError } from "@mrcnn/core";
import type { ImageSize, Rle } from "@mrcnn/core";
import { MAX_SIDE } from "./limits.ts";
import { checkSize, mergeRles } from "./rle.ts";
import { createRunWriter } from "./run-writer.ts";

// COCO traces a polygon's edges on a grid this many times finer than the pixels.
const FINE = 5;
const toFine = (value: number): number => Math.trunc(FINE * value + 0.5);
// Limit on the complexity of an outline: crossing each column at every pixel is as rugged as can be. Coarse
// outlines of small images may exceed that, hence CROSSINGS_AT_LEAST.
const CROSSINGS_PER_PIXEL = 4;
const CROSSINGS_AT_LEAST = 2 ** 20;

/**
 * Draws the union of filled polygons, each a flat list (x1, y1, x2, y2, ...) in pixels, pixel for pixel as
 * COCO's `frPyObjects` and `merge`: a column is filled by the even-odd rule between the crossings of its
 * centre line with the outline, which are found on a five times finer grid. `where` names the file or
 * annotation in errors.
 *
 * @throws DatasetError when a polygon has fewer than 3 points, a coordinate is not a finite number, or its
 * outline crosses columns of pixels more often than any object's does (four times the image's pixels, and
 * 2^20).
 */
export function rasterizePolygons(
  polygons: readonly ArrayLike<number>[],
  size: ImageSize,
  where = "rasterizePolygons",
): Rle {
  checkSize(size, where);
  if (polygons.length === 0) throw new DatasetError(`${where}: polygons must hold at least one, got none.`);
  return mergeRles(polygons.map((polygon, i) => rasterizePolygon(polygon, size, `${where}: polygon ${i}`)));
}

/**
 * Draws a filled box (x, y, width, height) as COCO's `frPyObjects` does: as the polygon of its corners.
 *
 * @throws DatasetError when a number is not finite.
 */
export function rleFromBox(
  [x, y, width, height]: readonly [x: number, y: number, width: number, height: number],
  size: ImageSize,
  where = "rleFromBox",
): Rle {
  checkSize(size, where);
  return rasterizePolygon([x, y, x, y + height, x + width, y + height, x + width, y], size, where);
}

function rasterizePolygon(polygon: ArrayLike<number>, { height, width }: ImageSize, where: string): Rle {
  const length = polygon.length;
  if (length < 6 || length % 2 !== 0) {
    throw new DatasetError(`${where} must have x and y of at least 3 points, got ${length} numbers.`);
  }
  const fine = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    const value = polygon[i]!;
    // The bound prevents endless edges from corrupt coordinates.
    if (!(Math.abs(value) < MAX_SIDE))
      throw new DatasetError(`${where} must have finite pixel coordinates, got ${value}.`);
    fine[i] = toFine(value);
  }

  const tangle = tangleOf(polygon, { height, width });
  if (tangle !== undefined)
    throw new DatasetError(`${where} ${tangle} It is no outline of an object; correct or remove it.`);
  const { count, first, last } = measureCrossings(fine, width);
  const runs = createRunWriter({ height, width });
  // Crossings of the outline with the columns' centres, as positions in the column-major image. Few are
  // sorted; many are marked in bits, which take less memory: two at one position cancel there, as they do
  // when sorted.
  const bits = (last - first + 1) * height + 1;
  const start = first * height;
  const crossings = new Uint32Array(32 * count < bits ? count : Math.max(0, Math.ceil(bits / 32)));
  const isSorted = crossings.length === count && 32 * count < bits;
  let n = 0;
  const add =
    isSorted ?
      (at: number): void => void (crossings[n++] = at)
    : (at: number): void => void (crossings[(at - start) >>> 5]! ^= 1 << ((at - start) & 31));
  if (count > 0) {
    for (let i = 0; i < length; i += 2) {
      const j = i + 2 === length ? 0 : i + 2;
      crossEdge(fine[i]!, fine[i + 1]!, fine[j]!, fine[j + 1]!, height, width, add);
    }
  }
  if (isSorted) {
    crossings.sort();
    for (let i = 0; i < crossings.length; i += 2) runs.add(crossings[i]!, crossings[i + 1] ?? height * width);
    return runs.finish();
  }
  let open = -1;
  for (let word = 0; word < crossings.length; word++) {
    for (let rest = crossings[word]!; rest !== 0; rest &= rest - 1) {
      const at = start + word * 32 + (31 - Math.clz32(rest & -rest));
      if (open < 0) open = at;
      else {
        runs.add(open, at);
        open = -1;
      }
    }
  }
  if (open >= 0) runs.add(open, height * width);
  return runs.finish();
}

/**
 * Describes why a polygon is no outline in an image of `size`: its edges cross columns more often than any
 * object's. Returns undefined for other polygons. Draws nothing.
 */
export function tangleOf(polygon: ArrayLike<number>, { height, width }: ImageSize): string | undefined {
  if (polygon.length * (Math.min(width, MAX_SIDE) / 2) <= CROSSINGS_AT_LEAST) return undefined;
  const { count } = measureCrossings(Int32Array.from(polygon, toFine), width);
  const most = CROSSINGS_PER_PIXEL * height * width + CROSSINGS_AT_LEAST;
  if (count <= most) return undefined;
  return `goes back and forth over its image of ${width}x${height} pixels: ${polygon.length / 2} points, whose edges cross columns of pixels ${count} times, more than ${most}.`;
}

// Returns how many times the edges cross columns' centres, and the first and the last column crossed.
function measureCrossings(fine: Int32Array, width: number): { count: number; first: number; last: number } {
  let count = 0;
  let first = width;
  let last = -1;
  for (let i = 0; i < fine.length; i += 2) {
    const [from, to] = columnsOf(fine[i]!, fine[i + 2 === fine.length ? 0 : i + 2]!, width);
    if (to < from) continue;
    count += to - from + 1;
    if (from < first) first = from;
    if (to > last) last = to;
  }
  return { count, first, last };
}

// Returns the first and last column whose centre an edge between two x on the fine grid crosses; there are
// none when the last is lower.
function columnsOf(x0: number, x1: number, width: number): readonly [first: number, last: number] {
  if (x0 === x1) return [0, -1];
  return [
    Math.max(0, Math.ceil((Math.min(x0, x1) - 2) / FINE)),
    Math.min(width - 1, Math.floor((Math.max(x0, x1) - 3) / FINE)),
  ];
}

// COCO visits the points of an edge one fine step apart along its longer side, rounding the other coordinate.
// Only the two steps about a column's centre matter, u = 5 column + 2 and the next: they are computed
// directly. Steps count from the same end in both directions of the edge, so two polygons that share it round
// alike.
function crossEdge(
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  height: number,
  width: number,
  add: (at: number) => void,
): void {
  const dx = Math.abs(x1 - x0);
  const dy = Math.abs(y1 - y0);
  if (dx === 0) return;
  const wide = dx >= dy;
  const flip = wide ? x0 > x1 : y0 > y1;
  const ax = flip ? x1 : x0;
  const ay = flip ? y1 : y0;
  const bx = flip ? x0 : x1;
  const by = flip ? y0 : y1;
  const slope = wide ? (by - ay) / dx : (bx - ax) / dy;
  const [first, last] = columnsOf(ax, bx, width);
  for (let column = first; column <= last; column++) {
    const u = FINE * column + 2;
    let v: number;
    if (wide) {
      const t = u - ax;
      v = Math.min(Math.trunc(ay + slope * t + 0.5), Math.trunc(ay + slope * (t + 1) + 0.5));
    } else {
      // The first step on the column's far side: estimated, then corrected with the same rounding.
      const rises = slope > 0;
      let t = Math.min(dy, Math.max(0, Math.ceil((u + 0.5 - ax) / slope)));
      while (t > 0 && Math.trunc(ax + slope * (t - 1) + 0.5) > u === rises) t--;
      while (t < dy && Math.trunc(ax + slope * t + 0.5) > u !== rises) t++;
      v = ay + t - 1;
    }
    const y = (v + 0.5) / FINE - 0.5;
    add(column * height + Math.ceil(Math.min(Math.max(y, 0), height)));
  }
}
