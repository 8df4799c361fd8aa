/** A walk in which nothing is read, so that a backend can compile its shaders before the first detection. */
import { dispose } from "@tensorflow/tfjs-core";
import type { ImageSize, Rois } from "@mrcnn/core";
import { selectDetectionsOnDevice } from "@mrcnn/heads";
import { notFiniteOnDevice } from "@mrcnn/nn";
import { selectProposalsOnDevice } from "@mrcnn/rpn";
import { detectionConfig } from "./detect.ts";
import { prepareInput } from "./input.ts";
import type { DetectOptions } from "./input.ts";
import { proposalConfig } from "./parts.ts";
import type { Model } from "./parts.ts";
import { createStageRunner } from "./stages.ts";
import type { Within } from "./stages.ts";
import { walk } from "./walk.ts";

/**
 * Computes all that `model.detect` does on the device for a photo of `size`: on a black one, and as if it
 * held as many objects as may be detected. Nothing is read and nothing is left on the device. What computes
 * is called by `within`, in which a backend can compile instead (`compileAhead` of @mrcnn/backend-webgpu).
 */
export async function dryRun(
  model: Model,
  size: ImageSize,
  options: DetectOptions = {},
  within: Within = (work) => work(),
): Promise<void> {
  const { config } = model;
  const input = prepareInput(
    config,
    [{ ...size, data: new Uint8Array(3 * size.height * size.width) }],
    options,
  );
  const { limits, windows } = input;
  const count = options.maxDetections ?? config.box.maxDetections;
  const whole = [0, 0, limits[0]!.width, limits[0]!.height];
  const times = (n: number): Rois => ({
    boxes: Float32Array.from({ length: 4 * n }, (_, i) => whole[i & 3]!),
    imageIndex: new Int32Array(n),
  });
  const rois = times(count);
  const labels = new Int32Array(count).fill(1);
  const placed = {
    boxes: rois.boxes,
    labels,
    scores: new Float32Array(count),
    imageSize: size,
    window: windows[0]!,
    rows: labels.map((_, i) => i),
  };
  const stages = createStageRunner(undefined, within);
  try {
    await walk(model, input.batch, {
      ...stages,
      statistics: "running",
      async regions(rpn, anchors) {
        const chosen = within(() => {
          dispose(notFiniteOnDevice(rpn.objectness) ?? []);
          return selectProposalsOnDevice(rpn, anchors, limits, proposalConfig(config, config.rpn.detection));
        });
        if (chosen !== undefined) stages.hold(chosen.boxes);
        // Chosen on the host they are mostly as many as there may be.
        return chosen ?? times(config.rpn.detection.postNmsTopK);
      },
      async chooseObjects(boxes, { boxes: regions }) {
        if (!(regions instanceof Float32Array)) {
          within(() =>
            dispose(
              selectDetectionsOnDevice(boxes, regions, limits, detectionConfig(config, input, options)) ?? [],
            ),
          );
        }
        return { rois, labels, none: false };
      },
      async finish(answers) {
        for (const { branch, output } of answers)
          within(() => branch.read(output, { rois, placed: [placed] }).tensor.dispose());
      },
    });
  } finally {
    stages.dispose();
  }
}
