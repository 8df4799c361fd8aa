import { expect, test } from "vitest";
import { expectClose, golden } from "@mrcnn/testing";
import { createRandom } from "@mrcnn/core";
import {
  boxAreaOnHost,
  clipBoxesOnHost,
  decodeBoxesOnHost,
  encodeBoxesOnHost,
  filterSmallBoxesOnHost,
  gatherBoxesOnHost,
  pairwiseIouOnHost,
  xywhToXyxyOnHost,
  xyxyToXywhOnHost,
} from "@mrcnn/boxes";
import type { Golden } from "./golden.ts";

const fixture = golden<Golden>(import.meta.url, "boxes");
const f32 = (values: readonly number[]): Float32Array => Float32Array.from(values);

test("areas, IoU, clipping, filtering and conversion equal torchvision's, bit by bit", () => {
  const a = f32(fixture.a);
  expect(boxAreaOnHost(a)).toEqual(f32(fixture.area));
  expect(pairwiseIouOnHost(a, f32(fixture.b))).toEqual(f32(fixture.iou));
  expect(clipBoxesOnHost(f32(fixture.wide), { height: 120, width: 200 })).toEqual(f32(fixture.clipped));
  for (const { minSize, indices } of fixture.kept) {
    expect([...filterSmallBoxesOnHost(f32(fixture.small), minSize)]).toEqual(indices);
  }
  expect(xyxyToXywhOnHost(a)).toEqual(f32(fixture.xywh));
});

test("gathered boxes come in the order asked for, also twice or not at all", () => {
  const boxes = f32([0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]);
  expect(gatherBoxesOnHost(boxes, [2, 0, 2])).toEqual(f32([20, 21, 22, 23, 0, 1, 2, 3, 20, 21, 22, 23]));
  expect(gatherBoxesOnHost(boxes, Int32Array.of(1))).toEqual(f32([10, 11, 12, 13]));
  expect(gatherBoxesOnHost(boxes, [])).toEqual(f32([]));
});

test("deltas equal those of torchvision's BoxCoder, clamp included", async () => {
  const reference = f32(fixture.reference);
  for (const { weights, encoded, decoded } of fixture.coder) {
    // exp and log may differ in the last bit between libraries.
    await expectClose(encodeBoxesOnHost(f32(fixture.a), reference, weights), encoded, {
      atol: 1e-6,
      rtol: 5e-7,
    });
    await expectClose(decodeBoxesOnHost(f32(fixture.deltas), reference, weights), decoded, {
      atol: 1e-4,
      rtol: 5e-7,
    });
  }
});

test("a hand-worked IoU: 10x10 boxes shifted by 5 share 50 of 150", () => {
  expect(pairwiseIouOnHost(f32([0, 0, 10, 10]), f32([5, 0, 15, 10, 10, 0, 20, 10]))).toEqual(
    f32([50 / 150, 0]),
  );
  expect(pairwiseIouOnHost(f32([1, 1, 1, 1]), f32([1, 1, 1, 1]))[0]).toBeNaN();
  expect(pairwiseIouOnHost(new Float32Array(0), f32([0, 0, 1, 1]))).toHaveLength(0);
});

test("decoding inverts encoding, and growth is held at 1000 / 16", async () => {
  const random = createRandom(3);
  const boxes = (): Float32Array =>
    xywhToXyxyOnHost(
      Float32Array.from({ length: 200 }, (_, i) => random.uniform() * 100 + (i % 4 < 2 ? 0 : 1)),
    );
  const [a, b] = [boxes(), boxes()];
  const weights = [10, 10, 5, 5] as const;
  await expectClose(decodeBoxesOnHost(encodeBoxesOnHost(a, b, weights), b, weights), a, { atol: 1e-3 });
  // A side of 2 grows to 125 about the centre 1.
  await expectClose(
    decodeBoxesOnHost(f32([0, 0, 50, 0]), f32([0, 0, 2, 2]), [1, 1, 1, 1]),
    [-61.5, 0, 63.5, 2],
    { atol: 1e-4 },
  );
});

test("conversion to corner and size inverts", () => {
  expect(xyxyToXywhOnHost(f32([1, 2, 5, 10]))).toEqual(f32([1, 2, 4, 8]));
  expect(xywhToXyxyOnHost(f32([1, 2, 4, 8]))).toEqual(f32([1, 2, 5, 10]));
});

test("arrays that don't fit together are named", () => {
  expect(() => encodeBoxesOnHost(new Float32Array(8), new Float32Array(4), [1, 1, 1, 1])).toThrow(
    "encodeBoxesOnHost: reference must hold 8 values, got 4.",
  );
});
