/** Greedy and batched non-maximum suppression on the host, in torchvision's order. */
import { assertLength, ConfigError } from "@mrcnn/core";
import { boxAreaOnHost } from "@mrcnn/boxes";
import { argsortDescending } from "./argsort.ts";
import { torchSortDescending } from "./torch-sort.ts";

const f = Math.fround;

/** Options of greedy suppression. */
export interface NmsOptions {
  /** IoU with a kept, better box strictly above which a box is suppressed. */
  readonly iouThreshold: number;
  /** Number of boxes after which to stop. Default all. */
  readonly maxOutput?: number;
}

/** Options of suppression within groups. */
export interface BatchedNmsOptions extends NmsOptions {
  /**
   * How groups are kept apart. "shifted" follows torchvision's `batched_nms` (which detectron2 uses);
   * "separate" compares boxes unshifted, whatever their number. Default "shifted".
   */
  readonly grouping?: "shifted" | "separate";
}

// torchvision's rule on the CPU: above this many values (4 per box) groups are processed one by one.
const MOST_VALUES_OFFSET = 4000;

function check(boxes: Float32Array, scores: Float32Array, options: NmsOptions, where: string): void {
  assertLength(boxes, scores.length * 4, where, "boxes");
  if (!(options.iouThreshold >= 0)) {
    throw new ConfigError(`${where}: iouThreshold must be at least 0, got ${options.iouThreshold}.`);
  }
}

/**
 * Returns which of 32 equal stripes of the boxes' extent each box covers along one axis (0 = x, 1 = y), as
 * bits. Boxes without a common stripe don't overlap, so one AND decides most pairs.
 */
function stripes(boxes: Float32Array, axis: 0 | 1): Int32Array {
  let low = Infinity;
  let high = -Infinity;
  for (let i = axis; i < boxes.length; i += 4) {
    low = Math.min(low, boxes[i]!);
    high = Math.max(high, boxes[i + 2]!);
  }
  const perPixel = 32 / (high - low);
  const stripe = (value: number): number => Math.min(((value - low) * perPixel) | 0, 31);
  const masks = new Int32Array(boxes.length / 4);
  for (let i = 0; i < masks.length; i++) {
    masks[i] = (2 << stripe(boxes[i * 4 + axis + 2]!)) - (1 << stripe(boxes[i * 4 + axis]!));
  }
  return masks;
}

/**
 * Applies greedy NMS among boxes of the same slot (0..slots-1): keeps each box, best first, unless it
 * overlaps a kept one too much.
 */
function greedy(
  boxes: Float32Array,
  scores: Float32Array,
  slot: Int32Array,
  slots: number,
  options: NmsOptions,
): Int32Array {
  const { iouThreshold, maxOutput = Infinity } = options;
  const total = scores.length;
  const areas = boxAreaOnHost(boxes);
  const stripesX = stripes(boxes, 0);
  const stripesY = stripes(boxes, 1);
  // The kept boxes of a slot are contiguous, so that the inner loop reads memory in order.
  const start = new Int32Array(slots + 1);
  for (let i = 0; i < total; i++) start[slot[i]! + 1]!++;
  for (let s = 0; s < slots; s++) start[s + 1]! += start[s]!;
  const end = start.slice(0, slots);
  const keptX = new Int32Array(total);
  const keptY = new Int32Array(total);
  const keptIndex = new Int32Array(total);

  const exceeds = (i: number, k: number): boolean => {
    const left = Math.max(boxes[i * 4]!, boxes[k * 4]!);
    const top = Math.max(boxes[i * 4 + 1]!, boxes[k * 4 + 1]!);
    const right = Math.min(boxes[i * 4 + 2]!, boxes[k * 4 + 2]!);
    const bottom = Math.min(boxes[i * 4 + 3]!, boxes[k * 4 + 3]!);
    if (right <= left || bottom <= top) return false;
    const overlap = f(f(right - left) * f(bottom - top));
    return f(overlap / f(f(areas[k]! + areas[i]!) - overlap)) > iouThreshold;
  };

  const kept = new Int32Array(total);
  let count = 0;
  for (const i of argsortDescending(scores)) {
    if (count >= maxOutput) break;
    const s = slot[i]!;
    const last = end[s]!;
    const x = stripesX[i]!;
    const y = stripesY[i]!;
    let at = start[s]!;
    while (at < last && !((x & keptX[at]!) !== 0 && (y & keptY[at]!) !== 0 && exceeds(i, keptIndex[at]!)))
      at++;
    if (at < last) continue;
    keptX[last] = x;
    keptY[last] = y;
    keptIndex[last] = i;
    end[s]!++;
    kept[count++] = i;
  }
  return kept.slice(0, count);
}

/**
 * Applies greedy non-maximum suppression to xyxy boxes [N * 4] by scores [N]. Returns the indices of the kept
 * boxes, best score first, ties by lower index: exactly those of torchvision's CPU `nms`, whose float32
 * arithmetic it reproduces.
 */
export function nmsOnHost(boxes: Float32Array, scores: Float32Array, options: NmsOptions): Int32Array {
  check(boxes, scores, options, "nmsOnHost");
  return greedy(boxes, scores, new Int32Array(scores.length), 1, options);
}

function hasEqual(scores: Float32Array): boolean {
  const sorted = scores.slice().sort();
  return sorted.some((score, i) => i > 0 && score === sorted[i - 1]);
}

/**
 * Applies NMS in which only boxes of the same group (class, pyramid level; any integers) suppress each other.
 * Returns indices over all groups, best score first: exactly those of torchvision 0.14's CPU `batched_nms`.
 * Up to 1000 boxes that function shifts the groups apart in float32, whose rounding can move an IoU across
 * the threshold; this one reproduces it. For more boxes groups are compared unshifted, and equal scores come
 * in the order of torch's unstable sort (`torchSortDescending`), which is reproduced too. "separate" orders
 * equal scores by index.
 */
export function batchedNmsOnHost(
  boxes: Float32Array,
  scores: Float32Array,
  groups: Int32Array,
  options: BatchedNmsOptions,
): Int32Array {
  check(boxes, scores, options, "batchedNmsOnHost");
  assertLength(groups, scores.length, "batchedNmsOnHost", "groups");
  if (options.grouping === "separate" || boxes.length > MOST_VALUES_OFFSET) {
    const slotOf = new Map<number, number>();
    const slot = groups.map((group) => {
      if (!slotOf.has(group)) slotOf.set(group, slotOf.size);
      return slotOf.get(group)!;
    });
    if (options.grouping === "separate" || !hasEqual(scores))
      return greedy(boxes, scores, slot, slotOf.size, options);
    // The order of equal scores depends on all boxes that are kept.
    const kept = greedy(boxes, scores, slot, slotOf.size, { iouThreshold: options.iouThreshold }).sort();
    const order = torchSortDescending(Float32Array.from(kept, (i) => scores[i]!));
    return order.subarray(0, options.maxOutput ?? order.length).map((i) => kept[i]!);
  }
  const step = f(boxes.reduce((most, value) => Math.max(most, value), -Infinity) + 1);
  const shifted = boxes.map((value, i) => value + f(groups[i >> 2]! * step));
  return greedy(shifted, scores, new Int32Array(scores.length), 1, options);
}
