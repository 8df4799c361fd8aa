import type { Tensor } from "@tensorflow/tfjs-core";

/**
 * Applies `layers` to `x` one after the other. What lies between is disposed as soon as the next layer
 * has seen it, not when a tidy around them ends; a tape keeps what it needs by itself.
 */
export function inSequence<T extends Tensor>(x: T, layers: readonly ((x: T) => T)[]): T {
  return layers.reduce((y, layer) => {
    const next = layer(y);
    if (y !== x && next !== y) y.dispose();
    return next;
  }, x);
}
