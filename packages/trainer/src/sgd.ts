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

/** Updates variables from gradients, and can be saved and put back exactly. */
export interface Optimizer extends Disposable {
  /** One update in place; `gradients` are not disposed. A variable without a gradient is left alone. */
  apply(variables: NamedVariables, gradients: ReadonlyMap<string, Tensor>, options: ApplyOptions): void;
  /** What it remembers (velocities by variable name), read from the device. */
  state(): Promise<NamedArrays>;
  /** Puts a state back in place of its own. @throws WeightsError when it is not one. */
  load(state: NamedArrays): void;
}

/** How far one update goes. */
export interface ApplyOptions {
  /** The learning rate. */
  readonly rate: number;
  /**
   * Multiplies every gradient (clipping, accumulation); at least 0, default 1. A scalar on the device may be below 0:
   * then everything stays as it was.
   */
  readonly scale?: number | Scalar;
}

/** Of `sgd`. */
export interface SgdOptions {
  /** Default 0.9. */
  readonly momentum?: number;
  /** L2 penalty added to the gradient, as torch.optim.SGD does. Default 1e-4. */
  readonly weightDecay?: number;
  /** Which variables decay: "all" (torchvision's reference), or "weights": not norms and biases (rank 1). */
  readonly decay?: "all" | "weights";
}

/**
 * Stochastic gradient descent with momentum, as torch.optim.SGD: `v = momentum·v + (g + decay·w)`,
 * `w = w - rate·v`, v starting as the first gradient. Velocities are kept on the device until disposed.
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
