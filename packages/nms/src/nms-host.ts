import { assertLength, ConfigError } from "@mrcnn/core";
import { boxAreaOnHost } from "@mrcnn/boxes";
import { argsortDescending } from "./argsort.ts";

const f = Math.fround;

export interface NmsOptions {
  /** A box is suppressed when its IoU with a kept, better one is strictly greater than this. */
  readonly iouThreshold: number;
  /** Stop after keeping this many; all by default. */
  readonly maxOutput?: number;
}

// torchvision's CPU rule: above this many values (4 per box) it goes group by group.
const MOST_VALUES_OFFSET = 4000;

function check(boxes: Float32Array, scores: Float32Array, options: NmsOptions, where: string): void {
  assertLength(boxes, scores.length * 4, where, "boxes");
  if (!(options.iouThreshold >= 0)) {
    throw new ConfigError(`${where}: iouThreshold must be at least 0, got ${options.iouThreshold}.`);
  }
}

/**
 * Greedy NMS among boxes of the same slot (0..slots-1): each box, best first, is kept unless it
 * overlaps a kept one too much.
 */
function greedy(boxes: Float32Array, scores: Float32Array, slot: Int32Array, slots: number, options: NmsOptions): Int32Array {
  const { iouThreshold, maxOutput = Infinity } = options;
  const total = scores.length;
  const areas = boxAreaOnHost(boxes);
  // The kept boxes of a slot lie together, so that the inner loop reads memory in order.
  const start = new Int32Array(slots + 1);
  for (let i = 0; i < total; i++) start[slot[i]! + 1]!++;
  for (let s = 0; s < slots; s++) start[s + 1]! += start[s]!;
  const end = start.slice(0, slots);
  const keptX1 = new Float32Array(total);
  const keptY1 = new Float32Array(total);
  const keptX2 = new Float32Array(total);
  const keptY2 = new Float32Array(total);
  const keptArea = new Float32Array(total);
  const kept = new Int32Array(total);
  let count = 0;
  for (const i of argsortDescending(scores)) {
    if (count >= maxOutput) break;
    const x1 = boxes[i * 4]!;
    const y1 = boxes[i * 4 + 1]!;
    const x2 = boxes[i * 4 + 2]!;
    const y2 = boxes[i * 4 + 3]!;
    const area = areas[i]!;
    const s = slot[i]!;
    const last = end[s]!;
    let k = start[s]!;
    for (; k < last; k++) {
      const left = x1 > keptX1[k]! ? x1 : keptX1[k]!;
      const right = x2 < keptX2[k]! ? x2 : keptX2[k]!;
      if (right <= left) continue;
      const top = y1 > keptY1[k]! ? y1 : keptY1[k]!;
      const bottom = y2 < keptY2[k]! ? y2 : keptY2[k]!;
      if (bottom <= top) continue;
      const overlap = f(f(right - left) * f(bottom - top));
      if (f(overlap / f(f(keptArea[k]! + area) - overlap)) > iouThreshold) break;
    }
    if (k < last) continue;
    keptX1[last] = x1;
    keptY1[last] = y1;
    keptX2[last] = x2;
    keptY2[last] = y2;
    keptArea[last] = area;
    end[s]!++;
    kept[count++] = i;
  }
  return kept.slice(0, count);
}

/**
 * Greedy non-maximum suppression of xyxy boxes [N * 4] by scores [N]. Returns the indices of the
 * kept boxes, best score first, ties by lower index: exactly those of torchvision's CPU `nms`, whose
 * float32 arithmetic it repeats.
 */
export function nmsOnHost(boxes: Float32Array, scores: Float32Array, options: NmsOptions): Int32Array {
  check(boxes, scores, options, "nmsOnHost");
  return greedy(boxes, scores, new Int32Array(scores.length), 1, options);
}

/**
 * NMS in which only boxes of the same group (class, pyramid level; any integers) suppress each other.
 * Returns indices over all groups, best score first: exactly those of torchvision 0.14's CPU
 * `batched_nms`. Up to 1000 boxes that function shifts each group out of the others' way in float32,
 * whose rounding can move an IoU across the threshold; this one repeats it. Above, groups are
 * compared where they lie.
 */
export function batchedNmsOnHost(
  boxes: Float32Array,
  scores: Float32Array,
  groups: Int32Array,
  options: NmsOptions,
): Int32Array {
  check(boxes, scores, options, "batchedNmsOnHost");
  assertLength(groups, scores.length, "batchedNmsOnHost", "groups");
  if (boxes.length > MOST_VALUES_OFFSET) {
    const slotOf = new Map<number, number>();
    const slot = groups.map((group) => {
      if (!slotOf.has(group)) slotOf.set(group, slotOf.size);
      return slotOf.get(group)!;
    });
    return greedy(boxes, scores, slot, slotOf.size, options);
  }
  const step = f(boxes.reduce((most, value) => Math.max(most, value), -Infinity) + 1);
  const shifted = boxes.map((value, i) => value + f(groups[i >> 2]! * step));
  return greedy(shifted, scores, new Int32Array(scores.length), 1, options);
}
