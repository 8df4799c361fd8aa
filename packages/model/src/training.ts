/** The training side of the model, apart so that a page that only detects does not ship it. */
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { gatherBoxesOnHost } from "@mrcnn/boxes";
import { ConfigError, offTape } from "@mrcnn/core";
import type {
  ImageSize,
  LossTerms,
  Random,
  Rois,
  RoisOnDevice,
  RpnOutput,
  TrainableModel,
  TrainingBatch,
} from "@mrcnn/core";
import { boxLosses, maskLoss, rpnLosses } from "@mrcnn/losses";
import { isStatistic } from "@mrcnn/nn";
import { readRois, selectProposals, selectProposalsOnDevice } from "@mrcnn/rpn";
import type { ProposalConfig } from "@mrcnn/rpn";
import { maskTargets, roiTargets, rpnTargets } from "@mrcnn/targets";
import type { MaskRcnn } from "./mask-rcnn.ts";
import { assertStepFits } from "./memory.ts";
import {
  applyBoxBranch,
  applyDense,
  applyMaskBranch,
  modelAnchors,
  poolRois,
  proposalConfig,
} from "./stages.ts";
import type { Statistics } from "./stages.ts";

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
  const { config, params } = model;
  const { images, groundTruth } = batch;
  if (config.numerics === "matterport" || config.keypoints.length > 0) {
    throw new ConfigError(
      `trainingLosses: models of numerics "matterport" and models with keypoints detect only, got ${config.numerics} with ${config.keypoints.length} keypoints. ` +
        'Train with numerics "torchvision" or "detectron2" and without keypoints.',
    );
  }
  assertStepFits({ config, count: images.imageSizes.length, size: images.size });
  // Frozen batch norm has no others, whatever is asked.
  const statistics: Statistics = "batch";
  const { features, rpn, grids } = applyDense(config, params, images, statistics);
  const anchors = modelAnchors(config, grids, images.size);
  const proposals = await chooseProposals(
    rpn,
    anchors,
    images.imageSizes,
    proposalConfig(config, config.rpn.training),
  );

  const anchorTargets = rpnTargets(anchors, groundTruth, config.rpn.targets, random);
  const targets = roiTargets(
    proposals,
    groundTruth,
    { ...config.box.targets, weights: config.box.weights },
    random,
  );
  const pool = (rois: Rois, side: number): Tensor4D => poolRois(config, features, rois, side, images.size);
  const losses: LossTerms = {
    ...rpnLosses(rpn, anchorTargets),
    ...boxLosses(
      applyBoxBranch(config, params, pool(targets.rois, config.box.poolSize), statistics),
      targets,
    ),
  };
  if (!config.mask) return losses;
  const logits = applyMaskBranch(
    config,
    params,
    pool(takeRois(targets.rois, targets.positive), config.maskHead.poolSize),
    statistics,
  );
  const labels = targets.positive.map((row) => targets.labels[row]!);
  return {
    ...losses,
    loss_mask: maskLoss(logits, labels, maskTargets(targets, groundTruth, logits.shape[1])),
  };
}

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
