/** Stochastic gradient descent with momentum, as `torch.optim.SGD`. */
import {
  add,
  greaterEqual,
  keep,
  mul,
  scalar,
  sub,
  tensor,
  tidy,
  where,
  zerosLike,
} from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, Variable } from "@tensorflow/tfjs-core";
import { TrainingError, WeightsError } from "@mrcnn/core";
import { hasKernel, runKernelOr } from "@mrcnn/core/tensors";
import type { Disposable, NamedArrays } from "@mrcnn/core";
import type { NamedVariables } from "@mrcnn/core/tensors";
import { toArrays } from "@mrcnn/weights";
import { sgdContract } from "./kernel.ts";
import type { SgdAttrs } from "./kernel.ts";

/** Updates variables from gradients; its state can be saved and restored exactly. */
export interface Optimizer extends Disposable {
  /**
   * Performs one update in place. The `gradients` are not disposed; a variable without a gradient is
   * unchanged.
   */
  apply(variables: NamedVariables, gradients: ReadonlyMap<string, Tensor>, options: ApplyOptions): void;
  /** Reads the state (velocities by variable name) from the device. */
  state(): Promise<NamedArrays>;
  /**
   * Replaces the state by a saved one.
   *
   * @throws WeightsError when it is not a valid state.
   */
  load(state: NamedArrays): void;
}

/** Options of one update. */
export interface ApplyOptions {
  /** The learning rate. */
  readonly rate: number;
  /**
   * Factor of every gradient (for clipping and accumulation); at least 0. A scalar on the device may be below
   * 0: the update then changes nothing. Default 1.
   */
  readonly scale?: number | Scalar;
}

/** Options of `sgd`. */
export interface SgdOptions {
  /** Momentum factor. Default 0.9. */
  readonly momentum?: number;
  /** L2 penalty added to the gradient, as in torch.optim.SGD. Default 1e-4. */
  readonly weightDecay?: number;
  /**
   * The variables that decay: "all" (torchvision's reference), or "weights", without norms and biases (rank
   * 1). Default "all".
   */
  readonly decay?: "all" | "weights";
}

/**
 * Creates an optimizer for stochastic gradient descent with momentum, as torch.optim.SGD:
 * `v = momentum·v + (g + decay·w)`, `w = w - rate·v`, where v starts as the first gradient. Velocities stay
 * on the device until the optimizer is disposed.
 */
export function sgd({ momentum = 0.9, weightDecay = 1e-4, decay = "all" }: SgdOptions = {}): Optimizer {
  const velocities = new Map<string, Tensor>();
  const decayOf = (variable: Variable): number => (decay === "all" || variable.rank > 1 ? weightDecay : 0);

  const compose = (
    variable: Variable,
    gradient: Tensor,
    old: Tensor | undefined,
    scale: number | Scalar,
    { rate, momentum, decay }: SgdAttrs,
  ): [Tensor, Tensor] => {
    let g = scale === 1 ? gradient : mul(gradient, scale);
    if (decay !== 0) g = add(g, mul(variable, decay));
    const velocity = old === undefined ? add(g, zerosLike(g)) : add(mul(old, momentum), g);
    const moved = sub(variable, mul(velocity, rate));
    if (typeof scale === "number") return [moved, velocity];
    const isMeant = greaterEqual(scale, 0);
    return [where(isMeant, moved, variable), where(isMeant, velocity, old ?? zerosLike(velocity))];
  };

  const update = (
    name: string,
    variable: Variable,
    gradient: Tensor,
    scale: number | Scalar,
    rate: number,
  ): void => {
    const old = velocities.get(name);
    const attrs: SgdAttrs = { rate, momentum, decay: decayOf(variable) };
    const velocity = tidy(() => {
      const inputs = { variable, gradient, ...(old !== undefined && { velocity: old }) };
      const [moved, next] = runKernelOr(sgdContract, { ...inputs, scale: scale as Scalar }, attrs, () =>
        compose(variable, gradient, old, scale, attrs),
      ) as [Tensor, Tensor];
      variable.assign(moved);
      return keep(next);
    });
    velocities.set(name, velocity);
    old?.dispose();
  };

  return {
    apply(variables, gradients, { rate, scale = 1 }) {
      tidy(() => {
        const factor = typeof scale === "number" && hasKernel(sgdContract, {}) ? scalar(scale) : scale;
        for (const [name, gradient] of gradients) {
          const variable = variables.get(name);
          if (variable === undefined)
            throw new TrainingError(`sgd: gradient of an unknown variable ${name}.`);
          update(name, variable, gradient, factor, rate);
        }
      });
    },
    state: () => toArrays(velocities),
    load(state) {
      for (const velocity of velocities.values()) velocity.dispose();
      velocities.clear();
      for (const [name, { data, shape }] of state) {
        if (!(data instanceof Float32Array)) throw new WeightsError(`sgd: velocity ${name} must be float32.`);
        velocities.set(name, keep(tensor(data, [...shape])));
      }
    },
    dispose() {
      for (const velocity of velocities.values()) velocity.dispose();
      velocities.clear();
    },
  };
}
