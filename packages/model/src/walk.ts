/**
 * The pipeline of Mask R-CNN (He et al. 2017, figures 1 to 3), written once: detection, training, the dry run
 * and heads on given boxes are contexts of it. It reads like torchvision's `GeneralizedRCNN.forward`.
 */
import { tensor4d } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import type { ImageBatch, Rois } from "@mrcnn/core";
import type { RoisOnDevice } from "@mrcnn/core/tensors";
import type { Answer, Context } from "./context.ts";
import { partsOf, type Model } from "./parts.ts";

/**
 * Walks a batch of images through the network: features, regions, boxes, and whatever else is asked of each
 * object.
 */
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
  let regions: Rois | RoisOnDevice;
  if (typeof context.regions === "function") {
    const rpn = await context.compute("rpn head", () => proposer(features));
    regions = await context.regions(rpn, anchors(features, batch.size));
    context.release(rpn);
  } else regions = context.regions;

  // What each region holds, and where its box is.
  const pooled = await context.compute("box pooling", () =>
    pool(features, regions, box.poolSize, batch.size),
  );
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
