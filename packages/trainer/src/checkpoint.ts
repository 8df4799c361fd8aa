import type { NamedArrays, TrainableModel } from "@mrcnn/core";
import { assignWeights, toArrays } from "@mrcnn/weights";
import type { Optimizer } from "./sgd.ts";

/** Everything a run needs to go on exactly where it stopped. Randomness depends on (seed, step) alone. */
export interface CheckpointState {
  /** Updates done. */
  readonly step: number;
  /** Of the run; it goes on with no other. */
  readonly seed: number;
  /** Every weight and buffer of the model. */
  readonly weights: NamedArrays;
  /** `Optimizer.state()`. */
  readonly optimizer: NamedArrays;
}

/** Reads model and optimizer from the device. */
export async function saveState(
  model: Pick<TrainableModel, "variables">,
  optimizer: Optimizer,
  { step, seed }: { readonly step: number; readonly seed: number },
): Promise<CheckpointState> {
  return { step, seed, weights: await toArrays(model.variables), optimizer: await optimizer.state() };
}

/**
 * Puts a state back.
 *
 * @throws WeightsError when the weights are of another architecture; nothing is changed then.
 */
export function restoreState(model: Pick<TrainableModel, "variables">, optimizer: Optimizer, state: CheckpointState): void {
  assignWeights(model.variables, state.weights);
  optimizer.load(state.optimizer);
}
