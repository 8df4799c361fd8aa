/** Chains layers, disposing intermediate tensors early. */
import type { Tensor } from "@tensorflow/tfjs-core";

/**
 * Applies `layers` to `x` one after the other. Disposes each intermediate result as soon as the next layer
 * has used it, not when a tidy around them ends; a gradient tape keeps what it needs.
 */
export function inSequence<T extends Tensor>(x: T, layers: readonly ((x: T) => T)[]): T {
  return layers.reduce((y, layer) => {
    const next = layer(y);
    if (y !== x && next !== y) y.dispose();
    return next;
  }, x);
}
