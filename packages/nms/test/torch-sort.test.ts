import { expect, test } from "vitest";
import { golden, seededUniform } from "@mrcnn/testing";
import { batchedNmsOnHost } from "@mrcnn/nms";
import { torchSortDescending } from "../src/torch-sort.ts";

const { sorts, batched } = golden<{
  sorts: { n: number; values: number; order: number[] }[];
  batched: { n: number; iouThreshold: number; kept: number[] };
}>(import.meta.url, "torch-sort");

test.each(sorts)("equal values come in torch's order: $n of $values", ({ n, values, order }) => {
  const scores = Float32Array.from(seededUniform(`sort ${n}`, n), (u) => Math.floor(u * values));
  expect([...torchSortDescending(scores)]).toEqual(order);
});

test("so do equal scores of more than 1000 boxes in groups", () => {
  const { n, iouThreshold, kept } = batched;
  const u = seededUniform("boxes", 4 * n);
  const boxes = Float32Array.from(u, (value, i) =>
    Math.floor(i % 4 < 2 ? value * 90 : u[i - 2]! * 90 + 3 + 10 * value),
  );
  const scores = Float32Array.from(seededUniform("scores", n), (value) => Math.floor(value * 5) / 5);
  const groups = Int32Array.from(seededUniform("groups", n), (value) => Math.floor(value * 4));
  expect([...batchedNmsOnHost(boxes, scores, groups, { iouThreshold })]).toEqual(kept);
  expect([...batchedNmsOnHost(boxes, scores, groups, { iouThreshold, maxOutput: 77 })]).toEqual(
    kept.slice(0, 77),
  );
  // "separate" goes by index.
  const separate = [...batchedNmsOnHost(boxes, scores, groups, { iouThreshold, grouping: "separate" })];
  expect(separate.toSorted((a, b) => a - b)).toEqual(kept.toSorted((a, b) => a - b));
  expect(separate).toEqual(separate.toSorted((a, b) => scores[b]! - scores[a]! || a - b));
});

test("NaN comes first, and an input made against quicksort is sorted too", () => {
  expect([...torchSortDescending(Float32Array.of(1, NaN, 3, NaN))]).toEqual([1, 3, 2, 0]);
  // Falling values with rising ends: McIlroy's pattern is too long to write down, organ pipes do.
  const pipes = Float32Array.from({ length: 5000 }, (_, i) => Math.min(i, 5000 - i));
  const order = torchSortDescending(pipes);
  for (let i = 1; i < order.length; i++) expect(pipes[order[i - 1]!]! >= pipes[order[i]!]!).toBe(true);
  expect(new Set(order).size).toBe(5000);
});
