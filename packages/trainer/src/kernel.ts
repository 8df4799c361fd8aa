/** What an update, the decision how far it goes, and the backends that accelerate them agree on. */
import type { NamedTensorInfoMap } from "@tensorflow/tfjs-core";
import type { KernelContract } from "@mrcnn/core/tensors";

/**
 * One update by stochastic gradient descent with momentum, as `sgd` describes it: `SgdInputs` and `SgdAttrs` to
 * [variable, velocity] after it. A `scale` below 0 gives both as they were (a missing velocity as zeros).
 */
export const SGD = "MrcnnSgd";

/** `variable`, `gradient` and `velocity` float32 of one shape, `velocity` absent in the first update; `scale` float32, a scalar. */
export type SgdInputs = Pick<NamedTensorInfoMap, "variable" | "gradient" | "velocity" | "scale">;

/** Of `MrcnnSgd`. */
export interface SgdAttrs {
  readonly rate: number;
  readonly momentum: number;
  /** The L2 penalty; 0 for variables that don't decay. */
  readonly decay: number;
}

/** The contract of `MrcnnSgd`. */
export const sgdContract: KernelContract<SgdAttrs> = { name: SGD, attributes: ["rate", "momentum", "decay"] };

/**
 * What every gradient is multiplied by, found without the host: `StepScaleInputs` and `StepScaleAttrs` to [scale, values]:
 * `scale`, a scalar, is `share` after clipping, or -1 where a loss, the norm or an earlier step was not finite; `values`
 * float32 [losses + 1] are the losses and the gradient's global norm before clipping (0 without clipping), to be read at leisure.
 */
export const STEP_SCALE = "MrcnnStepScale";

/** `losses` float32 [L]; `previous`, an earlier step's `scale`, may be absent; every other input is a gradient, float32, of any shape. */
export type StepScaleInputs = Pick<NamedTensorInfoMap, "losses"> & NamedTensorInfoMap;

/** Of `MrcnnStepScale`. */
export interface StepScaleAttrs {
  /** Multiplies every gradient before its norm is taken: 1 / micro-batches. */
  readonly share: number;
  /** `torch.nn.utils.clip_grad_norm_`'s; undefined where there are no gradients. */
  readonly clipNorm: number | undefined;
}

/** The contract of `MrcnnStepScale`. */
export const stepScaleContract: KernelContract<StepScaleAttrs> = {
  name: STEP_SCALE,
  attributes: ["share", "clipNorm"],
};
