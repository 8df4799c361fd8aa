import type { Bitmap, GroundTruth } from "@mrcnn/core";
import { golden, seededUniform } from "@mrcnn/testing";

interface GoldenRois {
  readonly labelsBeforeSampling: number[];
  readonly labels: number[];
  readonly positive: number[];
  readonly matchedGt: number[];
  readonly deltas: number[];
  readonly matches?: number[];
  readonly masks?: number[];
}

interface GoldenCase {
  readonly anchorLabels: number[];
  readonly anchorDeltas: number[];
  readonly anchorMatches?: number[];
  readonly "rois0.5": GoldenRois;
  readonly "rois0.2": GoldenRois;
}

/** What torchvision answers; tools/golden/targets.py makes the same inputs as this file. */
export const expected: Record<string, GoldenCase> = golden<{ cases: Record<string, GoldenCase> }>(
  import.meta.url,
  "targets",
).cases;

const IMAGE = { height: 48, width: 64 };

const grid: number[] = [];
for (let y = 0; y < 48; y += 8) {
  for (let x = 0; x < 64; x += 8) {
    for (const [w, h] of [
      [16, 16],
      [24, 12],
      [40, 40],
    ] as const)
      grid.push(x - w / 2, y - h / 2, x + w / 2, y + h / 2);
  }
}
export const anchors: Float32Array = Float32Array.from(grid);

export function seededBoxes(name: string, count: number): Float32Array {
  const u = seededUniform(name, 4 * count);
  return Float32Array.from(u, (value, i) => {
    const k = i % 4;
    if (k === 0) return 48 * value;
    if (k === 1) return 36 * value;
    return k === 2 ? 48 * u[i - 2]! + 4 + 30 * value : 36 * u[i - 2]! + 4 + 24 * value;
  });
}

const boxes: Record<string, Float32Array> = {
  random: seededBoxes("random.gt", 6),
  crowded: seededBoxes("crowded.gt", 40),
  ties: Float32Array.of(10, 10, 30, 30, 10, 10, 30, 30, 20, 20, 28, 28, 8, 8, 24, 24),
  unreached: Float32Array.of(8, 8, 24, 24, 500, 500, 510, 510),
  empty: new Float32Array(0),
};

export function objects(boxes: Float32Array, options: { crowd?: readonly number[] } = {}): GroundTruth {
  const count = boxes.length / 4;
  return {
    boxes,
    labels: Int32Array.from({ length: count }, (_, i) => (i % 3) + 1),
    masks: [],
    isCrowd: Uint8Array.from({ length: count }, (_, i) => Number(options.crowd?.includes(i) ?? false)),
  };
}

export const groundTruth = (name: string): GroundTruth => objects(boxes[name]!);

export function bitmaps(count: number): Bitmap[] {
  return Array.from({ length: count }, (_, g) => {
    const data = new Uint8Array(48 * 64);
    for (let y = 0; y < 48; y++) {
      for (let x = 0; x < 64; x++) {
        data[y * 64 + x] = Number((x * 7 + y * 13 + g * 5 + Math.trunc(x / 9) * Math.trunc(y / 7)) % 11 < 6);
      }
    }
    return { size: IMAGE, left: 0, top: 0, ...IMAGE, data };
  });
}
