/** Checkpoints of a training run in memory: saving and restoring the model and its optimizer. */
import { WeightsError } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";
import type { TrainableModel } from "@mrcnn/core/tensors";
import { assignWeights, toArrays } from "@mrcnn/weights";
import type { Optimizer } from "./sgd.ts";

/** State from which a run continues exactly where it stopped. Randomness depends on (seed, step) alone. */
export interface CheckpointState {
  /** Number of updates done. */
  readonly step: number;
  /** Seed of the run; a state is resumed with this seed only. */
  readonly seed: number;
  /** Every weight and buffer of the model. */
  readonly weights: NamedArrays;
  /** State of the optimizer, as `Optimizer.state()` returns it. */
  readonly optimizer: NamedArrays;
}

/** Reads the state of model and optimizer from the device. */
export async function saveState(
  model: Pick<TrainableModel, "variables">,
  optimizer: Optimizer,
  { step, seed }: { readonly step: number; readonly seed: number },
): Promise<CheckpointState> {
  return { step, seed, weights: await toArrays(model.variables), optimizer: await optimizer.state() };
}

/**
 * Restores a saved state.
 *
 * @throws WeightsError when the weights or velocities belong to another architecture; nothing is changed
 * then.
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
