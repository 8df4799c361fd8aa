/** Areas of boxes, in torchvision's float32. */

const f = Math.fround;

/** Returns the areas of xyxy boxes [N * 4] as [N], rounded as torchvision's float32 `box_area`. */
export function boxAreaOnHost(boxes: Float32Array): Float32Array {
  const areas = new Float32Array(boxes.length / 4);
  for (let i = 0; i < areas.length; i++) {
    areas[i] = f(boxes[i * 4 + 2]! - boxes[i * 4]!) * f(boxes[i * 4 + 3]! - boxes[i * 4 + 1]!);
  }
  return areas;
}
