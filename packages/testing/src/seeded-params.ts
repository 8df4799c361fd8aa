/** Weights and inputs that tests and the golden scripts in Python generate alike. */
import { tensor } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { seededUniform } from "./seeded.ts";

/**
 * Makes a weight in this project's layout from its name alone (twin: `seeded_weight` in tools/golden/nn.py):
 * kernels of variance 1 / fan in, norm weights in 0.75..1.25, variances in 0.5..1.5, other vectors in ± 0.2.
 */
export function seededWeight(name: string, shape: readonly number[]): Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  const spread = Math.sqrt((12 * shape.at(-1)!) / size);
  const values = Float32Array.from(seededUniform(name, size), (u) => {
    if (name.endsWith("running_var")) return 0.5 + u;
    if (shape.length > 1) return (u - 0.5) * spread;
    return name.endsWith("weight") ? 0.75 + 0.5 * u : 0.4 * (u - 0.5);
  });
  return tensor(values, [...shape]);
}

/**
 * Returns `2 (u + offset)` of seeded u in [0, 1), by default in ± 1 (twin: `seeded_input` in
 * tools/golden/nn.py).
 */
export function seededInput(name: string, shape: readonly number[], offset = -0.5): Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from(seededUniform(name, size), (u) => (u + offset) * 2),
    [...shape],
  );
}
