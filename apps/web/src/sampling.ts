/** Sampling points of a head's pooling, for drawing. */

/** How a head's pooling samples the features. */
export interface Sampling {
  /** Number of bins along each side: 7 for boxes, 14 for masks. */
  readonly bins: number;
  /** Number of points per bin along each side; 0 takes as many as the bin is features wide. */
  readonly ratio: number;
  /**
   * "roi-align", or matterport's "crop-and-resize": one point for each bin, the outer ones on the box's edge.
   */
  readonly method: "roi-align" | "crop-and-resize";
  /**
   * Whether half a feature is subtracted from coordinates (detectron2); without it a roi is at least one
   * feature wide.
   */
  readonly aligned: boolean;
}

type Box = readonly [x1: number, y1: number, x2: number, y2: number];

// Returns the points along one side, in features.
function along(from: number, to: number, { bins, ratio, method, aligned }: Sampling): number[] {
  if (method === "crop-and-resize")
    return Array.from({ length: bins }, (_, i) =>
      bins === 1 ? (from + to) / 2 : from + (i * (to - from)) / (bins - 1),
    );
  const length = aligned ? to - from : Math.max(to - from, 1);
  const bin = length / bins;
  const points = ratio > 0 ? ratio : Math.max(1, Math.ceil(bin));
  return Array.from(
    { length: bins * points },
    (_, i) => from + (Math.floor(i / points) + ((i % points) + 0.5) / points) * bin,
  );
}

/**
 * Returns the sampling points of a box: the coordinates of the columns and rows at whose crossings they are,
 * in the pixels of `box`. `stride` is a feature's width in these pixels.
 */
export function samplingPoints(
  [x1, y1, x2, y2]: Box,
  stride: number,
  sampling: Sampling,
): { xs: number[]; ys: number[] } {
  const inPixels = (from: number, to: number): number[] =>
    along(from / stride, to / stride, sampling).map((at) => at * stride);
  return { xs: inPixels(x1, x2), ys: inPixels(y1, y2) };
}
