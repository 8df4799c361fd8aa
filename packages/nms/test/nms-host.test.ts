import { expect, test } from "vitest";
import { createRandom } from "@mrcnn/core";
import { golden } from "@mrcnn/testing";
import { argsortDescending, batchedNmsOnHost, nmsOnHost } from "@mrcnn/nms";

interface Plain {
  readonly cases: readonly {
    readonly boxes: readonly number[];
    readonly scores: readonly number[];
    readonly kept: readonly { readonly iouThreshold: number; readonly indices: readonly number[] }[];
  }[];
}
interface Batched {
  readonly boxes: readonly number[];
  readonly scores: readonly number[];
  readonly groups: readonly number[];
  readonly iouThreshold: number;
  readonly indices: readonly number[];
}
const f32 = (values: readonly number[]): Float32Array => Float32Array.from(values);

test.each(golden<Plain>(import.meta.url, "nms").cases.map((c, i) => [i, c] as const))(
  "indices equal torchvision's, ties and IoUs at the threshold included (case %i)",
  (_, { boxes, scores, kept }) => {
    for (const { iouThreshold, indices } of kept) {
      expect([...nmsOnHost(f32(boxes), f32(scores), { iouThreshold })]).toEqual(indices);
    }
  },
);

// "few" was chosen so that comparing groups where they lie would answer otherwise, "many" so that
// shifting them would.
test.each(["few", "many", "three"])("batched indices equal torchvision's (%s)", (name) => {
  const { boxes, scores, groups, iouThreshold, indices } = golden<Batched>(
    import.meta.url,
    `batched-${name}`,
  );
  expect([...batchedNmsOnHost(f32(boxes), f32(scores), Int32Array.from(groups), { iouThreshold })]).toEqual(
    indices,
  );
});

test("a hand-worked case: IoU equal to the threshold is kept, greater is not", () => {
  // Against the 10x10 box, the 10x5 one has IoU exactly 1/2.
  const boxes = f32([0, 0, 10, 5, 0, 0, 10, 10, 0, 0, 10, 6, 20, 20, 30, 30]);
  const scores = f32([0.8, 0.9, 0.7, 0.6]);
  expect([...nmsOnHost(boxes, scores, { iouThreshold: 0.5 })]).toEqual([1, 0, 3]);
  expect([...nmsOnHost(boxes, scores, { iouThreshold: 0.5, maxOutput: 2 })]).toEqual([1, 0]);
});

test("equal scores go by index; nothing gives nothing", () => {
  const same = f32([5, 5, 9, 9, 5, 5, 9, 9]);
  expect([...nmsOnHost(same, f32([0.5, 0.5]), { iouThreshold: 0.5 })]).toEqual([0]);
  expect([...batchedNmsOnHost(same, f32([0.5, 0.5]), Int32Array.of(3, -1), { iouThreshold: 0.5 })]).toEqual([
    0, 1,
  ]);
  const none = new Float32Array(0);
  expect(nmsOnHost(none, none, { iouThreshold: 0.5 })).toHaveLength(0);
  expect(batchedNmsOnHost(none, none, new Int32Array(0), { iouThreshold: 0.5 })).toHaveLength(0);
});

test("NMS of what NMS kept keeps everything, and maxOutput is a prefix", () => {
  const random = createRandom(11);
  const n = 3000;
  const boxes = new Float32Array(n * 4);
  for (let i = 0; i < n; i++) {
    const [x, y] = [random.uniform() * 300, random.uniform() * 300];
    boxes.set([x, y, x + 5 + random.uniform() * 60, y + 5 + random.uniform() * 60], i * 4);
  }
  const scores = Float32Array.from({ length: n }, () => random.uniform());
  const kept = nmsOnHost(boxes, scores, { iouThreshold: 0.4 });
  const keptBoxes = Float32Array.from([...kept].flatMap((i) => [...boxes.subarray(i * 4, i * 4 + 4)]));
  const keptScores = Float32Array.from(kept, (i) => scores[i]!);
  expect(nmsOnHost(keptBoxes, keptScores, { iouThreshold: 0.4 })).toEqual(Int32Array.from(kept.keys()));
  expect(nmsOnHost(boxes, scores, { iouThreshold: 0.4, maxOutput: 50 })).toEqual(kept.slice(0, 50));
});

test("argsort orders every kind of number and keeps ties in order", () => {
  const scores = f32([0, -1, 3, -0, Infinity, 3, -Infinity, NaN, 1e-40, -1e-40]);
  expect([...argsortDescending(scores)]).toEqual([7, 4, 2, 5, 8, 0, 3, 9, 1, 6]);
});

test("arguments that can't be meant are named", () => {
  expect(() => nmsOnHost(f32([0, 0, 1, 1]), f32([1, 1]), { iouThreshold: 0.5 })).toThrow(
    "nmsOnHost: boxes must hold 8 values, got 4.",
  );
  expect(() => nmsOnHost(f32([0, 0, 1, 1]), f32([1]), { iouThreshold: -1 })).toThrow(
    "nmsOnHost: iouThreshold must be at least 0, got -1.",
  );
});
