/** Search for overlapping boxes, with IoU in torchvision's float32. */

const f = Math.fround;
// Number of boxes in a block. Neighbours in the array are neighbours in the image (anchors come row by row),
// so distant blocks are skipped as a whole.
const BLOCK = 64;

/** Finds the boxes that overlap a given one: writes their indices and IoU, returns their number. */
export type FindOverlaps = (box: ArrayLike<number>, found: Int32Array, ious: Float32Array) => number;

/**
 * Returns a `FindOverlaps` for boxes [N * 4]; IoU is rounded to float32 step by step, as in torchvision's
 * `box_iou`.
 */
export function indexOverlaps(boxes: Float32Array): FindOverlaps {
  const count = boxes.length / 4;
  const areas = new Float32Array(count);
  const bounds = new Float32Array(4 * Math.ceil(count / BLOCK));
  for (let i = 0; i < bounds.length; i += 4) bounds.set([Infinity, Infinity, -Infinity, -Infinity], i);
  for (let i = 0; i < count; i++) {
    areas[i] = f(boxes[4 * i + 2]! - boxes[4 * i]!) * f(boxes[4 * i + 3]! - boxes[4 * i + 1]!);
    const block = 4 * Math.trunc(i / BLOCK);
    for (let k = 0; k < 2; k++) {
      bounds[block + k] = Math.min(bounds[block + k]!, boxes[4 * i + k]!);
      bounds[block + k + 2] = Math.max(bounds[block + k + 2]!, boxes[4 * i + k + 2]!);
    }
  }
  return (box, found, ious) => {
    const x1 = box[0]!;
    const y1 = box[1]!;
    const x2 = box[2]!;
    const y2 = box[3]!;
    const area = f(f(x2 - x1) * f(y2 - y1));
    let total = 0;
    for (let block = 0, start = 0; start < count; block += 4, start += BLOCK) {
      if (
        bounds[block + 1]! >= y2 ||
        bounds[block + 3]! <= y1 ||
        bounds[block]! >= x2 ||
        bounds[block + 2]! <= x1
      )
        continue;
      const end = Math.min(start + BLOCK, count);
      for (let i = start; i < end; i++) {
        const left = boxes[4 * i]!;
        const top = boxes[4 * i + 1]!;
        const right = boxes[4 * i + 2]!;
        const bottom = boxes[4 * i + 3]!;
        const width = f((right < x2 ? right : x2) - (left > x1 ? left : x1));
        const height = f((bottom < y2 ? bottom : y2) - (top > y1 ? top : y1));
        if (!(width > 0 && height > 0)) continue;
        const overlap = f(width * height);
        found[total] = i;
        ious[total++] = overlap / f(f(area + areas[i]!) - overlap);
      }
    }
    return total;
  };
}
