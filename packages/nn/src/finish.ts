import { add } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { relu } from "./relu.ts";

/** What follows a layer that no kernel takes it along with: `y` plus `addend`, then the activation. */
export function finish<T extends Tensor>(
  y: T,
  addend: Tensor | undefined,
  activation: "relu" | undefined,
): T {
  const sum: T = addend === undefined ? y : add(y, addend);
  return activation === undefined ? sum : relu(sum);
}
