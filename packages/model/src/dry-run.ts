import { sigmoid, tidy } from "@tensorflow/tfjs-core";
import type { ImageSize, Rois } from "@mrcnn/core";
import { applyKeypointHead, pasteOnDevice, selectDetectionsOnDevice } from "@mrcnn/heads";
import { planPaste } from "@mrcnn/masks";
import { notFiniteOnDevice } from "@mrcnn/nn";
import { selectProposalsOnDevice } from "@mrcnn/rpn";
import { detectionConfig, prepareInput } from "./detect.ts";
import type { DetectOptions } from "./detect.ts";
import type { MaskRcnn } from "./mask-rcnn.ts";
import { numericsProfiles } from "./numerics.ts";
import {
  applyBoxBranch,
  applyDense,
  applyMaskBranchOfLabels,
  modelAnchors,
  poolRois,
  proposalConfig,
} from "./stages.ts";

/**
 * All that `model.detect` computes on the device for a photo of `size`, on a black one and as if it had as many objects as may be detected:
 * nothing is read, so that a backend can compile shaders ahead (`compileAhead` of @mrcnn/backend-webgpu). Nothing is left on the device.
 */
export function dryRun({ config, params }: MaskRcnn, size: ImageSize, options: DetectOptions = {}): void {
  const input = prepareInput(
    config,
    [{ ...size, data: new Uint8Array(3 * size.height * size.width) }],
    options,
  );
  const { batch, limits } = input;
  tidy(() => {
    const { features, rpn, grids } = applyDense(config, params, batch, "running");
    notFiniteOnDevice(rpn.objectness);
    const anchors = modelAnchors(config, grids, batch.size);
    const count = options.maxDetections ?? config.box.maxDetections;
    const whole = [0, 0, limits[0]!.width, limits[0]!.height];
    const times = (n: number): Rois => ({
      boxes: Float32Array.from({ length: 4 * n }, (_, i) => whole[i & 3]!),
      imageIndex: new Int32Array(n),
    });
    const found = times(count);
    const proposals = selectProposalsOnDevice(
      rpn,
      anchors,
      limits,
      proposalConfig(config, config.rpn.detection),
    );
    // Chosen on the host they are mostly as many as there may be.
    const pooled = poolRois(
      config,
      features,
      proposals ?? times(config.rpn.detection.postNmsTopK),
      config.box.poolSize,
      batch.size,
    );
    const boxes = applyBoxBranch(config, params, pooled, "running");
    if (proposals !== undefined)
      selectDetectionsOnDevice(boxes, proposals.boxes, limits, detectionConfig(config, input, options));
    if (config.mask) {
      const masks = sigmoid(
        applyMaskBranchOfLabels(
          config,
          params,
          poolRois(config, features, found, config.maskHead.poolSize, batch.size),
          new Int32Array(count).fill(1),
        ),
      );
      const { paste: method } = numericsProfiles[config.numerics];
      const rows = Int32Array.from({ length: count }, (_, i) => i);
      if (method !== "matterport")
        pasteOnDevice(masks, planPaste([{ boxes: found.boxes, rows, size }], masks.shape[1], { method }), {
          method,
        });
    }
    const { keypoint_head, keypoint_predictor } = params.roi_heads;
    if (keypoint_head !== undefined && keypoint_predictor !== undefined) {
      applyKeypointHead(
        { keypoint_head, keypoint_predictor },
        poolRois(config, features, found, config.keypointHead.poolSize, batch.size),
      );
    }
  });
}
