/** Kernel of the sum of rows by segment. */
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { allocate, floats, ints, kernel, sizeOf } from "../heap.ts";

/** Sums the rows of `x` by segment: the gradient of gather. Ids outside [0, numSegments) are dropped. */
export const unsortedSegmentSum: KernelConfig = kernel<
  { x: TensorInfo; segmentIds: TensorInfo },
  { numSegments: number }
>("UnsortedSegmentSum", ({ inputs: { x, segmentIds }, attrs: { numSegments }, backend }) => {
  const rank = segmentIds.shape.length;
  const width = sizeOf(x.shape.slice(rank));
  const out = allocate(backend, [numSegments, ...x.shape.slice(rank)]);
  const from = floats(backend, x);
  const to = floats(backend, out);
  to.fill(0);
  ints(backend, segmentIds).forEach((segment, n) => {
    if (segment < 0 || segment >= numSegments) return;
    for (let i = 0; i < width; i++) to[segment * width + i] = to[segment * width + i]! + from[n * width + i]!;
  });
  return out;
});
