/** The training side of the model, apart so that a page that only detects does not ship it. */
import { dispose } from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import { gatherBoxesOnHost } from "@mrcnn/boxes";
import { ConfigError } from "@mrcnn/core";
import { offTape } from "@mrcnn/core/tensors";
import type { GroundTruth, ImageSize, Random, Rois, RoiTargets, TrainingBatch } from "@mrcnn/core";
import type { LossTerms, RoisOnDevice, RpnOutput, TrainableModel } from "@mrcnn/core/tensors";
import { boxLosses, maskLoss, rpnLosses } from "@mrcnn/losses";
import { isStatistic } from "@mrcnn/nn";
import { readRois, selectProposals, selectProposalsOnDevice } from "@mrcnn/rpn";
import type { ProposalConfig } from "@mrcnn/rpn";
import { maskTargets, roiTargets, rpnTargets } from "@mrcnn/targets";
import type { Branch } from "./branches.ts";
import type { MaskRcnn } from "./mask-rcnn.ts";
import { assertStepFits } from "./memory.ts";
import { proposalConfig } from "./parts.ts";
import { tensorsOf } from "./stages.ts";
import { walk } from "./walk.ts";

export { assertStepFits, trainingValues } from "./memory.ts";
export type { Work } from "./memory.ts";

const takeRois = ({ boxes, imageIndex }: Rois, rows: Int32Array): Rois => ({
  boxes: gatherBoxesOnHost(boxes, rows),
  imageIndex: rows.map((row) => imageIndex[row]!),
});

// Chosen by a kernel where the backend has one; either way the host waits for them once.
async function chooseProposals(
  rpn: RpnOutput,
  anchors: Float32Array,
  sizes: readonly ImageSize[],
  config: ProposalConfig,
): Promise<Rois> {
  let onDevice: RoisOnDevice | undefined;
  const [boxes] = offTape(() => {
    onDevice = selectProposalsOnDevice(rpn, anchors, sizes, config);
    return onDevice === undefined ? [] : [onDevice.boxes];
  });
  if (onDevice === undefined) return selectProposals(rpn, anchors, sizes, config);
  try {
    return await readRois(onDevice);
  } finally {
    boxes!.dispose();
  }
}

/**
 * The losses of one forward pass (the paper's L = L_cls + L_box + L_mask and the RPN's two), as
 * torchvision computes them: `loss_objectness`, `loss_rpn_box_reg`, `loss_classifier`, `loss_box_reg`
 * and, with masks, `loss_mask`. Call on an open tape: it awaits the host's choice of proposals in
 * between, and no gradient flows through that choice. With batch norm it updates the running statistics.
 *
 * @throws ShapeError when the model has a mask head and a matched object no mask.
 */
export async function trainingLosses(
  model: MaskRcnn,
  batch: TrainingBatch,
  random: Random,
): Promise<LossTerms> {
  const { config } = model;
  const { images, groundTruth } = batch;
  if (config.numerics === "matterport" || config.keypoints.length > 0) {
    throw new ConfigError(
      `trainingLosses: models of numerics "matterport" and models with keypoints detect only, got ${config.numerics} with ${config.keypoints.length} keypoints. ` +
        'Train with numerics "torchvision" or "detectron2" and without keypoints.',
    );
  }
  assertStepFits({ config, count: images.imageSizes.length, size: images.size });
  const losses: { [name: string]: Scalar } = {};
  let sampled: RoiTargets;
  return walk(model, images, {
    statistics: "batch", // frozen batch norm has no others, whatever is asked
    hold: (tensor) => tensor,
    compute: async (_, work) => work(),
    // The backward pass holds its own handles of what it needs.
    release: (output) => dispose(tensorsOf(output)),
    async regions(rpn, anchors) {
      const proposals = await chooseProposals(
        rpn,
        anchors,
        images.imageSizes,
        proposalConfig(config, config.rpn.training),
      );
      const anchorTargets = rpnTargets(anchors, groundTruth, config.rpn.targets, random);
      sampled = roiTargets(
        proposals,
        groundTruth,
        { ...config.box.targets, weights: config.box.weights },
        random,
      );
      Object.assign(losses, rpnLosses(rpn, anchorTargets));
      return sampled.rois;
    },
    async chooseObjects(boxes) {
      Object.assign(losses, boxLosses(boxes, sampled));
      return { rois: takeRois(sampled.rois, sampled.positive), labels: undefined, none: false };
    },
    async finish(answers) {
      for (const { branch, output } of answers)
        Object.assign(losses, branchLosses[branch.kind]?.(output, sampled, groundTruth));
      return losses;
    },
  });
}

type BranchLoss = (output: Tensor, sampled: RoiTargets, groundTruth: readonly GroundTruth[]) => LossTerms;

/** What each branch's output for the sampled objects, of every class, costs. */
const branchLosses: Partial<Record<Branch["kind"], BranchLoss>> = {
  mask(logits, sampled, groundTruth) {
    const labels = sampled.positive.map((row) => sampled.labels[row]!);
    return {
      loss_mask: maskLoss(logits as Tensor4D, labels, maskTargets(sampled, groundTruth, logits.shape[1]!)),
    };
  },
};

/** The model as a trainer sees it. */
export function trainingModel(model: MaskRcnn): TrainableModel {
  const { backbone, fpn, box, maskHead } = model.config;
  const followsBatches = [backbone, fpn, box, maskHead].some(({ norm }) => norm === "batch_norm");
  return {
    variables: model.variables,
    trainable: model.trainable,
    statistics: followsBatches ? [...model.variables.keys()].filter(isStatistic) : [],
    losses: (batch, random) => trainingLosses(model, batch, random),
  };
}
