/** The addend and activation of layers whose kernel does not fuse them. */
import { add } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { relu } from "./relu.ts";

/** Adds `addend` to `y`, then applies the activation: the end of a layer whose kernel does not fuse them. */
export function finish<T extends Tensor>(
  y: T,
  addend: Tensor | undefined,
  activation: "relu" | undefined,
): T {
  const sum: T = addend === undefined ? y : add(y, addend);
  return activation === undefined ? sum : relu(sum);
}
