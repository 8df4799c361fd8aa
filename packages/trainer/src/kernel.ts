/**
 * Contracts of the kernels of an update (SGD, and the scale of its gradients) with the backends that
 * accelerate them.
 */
import type { NamedTensorInfoMap } from "@tensorflow/tfjs-core";
import type { KernelContract } from "@mrcnn/core/tensors";

/**
 * One update by stochastic gradient descent with momentum, as `sgd` describes it. Takes `SgdInputs` and
 * `SgdAttrs`; returns the updated [variable, velocity]. A `scale` below 0 returns both unchanged (a missing
 * velocity as zeros).
 */
export const SGD = "MrcnnSgd";

/**
 * Inputs of the kernel `MrcnnSgd`: `variable`, `gradient` and `velocity` are float32 of one shape, `velocity`
 * absent in the first update; `scale` is a float32 scalar.
 */
export type SgdInputs = Pick<NamedTensorInfoMap, "variable" | "gradient" | "velocity" | "scale">;

/** Attributes of the kernel `MrcnnSgd`. */
export interface SgdAttrs {
  readonly rate: number;
  readonly momentum: number;
  /** L2 penalty; 0 for variables without weight decay. */
  readonly decay: number;
}

/** The contract of the kernel `MrcnnSgd`. */
export const sgdContract: KernelContract<SgdAttrs> = { name: SGD, attributes: ["rate", "momentum", "decay"] };

/**
 * Computes the factor of every gradient on the device, without reading it on the host. Takes
 * `StepScaleInputs` and `StepScaleAttrs`; returns [scale, values]. `scale`, a scalar, is `share` after
 * clipping, or -1 where a loss, the norm or an earlier step was not finite. `values`, float32 [losses + 1],
 * holds the losses and the gradients' global norm before clipping (0 without clipping), which the host may
 * read later.
 */
export const STEP_SCALE = "MrcnnStepScale";

/**
 * Inputs of the kernel `MrcnnStepScale`: `losses` is float32 [L]; `previous`, the `scale` of an earlier step,
 * may be absent; every other input is a gradient, float32, of any shape.
 */
export type StepScaleInputs = Pick<NamedTensorInfoMap, "losses"> & NamedTensorInfoMap;

/** Attributes of the kernel `MrcnnStepScale`. */
export interface StepScaleAttrs {
  /** Factor of every gradient before the norm is taken: 1 / number of micro-batches. */
  readonly share: number;
  /**
   * Maximum norm, as `max_norm` of `torch.nn.utils.clip_grad_norm_`; undefined where there are no gradients.
   */
  readonly clipNorm: number | undefined;
}

/** The contract of the kernel `MrcnnStepScale`. */
export const stepScaleContract: KernelContract<StepScaleAttrs> = {
  name: STEP_SCALE,
  attributes: ["share", "clipNorm"],
};
