// A dry run asks for the same kernels on the same shapes as a detection, and leaves nothing behind.
import { engine, memory, tensor1d, zerosLike } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import { createMaskRcnn, dryRun, maskRcnnConfig } from "../src/index.ts";
import type { MaskRcnnOptions } from "../src/index.ts";

interface Kernel {
  readonly name: string;
  readonly inputShapes: unknown;
  readonly outputShapes: unknown;
}

/** The kernels that run in `work`, to its end: `tf.profile` looks at what comes before the first await only. */
async function kernelsOf(work: () => unknown): Promise<readonly Kernel[]> {
  const { state } = engine() as unknown as {
    state: { profiling: boolean; activeProfile: { kernels: Kernel[] } };
  };
  const kernels: Kernel[] = [];
  state.activeProfile.kernels = kernels;
  state.profiling = true;
  await Promise.resolve(work()).finally(() => (state.profiling = false));
  return kernels;
}

const size = { width: 90, height: 60 };
const image = {
  ...size,
  data: Uint8Array.from({ length: size.width * size.height * 3 }, (_, i) => (i * 2654435761) >>> 24),
};
const small: Omit<MaskRcnnOptions, "classes"> = {
  image: { minSize: 64, maxSize: 96 },
  backbone: { depth: 18, width: 8 },
  fpn: { channels: 8 },
  rpn: { nmsThreshold: 1, detection: { preNmsTopK: 60, postNmsTopK: 20 } },
  box: { representation: 16, scoreThreshold: 0, nmsThreshold: 1, maxDetections: 6 },
  maskHead: { poolSize: 7, layers: [8], channels: 8 },
};

describe("dryRun", () => {
  it.each<[string, Partial<MaskRcnnOptions>, { maxDetections?: number; minSize?: number }]>([
    ["with masks", {}, {}],
    [
      "with masks and keypoints",
      { keypoints: ["head", "tail"], keypointHead: { poolSize: 7, layers: [8] } },
      {},
    ],
    ["with boxes alone", { mask: false }, {}],
    [
      "of the C4 architecture",
      {
        architecture: "c4",
        backbone: { depth: 50, width: 8 },
        maskHead: { layers: [], channels: 8 },
        rpn: { nmsThreshold: 1, detection: { preNmsTopK: 60, postNmsTopK: 12 } },
      },
      {},
    ],
    ["of matterport's arithmetic", { numerics: "matterport", image: { minSize: 64, maxSize: 128 } }, {}],
    ["with other options of detect", {}, { maxDetections: 3, minSize: 48 }],
  ])("computes %s what detect does, on the same shapes, and leaves no tensor", async (_, options, asked) => {
    const model = createMaskRcnn(
      maskRcnnConfig({ classes: ["a", "b"], ...small, ...options }),
      createRandom(5),
    );
    // Every proposal is an object and its own box, so that there are as many as may be.
    for (const [name, variable] of model.variables) {
      if (!name.startsWith("roi_heads.box_predictor.")) continue;
      const value = name.endsWith("cls_score.bias") ? tensor1d([-9, 9, 0]) : zerosLike(variable);
      variable.assign(value);
      value.dispose();
    }
    try {
      const before = memory().numTensors;
      const dry = await kernelsOf(() => dryRun(model, size, asked));
      expect(memory().numTensors).toBe(before);
      const real = await kernelsOf(async () => {
        const [found] = await model.detect([image], asked);
        expect(found!.labels).toHaveLength(asked.maxDetections ?? 6);
      });
      // The layers, where the time goes and shaders are made for.
      const layers = (kernels: readonly Kernel[]): string[] =>
        kernels
          .filter(({ name }) => /Conv|MatMul|Pool|RoiAlign/.test(name))
          .map(({ name, inputShapes, outputShapes }) => JSON.stringify([name, inputShapes, outputShapes]));
      expect(layers(real).length).toBeGreaterThan(20);
      expect(layers(dry).toSorted()).toEqual(layers(real).toSorted());
    } finally {
      model.dispose();
    }
  });
});
