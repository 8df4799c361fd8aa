import { mul, sub, tidy, unstack } from "@tensorflow/tfjs-core";
import type { Tensor1D } from "@tensorflow/tfjs-core";
import { assertShape } from "@mrcnn/core";
import type { Boxes } from "@mrcnn/core";

const f = Math.fround;

/** Areas of xyxy boxes: float32 [N, 4] to [N], in square pixels. Negative when one side is. */
export function boxArea(boxes: Boxes): Tensor1D {
  assertShape(boxes, [null, 4], "boxArea", "boxes");
  return tidy(() => {
    const [x1, y1, x2, y2] = unstack(boxes, 1) as [Tensor1D, Tensor1D, Tensor1D, Tensor1D];
    return mul(sub(x2, x1), sub(y2, y1));
  });
}

/** Areas of xyxy boxes [N * 4] to [N], rounded as torchvision's float32 `box_area`. */
export function boxAreaOnHost(boxes: Float32Array): Float32Array {
  const areas = new Float32Array(boxes.length / 4);
  for (let i = 0; i < areas.length; i++) {
    areas[i] = f(boxes[i * 4 + 2]! - boxes[i * 4]!) * f(boxes[i * 4 + 3]! - boxes[i * 4 + 1]!);
  }
  return areas;
}
