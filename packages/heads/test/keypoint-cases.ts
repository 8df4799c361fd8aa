// What torchvision and detectron2 find in seeded heatmaps.
import { golden } from "@mrcnn/testing";
import { expect } from "vitest";

interface Case {
  readonly side: number;
  readonly keypoints: number;
  readonly boxes: number[][];
  readonly points: number[][][];
  readonly scores: number[][];
  readonly detectron2: { readonly points: number[][][]; readonly scores: number[][] };
}
export const { cases } = golden<{ cases: Record<string, Case> }>(import.meta.url, "keypoints");

export const expectNear = (found: ArrayLike<number>, wanted: readonly number[], tolerance: number): void => {
  expect(found).toHaveLength(wanted.length);
  for (const [i, value] of wanted.entries())
    expect(Math.abs(found[i]! - value), `value ${i}`).toBeLessThanOrEqual(tolerance);
};
