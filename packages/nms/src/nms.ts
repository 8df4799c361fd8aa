/** Non-maximum suppression of tensors. */
import type { Tensor1D } from "@tensorflow/tfjs-core";
import { assertShape } from "@mrcnn/core";
import type { Boxes } from "@mrcnn/core/tensors";
import { nmsOnHost } from "./nms-host.ts";
import type { NmsOptions } from "./nms-host.ts";

/**
 * Applies `nmsOnHost` to tensors: boxes float32 [N, 4] and scores [N] are read once and decided on the host,
 * so that every backend keeps the same boxes.
 */
export async function nms(boxes: Boxes, scores: Tensor1D, options: NmsOptions): Promise<Int32Array> {
  assertShape(boxes, [null, 4], "nms", "boxes");
  assertShape(scores, [boxes.shape[0]], "nms", "scores");
  const [boxValues, scoreValues] = await Promise.all([boxes.data<"float32">(), scores.data<"float32">()]);
  return nmsOnHost(boxValues, scoreValues, options);
}
