/** Smooth-L1 loss of box deltas. */
import { div, reshape, sum, tensor2d } from "@tensorflow/tfjs-core";
import type { Scalar, Tensor } from "@tensorflow/tfjs-core";
import { connectedZero, gatherRows } from "./gather-rows.ts";
import { smoothL1 } from "./smooth-l1.ts";

// Half the width of the parabola, as in torchvision.
const BETA = 1 / 9;

/**
 * Computes smooth-L1 between chosen rows of `deltas`, read as [N, 4], and `targets` [rows * 4], summed and
 * divided by `count`; an exact 0 without rows. Call inside tidy.
 */
export function regressionLoss(
  deltas: Tensor,
  rows: Int32Array,
  targets: Float32Array,
  count: number,
): Scalar {
  if (rows.length === 0) return connectedZero(deltas);
  const chosen = gatherRows(reshape(deltas, [-1, 4]), rows);
  return div(sum(smoothL1(chosen, tensor2d(targets, [rows.length, 4]), BETA)), count);
}
