/** Anchors of one cell, as torchvision, detectron2 and matterport. */
import { roundHalfToEven } from "@mrcnn/core";

const f = Math.fround;

/** Options of the anchors of a cell. */
export interface CellOptions {
  /** Whether corners are rounded to whole pixels, halves to even. */
  readonly round: boolean;
  /** What changes slowest within a cell. Default "ratios-first". */
  readonly order?: "ratios-first" | "sizes-first";
}

/**
 * Computes the anchors of one cell, centred at 0: every size in every aspect ratio (height / width). A size
 * is the square root of the anchor's area in pixels.
 *
 * Rounded, they are torchvision's (`AnchorGenerator.generate_anchors`, in float32 until they are rounded);
 * otherwise computed in float64, as by detectron2 and matterport.
 *
 * Returns xyxy [ratios * sizes * 4].
 */
export function cellAnchors(
  sizes: readonly number[],
  aspectRatios: readonly number[],
  options: CellOptions,
): Float32Array {
  return Float32Array.from(exactCellAnchors(sizes, aspectRatios, options));
}

/** Computes `cellAnchors` before the rounding to float32. */
export function exactCellAnchors(
  sizes: readonly number[],
  aspectRatios: readonly number[],
  { round, order = "ratios-first" }: CellOptions,
): number[] {
  const cell = (size: number, ratio: number): number[] => {
    const [x, y] = round ? singleHalves(size, ratio) : doubleHalves(size, ratio);
    return [-x, -y, x, y].map((value) => (round ? roundHalfToEven(value) : value));
  };
  return order === "ratios-first" ?
      aspectRatios.flatMap((ratio) => sizes.flatMap((size) => cell(size, ratio)))
    : sizes.flatMap((size) => aspectRatios.flatMap((ratio) => cell(size, ratio)));
}

// Returns half the width and half the height, as torchvision computes them.
function singleHalves(size: number, ratio: number): [number, number] {
  const heightFactor = f(Math.sqrt(f(ratio)));
  const widthFactor = f(1 / heightFactor);
  return [f(widthFactor * f(size)) / 2, f(heightFactor * f(size)) / 2];
}

// Returns half the width and half the height, as detectron2 computes them.
function doubleHalves(size: number, ratio: number): [number, number] {
  const width = Math.sqrt(size ** 2 / ratio);
  return [width / 2, (ratio * width) / 2];
}
