import { tensor } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { seededUniform } from "@mrcnn/testing";

// Twins of `seeded_weight` and `seeded_input` in tools/golden/nn.py.
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

export function seededInput(name: string, shape: readonly number[], offset = -0.5): Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(Float32Array.from(seededUniform(name, size), (u) => (u + offset) * 2), [...shape]);
}
