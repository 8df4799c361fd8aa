/** Outlines of masks as polygons. */
import type { Bitmap } from "@mrcnn/core";

/**
 * Closed polygons: ring i has the points `starts[i]` to `starts[i + 1]`, flat (x, y) in the image's pixels.
 */
export interface Outlines {
  readonly points: Float32Array;
  readonly starts: Uint32Array;
}

// Right, down, left, up: the inside is to the right of each edge.
const DX = [1, 0, -1, 0] as const;
const DY = [0, 1, 0, -1] as const;

/**
 * Traces the edges of a mask's pixels as closed rings of their corners: outer rings clockwise on the screen,
 * holes counter-clockwise. Pixels that touch only at a corner are separate. Filled by the nonzero rule, the
 * rings cover exactly the mask.
 */
export function traceOutlines({ left, top, width, height, data }: Bitmap): Outlines {
  const stride = width + 1;
  // The edges that leave each corner, one bit for each direction.
  const leaving = new Uint8Array(stride * (height + 1));
  const inside = (x: number, y: number): boolean =>
    x >= 0 && y >= 0 && x < width && y < height && data[y * width + x] !== 0;
  const mark = (at: number, direction: number): void => void (leaving[at] = leaving[at]! | (1 << direction));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[y * width + x] === 0) continue;
      const corner = y * stride + x;
      if (!inside(x, y - 1)) mark(corner, 0);
      if (!inside(x + 1, y)) mark(corner + 1, 1);
      if (!inside(x, y + 1)) mark(corner + stride + 1, 2);
      if (!inside(x - 1, y)) mark(corner + stride, 3);
    }
  }
  const edges = leaving.slice();
  const points: number[] = [];
  const starts = [0];
  for (let first = 0; first < leaving.length; first++) {
    while (leaving[first] !== 0) {
      let at = first;
      let heading = 31 - Math.clz32(leaving[first]! & -leaving[first]!);
      let drawn = -1;
      while ((leaving[at]! & (1 << heading)) !== 0) {
        if (heading !== drawn) points.push(left + (at % stride), top + Math.floor(at / stride));
        drawn = heading;
        leaving[at] = leaving[at]! & ~(1 << heading);
        at += DX[heading]! + stride * DY[heading]!;
        // The sharpest turn to the right stays with the same pixel.
        const turns = [(heading + 1) % 4, heading, (heading + 3) % 4];
        heading = turns.find((direction) => (edges[at]! & (1 << direction)) !== 0)!;
      }
      starts.push(points.length / 2);
    }
  }
  return { points: Float32Array.from(points), starts: Uint32Array.from(starts) };
}

/**
 * Cuts each corner of the rings: they then pass through the middles of the pixels' edges, which makes an
 * enlarged mask look smooth. The result stays within half a pixel of the mask.
 */
export function smoothOutlines({ points, starts }: Outlines): Outlines {
  const smooth: number[] = [];
  const ends = [0];
  for (let ring = 0; ring + 1 < starts.length; ring++) {
    const [from, to] = [starts[ring]!, starts[ring + 1]!];
    for (let i = from; i < to; i++) {
      const j = i + 1 === to ? from : i + 1;
      const [x, y, u, v] = [points[2 * i]!, points[2 * i + 1]!, points[2 * j]!, points[2 * j + 1]!];
      const length = Math.abs(u - x) + Math.abs(v - y);
      const [dx, dy] = [(u - x) / length / 2, (v - y) / length / 2];
      smooth.push(x + dx, y + dy);
      if (length > 1) smooth.push(u - dx, v - dy);
    }
    ends.push(smooth.length / 2);
  }
  return { points: Float32Array.from(smooth), starts: Uint32Array.from(ends) };
}
