/** Converts the anchors that detectron2 stores in a file to the sizes and aspect ratios of a config. */
import { WeightsError } from "@mrcnn/core";
import type { MaskRcnnConfig } from "@mrcnn/model";

// Products of sizes and ratios are precise to seven digits in float32.
const CLOSE = 1e-5;
const isClose = (a: number, b: number): boolean => Math.abs(a - b) <= CLOSE * Math.abs(b);

// Restores a value that probably had at most three decimals.
const meant = (value: number): number => {
  const rounded = Math.round(value * 1000) / 1000;
  return isClose(value, rounded) ? rounded : Math.fround(value);
};

interface Cell {
  readonly size: number;
  readonly ratio: number;
}

/**
 * Returns a config's anchors from `cells`, the boxes about the origin: for each level its boxes, for each
 * size those of all ratios, in the order of detectron2's `generate_cell_anchors`.
 *
 * @param cells parsed from a file, so of any type.
 * @throws WeightsError, beginning with `where`, for boxes that don't result from sizes and ratios, or ratios
 * that differ among levels.
 */
export function anchorsOfCells(cells: unknown, where: string): MaskRcnnConfig["anchors"] {
  const refuse = (why: string): never => {
    throw new WeightsError(`${where}: its anchors (cell_anchors) ${why}. A config can't say such anchors.`);
  };
  if (!Array.isArray(cells) || cells.length === 0) return refuse("must be boxes of one level or more");
  const levels = cells.map((boxes: unknown, level) => {
    if (!Array.isArray(boxes) || boxes.length === 0) return refuse(`have no boxes on level ${level}`);
    return boxes.map((box: unknown): Cell => {
      const [x1, y1, x2, y2] = (Array.isArray(box) && box.length === 4 ? box : [NaN, NaN, NaN, NaN]) as [
        number,
        number,
        number,
        number,
      ];
      const [width, height] = [x2 - x1, y2 - y1];
      if (!(width > 0 && height > 0 && isClose(-x1, x2) && isClose(-y1, y2)))
        return refuse(`must be boxes about the origin, got ${JSON.stringify(box)} on level ${level}`);
      return { size: meant(Math.sqrt(width * height)), ratio: meant(height / width) };
    });
  });
  const grids = levels.map((boxes, level) => {
    const perSize = boxes.findIndex(({ size }) => !isClose(size, boxes[0]!.size));
    const count = perSize === -1 ? boxes.length : perSize;
    const sizes = boxes.filter((_, i) => i % count === 0).map(({ size }) => size);
    const aspectRatios = boxes.slice(0, count).map(({ ratio }) => ratio);
    const isGrid =
      boxes.length === sizes.length * count &&
      boxes.every(
        ({ size, ratio }, i) =>
          isClose(size, sizes[Math.floor(i / count)]!) && isClose(ratio, aspectRatios[i % count]!),
      );
    return isGrid ? { sizes, aspectRatios } : refuse(`are no sizes times aspect ratios on level ${level}`);
  });
  const { aspectRatios, sizes } = grids[0]!;
  if (
    grids.some(
      (grid) =>
        grid.sizes.length !== sizes.length ||
        grid.aspectRatios.length !== aspectRatios.length ||
        grid.aspectRatios.some((ratio, i) => !isClose(ratio, aspectRatios[i]!)),
    )
  ) {
    return refuse("differ in number or aspect ratio among levels");
  }
  return { sizes: grids.map((grid) => grid.sizes), aspectRatios };
}
