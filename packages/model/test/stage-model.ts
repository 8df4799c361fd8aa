// The narrow models of tools/golden/stages_*.py, rebuilt from the names and shapes of their tensors.
import type { ImageSize, NamedArrays, RawImage } from "@mrcnn/core";
import { golden, seededUniform } from "@mrcnn/testing";
import type { Summary } from "@mrcnn/testing";
import { assignWeights, fromDetectron2, fromMatterport, fromTorch } from "@mrcnn/weights";
import { createMaskRcnn, inferMaskRcnnConfig, maskRcnnConfig } from "../src/index.ts";
import type { MaskRcnn, MaskRcnnConfig, MaskRcnnOptions, Numerics } from "../src/index.ts";

export interface StageCase {
  /** Height and width of the picture. */
  readonly image: readonly [number, number];
  readonly numerics: Numerics;
  readonly norm: MaskRcnnConfig["backbone"]["norm"];
  /** By the library's own names: scale, then shape in its layout. */
  readonly weights: Readonly<Record<string, readonly number[]>>;
  /** What can't be read off weights. */
  readonly config: Omit<MaskRcnnOptions, "classes">;
  readonly stages: Readonly<Record<string, Summary>>;
  /** Boxes in the network's input: [N * 4]. */
  readonly proposals: readonly number[];
  readonly detections: readonly number[];
  /** In the picture's pixels. */
  readonly answer: {
    readonly boxes: readonly number[];
    readonly scores: readonly number[];
    readonly labels: readonly number[];
    readonly areas?: readonly number[];
    readonly keypoints?: readonly number[];
    readonly keypointScores?: readonly number[];
  };
}

export const stageCase = (name: string): StageCase => golden<StageCase>(import.meta.url, `stages-${name}`);

// Twin of `shift` in tools/golden/stages.py.
function shift(name: string, rank: number): number {
  if (/(running_var|moving_variance)$/.test(name)) return 0.5;
  return rank === 1 && /(weight|gamma)$/.test(name) ? 1.5 : -0.5;
}

function sourceArrays(weights: StageCase["weights"]): NamedArrays {
  return new Map(
    Object.entries(weights).map(([name, [scale, ...shape]]) => {
      const values = seededUniform(
        name,
        shape.reduce((a, b) => a * b, 1),
      );
      const offset = shift(name, shape.length);
      return [name, { shape, data: Float32Array.from(values, (u) => (u + offset) * scale!) }];
    }),
  );
}

const readers = { torchvision: fromTorch, detectron2: fromDetectron2, matterport: fromMatterport } as const;

// Records are merged key by key.
function merge(base: unknown, over: unknown): unknown {
  const isRecord = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isRecord(base) || !isRecord(over)) return over;
  return {
    ...base,
    ...Object.fromEntries(
      Object.entries(over).map(([key, value]) => [key, key in base ? merge(base[key], value) : value]),
    ),
  };
}

/** The model, its config read off its weights as far as they tell. */
export function stageModel({ weights, numerics, norm, config }: StageCase): MaskRcnn {
  const arrays = readers[numerics](sourceArrays(weights));
  const { config: inferred } = inferMaskRcnnConfig(arrays, {
    numerics,
    norm,
    where: "fixture",
    config: { anchors: config.anchors },
  });
  const model = createMaskRcnn(maskRcnnConfig(merge(inferred, config) as MaskRcnnOptions));
  assignWeights(model.variables, arrays);
  return model;
}

/** Twin of `picture` in tools/golden/stages.py. */
export function picture({ height, width }: ImageSize): RawImage {
  const across = Math.ceil(width / 8);
  const coarse = seededUniform("blocks", Math.ceil(height / 8) * across * 3);
  const fine = seededUniform("noise", height * width * 3);
  const data = Uint8Array.from(fine, (u, i) => {
    const pixel = Math.floor(i / 3);
    const block = Math.floor(Math.floor(pixel / width) / 8) * across + Math.floor((pixel % width) / 8);
    return Math.floor(coarse[block * 3 + (i % 3)]! * 200) + Math.floor(u * 56);
  });
  return { height, width, data };
}
