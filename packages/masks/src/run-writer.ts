/** Writer of run lengths. */
import type { ImageSize, Rle } from "@mrcnn/core";

/** A collector of the runs of a mask in column-major order, which joins touching runs. */
export interface RunWriter {
  /** Sets the pixels [start, end); starts must ascend, empty runs are ignored. */
  add(start: number, end: number): void;
  finish(): Rle;
}

/** Starts an empty mask. The resulting runs are the shortest possible, as COCO's encoder writes them. */
export function createRunWriter(size: ImageSize): RunWriter {
  const counts: number[] = [];
  const total = size.height * size.width;
  let last = 0;
  return {
    add(start, end) {
      if (end <= start) return;
      if (start === last && counts.length > 0) counts[counts.length - 1]! += end - start;
      else counts.push(start - last, end - start);
      last = end;
    },
    finish() {
      if (last < total || counts.length === 0) counts.push(total - last);
      return { size: { height: size.height, width: size.width }, counts: Uint32Array.from(counts) };
    },
  };
}
