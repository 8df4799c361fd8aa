import { WeightsError } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";
import type { TrainableModel } from "@mrcnn/core/tensors";
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
 * @throws WeightsError when the weights or velocities are of another architecture; nothing is changed then.
 */
export function restoreState(
  model: Pick<TrainableModel, "variables">,
  optimizer: Optimizer,
  state: CheckpointState,
): void {
  for (const [name, { shape }] of state.optimizer) {
    const wanted = model.variables.get(name)?.shape;
    if (wanted !== undefined && String(wanted) !== String(shape)) {
      throw new WeightsError(
        `restoreState: the optimizer's ${name} must be of its variable's shape [${wanted.join(", ")}], got [${shape.join(", ")}]. It is of another run.`,
      );
    }
  }
  assignWeights(model.variables, state.weights);
  optimizer.load(state.optimizer);
}
