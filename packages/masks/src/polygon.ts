import { DatasetError } from "@mrcnn/core";
import type { ImageSize, Rle } from "@mrcnn/core";
import { checkSize, mergeRles } from "./rle.ts";
import { createRunWriter } from "./run-writer.ts";

// COCO walks a polygon's edges on a grid this many times finer than the pixels.
const FINE = 5;

/**
 * The union of filled polygons, each a flat list (x1, y1, x2, y2, ...) in pixels, pixel for pixel as
 * COCO's `frPyObjects` and `merge` draw it: a column is filled between the crossings of the outline,
 * found on a five times finer grid, with its centre line (the even-odd rule).
 * `where` names the file or annotation in errors.
 *
 * @throws DatasetError when a polygon has fewer than 3 points or a coordinate is not a finite number.
 */
export function rasterizePolygons(polygons: readonly ArrayLike<number>[], size: ImageSize, where = "rasterizePolygons"): Rle {
  checkSize(size, where);
  if (polygons.length === 0) throw new DatasetError(`${where}: polygons must hold at least one, got none.`);
  return mergeRles(polygons.map((polygon, i) => rasterizePolygon(polygon, size, `${where}: polygon ${i}`)));
}

function rasterizePolygon(polygon: ArrayLike<number>, { height, width }: ImageSize, where: string): Rle {
  if (polygon.length < 6 || polygon.length % 2 !== 0) {
    throw new DatasetError(`${where} must have x and y of at least 3 points, got ${polygon.length} numbers.`);
  }
  const fine = Int32Array.from(polygon, (value) => {
    // The bound keeps a corrupt coordinate from drawing an endless edge.
    if (!(Math.abs(value) < 1e6)) throw new DatasetError(`${where} must have finite pixel coordinates, got ${value}.`);
    return Math.trunc(FINE * value + 0.5);
  });

  // Where the outline crosses columns' centres, as places in the column-major image.
  const crossings: number[] = [];
  let lastU = fine[0]!;
  let lastV = fine[1]!;
  const visit = (u: number, v: number): void => {
    if (u !== lastU) {
      const x = (Math.min(u, lastU) + 0.5) / FINE - 0.5;
      if (Number.isInteger(x) && x >= 0 && x <= width - 1) {
        const y = (Math.min(v, lastV) + 0.5) / FINE - 0.5;
        crossings.push(x * height + Math.ceil(Math.min(Math.max(y, 0), height)));
      }
    }
    lastU = u;
    lastV = v;
  };
  for (let i = 0; i < fine.length; i += 2) {
    const j = (i + 2) % fine.length;
    walkEdge(fine[i]!, fine[i + 1]!, fine[j]!, fine[j + 1]!, visit);
  }

  const sorted = Uint32Array.from(crossings).sort();
  const runs = createRunWriter({ height, width });
  for (let i = 0; i < sorted.length; i += 2) runs.add(sorted[i]!, sorted[i + 1] ?? height * width);
  return runs.finish();
}

// Visits an edge's points one fine step apart. Steps are counted from the same end whichever way the
// edge is walked, so that two polygons sharing it round alike.
function walkEdge(x0: number, y0: number, x1: number, y1: number, visit: (u: number, v: number) => void): void {
  const dx = Math.abs(x1 - x0);
  const dy = Math.abs(y1 - y0);
  const wide = dx >= dy;
  const steps = wide ? dx : dy;
  const flip = wide ? x0 > x1 : y0 > y1;
  const [ax, ay, bx, by] = flip ? [x1, y1, x0, y0] : [x0, y0, x1, y1];
  const slope = steps === 0 ? 0 : (wide ? by - ay : bx - ax) / steps;
  for (let d = 0; d <= steps; d++) {
    const t = flip ? steps - d : d;
    if (wide) visit(ax + t, Math.trunc(ay + slope * t + 0.5));
    else visit(Math.trunc(ax + slope * t + 0.5), ay + t);
  }
}
