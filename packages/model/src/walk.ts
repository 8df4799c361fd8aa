/**
 * The pipeline of Mask R-CNN (He et al. 2017, figures 1 to 3), written once: detection, training, the dry run and heads on
 * given boxes are contexts of it. It reads like torchvision's `GeneralizedRCNN.forward`.
 */
import { tensor4d } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import type { BoxHeadOutput, FeatureMaps, ImageBatch, Rois, RoisOnDevice, RpnOutput } from "@mrcnn/core";
import type { Branch } from "./branches.ts";
import type { Statistics } from "./norm-options.ts";
import { partsOf, type Model } from "./parts.ts";

/** What a stage puts out: tensors, held until they are released. */
export type StageOutput = Tensor | FeatureMaps | RpnOutput | BoxHeadOutput;

/** Objects that the branches beside the box head look at. */
export interface Objects {
  readonly rois: Rois;
  /** The class whose output each object wants; without, branches put out every class. */
  readonly labels: Int32Array | undefined;
  /** Whether there is nothing to look at. */
  readonly none: boolean;
}

/** A branch and what it put out for the objects. */
export interface Answer {
  readonly branch: Branch;
  readonly output: Tensor;
}

/** What a walk is for: how stages are computed, which regions and objects are chosen, and what comes of it. */
export interface Context<Result> {
  /** What batch norms normalise with. */
  readonly statistics: Statistics;
  /** Regions that the caller gives; without, the network proposes its own. */
  readonly given?: Rois | undefined;
  /** Keeps a tensor until it is released. */
  hold(tensor: Tensor4D): Tensor4D;
  /** Computes a stage on the device, and holds what it puts out. */
  compute<T extends StageOutput>(stage: string, work: () => T): Promise<T>;
  /** Lets go of what no later stage reads. */
  release(output: StageOutput): void;
  /** Chooses regions by what the proposal network says of each anchor. */
  chooseRegions(rpn: RpnOutput, anchors: Float32Array): Promise<Rois | RoisOnDevice>;
  /** Chooses objects by what the box head says of each region. */
  chooseObjects(boxes: BoxHeadOutput, regions: Rois | RoisOnDevice): Promise<Objects>;
  /** Ends the walk with what the branches put out, whose tensors it releases. */
  finish(answers: readonly Answer[], objects: Objects): Promise<Result>;
}

/** Walks a batch of images through the network: features, regions, boxes, and whatever else is asked of each object. */
export async function walk<Result>(
  model: Model,
  batch: ImageBatch,
  context: Context<Result>,
): Promise<Result> {
  const { backbone, neck, proposer, anchors, pool, box, branches } = partsOf(model, context.statistics);
  const { height, width } = batch.size;

  // Features of the whole image, on one level or several.
  let x = context.hold(tensor4d(batch.data, [batch.imageSizes.length, height, width, 3]));
  const maps = new Map<string, Tensor4D>();
  for (const layer of backbone) {
    const before = x;
    x = await context.compute(layer.name, () => layer.apply(before));
    if (![...maps.values()].includes(before)) context.release(before);
    if (layer.level !== undefined) maps.set(layer.level, x);
  }
  const features = neck === undefined ? maps : await context.compute("fpn", () => neck(maps));
  if (neck !== undefined) context.release(maps);

  // Regions that may hold an object.
  let regions: Rois | RoisOnDevice | undefined = context.given;
  if (regions === undefined) {
    const rpn = await context.compute("rpn head", () => proposer(features));
    regions = await context.chooseRegions(rpn, anchors(features, batch.size));
    context.release(rpn);
  }

  // What each region holds, and where its box is.
  const chosen = regions;
  const pooled = await context.compute("box pooling", () => pool(features, chosen, box.poolSize, batch.size));
  const boxes = await context.compute("box head", () => box.apply(pooled));
  context.release(pooled);
  const objects = await context.chooseObjects(boxes, regions);
  context.release(boxes);

  // What else is asked of each object: its mask, its keypoints.
  const answers: Answer[] = [];
  for (const branch of objects.none ? [] : branches) {
    const seen = await context.compute(`${branch.kind} pooling`, () =>
      pool(features, objects.rois, branch.poolSize, batch.size),
    );
    answers.push({
      branch,
      output: await context.compute(`${branch.kind} head`, () => branch.apply(seen, objects.labels)),
    });
    context.release(seen);
  }
  context.release(features);
  return context.finish(answers, objects);
}
