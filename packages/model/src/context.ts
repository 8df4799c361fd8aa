/** The interface between a walk and its purpose: detection, training, a dry run. */
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import type { Rois } from "@mrcnn/core";
import type { BoxHeadOutput, FeatureMaps, RoisOnDevice, RpnOutput } from "@mrcnn/core/tensors";
import type { Branch } from "./branches.ts";
import type { Statistics } from "./norm-options.ts";

/** What a stage puts out: tensors, held until they are released. */
export type StageOutput = Tensor | FeatureMaps | RpnOutput | BoxHeadOutput;

/** Objects that the branches beside the box head look at. */
export interface Objects {
  readonly rois: Rois;
  /** The class of each object, [R]: branches put out that class only. Without, they put out every class. */
  readonly labels: Int32Array | undefined;
  /** Whether there are no objects, so that branches need not run. */
  readonly none: boolean;
}

/** A branch and its output for the objects. */
export interface Answer {
  readonly branch: Branch;
  readonly output: Tensor;
}

/**
 * What a walk is for: how stages are computed, which regions and objects are chosen, and what comes of it.
 */
export interface Context<Result> {
  /** Statistics that batch norms use. */
  readonly statistics: Statistics;
  /**
   * Regions that the caller gives, or how they are chosen by what the proposal network says of each anchor.
   */
  readonly regions: Rois | ((rpn: RpnOutput, anchors: Float32Array) => Promise<Rois | RoisOnDevice>);
  /** Keeps a tensor until it is released. */
  hold(tensor: Tensor4D): Tensor4D;
  /** Computes a stage on the device, and holds what it puts out. */
  compute<T extends StageOutput>(stage: string, work: () => T): Promise<T>;
  /** Releases an output that no later stage reads. */
  release(output: StageOutput): void;
  /** Chooses objects by what the box head says of each region. */
  chooseObjects(boxes: BoxHeadOutput, regions: Rois | RoisOnDevice): Promise<Objects>;
  /** Ends the walk with what the branches put out, whose tensors it releases. */
  finish(answers: readonly Answer[], objects: Objects): Promise<Result>;
}
