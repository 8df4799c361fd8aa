import { createRandom } from "@mrcnn/core";
import type { NaiveOptions, Shape4D } from "./naive.ts";

export interface RandomCase {
  readonly shape: Shape4D;
  readonly features: Float32Array;
  readonly boxes: Float32Array;
  readonly imageIndex: Int32Array;
  readonly options: NaiveOptions;
  readonly dy: Float32Array;
}

/** Random maps and boxes: inside, across and beyond the edges, thin and wide, in no order of image. */
export function randomCases(count: number): RandomCase[] {
  const random = createRandom(2017);
  return Array.from({ length: count }, (_, i) => {
    const shape: Shape4D = [1 + random.int(3), 1 + random.int(12), 1 + random.int(12), 1 + random.int(6)];
    const rois = 1 + random.int(5);
    const spatialScale = [1, 0.25, 1 / 16][random.int(3)]!;
    const boxes = new Float32Array(rois * 4);
    for (let r = 0; r < rois; r++) {
      const at = (cells: number): number => ((random.uniform() * 1.6 - 0.3) * cells) / spatialScale;
      const [x, y] = [at(shape[2]), at(shape[1])];
      boxes.set(
        [
          x,
          y,
          x + (random.uniform() * shape[2]) / spatialScale,
          y + (random.uniform() * shape[1]) / spatialScale,
        ],
        r * 4,
      );
    }
    const outputSize = [1 + random.int(7), 1 + random.int(7)] as const;
    const normal = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.normal());
    return {
      shape,
      features: normal(shape.reduce((a, b) => a * b)),
      boxes,
      imageIndex: Int32Array.from({ length: rois }, () => random.int(shape[0])),
      options: { outputSize, spatialScale, samplingRatio: i % 3, aligned: i % 2 === 0 },
      dy: normal(rois * outputSize[0] * outputSize[1] * shape[3]),
    };
  });
}

/** The fixture of tools/golden/roi_align.py. */
export interface Golden {
  readonly featureShape: Shape4D;
  readonly boxes: readonly number[];
  readonly imageIndex: readonly number[];
  readonly outputSize: readonly [number, number];
  readonly spatialScale: number;
  readonly cases: readonly {
    readonly aligned: boolean;
    readonly samplingRatio: number;
    readonly output: readonly number[];
    readonly gradient: readonly number[];
  }[];
}

/** The feature values of tools/golden/roi_align.py. */
export function pattern(shape: readonly number[]): Float32Array {
  return Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => ((i * 7919) % 1009) / 1009);
}
