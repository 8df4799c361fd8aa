// The narrow model of tools/golden/training_step.py, rebuilt from the same seeded values.
import type { Bitmap, GroundTruth, ImageSize, NamedArrays, RawImage } from "@mrcnn/core";
import { seededUniform } from "@mrcnn/testing";
import { bitmapBox, bitmapFromFull } from "@mrcnn/masks";
import { assignWeights, fromTorch } from "@mrcnn/weights";
import { createMaskRcnn, maskRcnnConfig } from "../src/index.ts";
import type { MaskRcnn } from "../src/index.ts";

const everything = { batchSize: 1_000_000, positiveFraction: 0.5 };

export const narrowConfig = maskRcnnConfig({
  classes: ["a", "b", "c"],
  image: { minSize: 64, maxSize: 96 },
  backbone: { depth: 18, width: 8, norm: "frozen_batch_norm", trainableLayers: 5 },
  fpn: { channels: 16 },
  anchors: { sizes: [[8], [16], [32], [64], [128]] },
  rpn: {
    training: { preNmsTopK: 60, postNmsTopK: 40 },
    detection: { preNmsTopK: 60, postNmsTopK: 40 },
    targets: everything,
  },
  box: { representation: 32, targets: everything, scoreThreshold: 0.3 },
  maskHead: { layers: [16, 16], channels: 16 },
});

// Shapes in torch's layout, from ours.
function torchShape(name: string, shape: readonly number[]): number[] {
  if (name.includes("conv5_mask.weight")) return [shape[3]!, shape[2]!, shape[0]!, shape[1]!];
  if (shape.length === 4) return [shape[3]!, shape[2]!, shape[0]!, shape[1]!];
  if (shape.length === 2) return [shape[1]!, shape[0]!];
  return [...shape];
}

function seededWeight(name: string, shape: readonly number[]): Float32Array {
  const length = shape.reduce((a, b) => a * b, 1);
  const u = seededUniform(name, length);
  const fanIn = name.includes("conv5_mask") ? shape[0]! : shape.slice(1).reduce((a, b) => a * b, 1);
  const norm = name.includes(".bn") || name.includes("downsample.1");
  return Float32Array.from(u, (v) => {
    if (name.endsWith("running_var")) return 0.5 + v;
    if (norm) return name.endsWith("weight") ? 0.75 + 0.5 * v : 0.4 * (v - 0.5);
    if (name.endsWith("bias")) return 0.2 * (v - 0.5);
    const gain = /cls_score|mask_fcn_logits/.test(name) ? 0.1 : 1;
    return (v - 0.5) * gain * Math.sqrt(12 / fanIn);
  });
}

export function narrowModel(): MaskRcnn {
  const model = createMaskRcnn(narrowConfig);
  const torch: NamedArrays = new Map(
    [...model.variables].map(([name, variable]) => {
      const shape = torchShape(name, variable.shape);
      return [name, { shape, data: seededWeight(name, shape) }];
    }),
  );
  assignWeights(model.variables, fromTorch(torch));
  return model;
}

export function narrowImage(index: number, size: ImageSize): RawImage {
  const values = seededUniform(`image${index}`, size.height * size.width * 3);
  return { ...size, data: Uint8Array.from(values, (v) => Math.floor(v * 256)) };
}

export function narrowGroundTruth(index: number, size: ImageSize): GroundTruth {
  const { height, width } = size;
  const u = seededUniform(`objects${index}`, 16);
  const masks: Bitmap[] = [];
  for (let k = 0; k < 4; k++) {
    const [cx, cy] = [Math.floor(u[4 * k]! * width), Math.floor(u[4 * k + 1]! * height)];
    const [rx, ry] = [5 + Math.floor(u[4 * k + 2]! * 14), 5 + Math.floor(u[4 * k + 3]! * 14)];
    const full = new Uint8Array(height * width);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++)
        full[y * width + x] = (x - cx) ** 2 * ry ** 2 + (y - cy) ** 2 * rx ** 2 <= rx ** 2 * ry ** 2 ? 1 : 0;
    }
    masks.push(bitmapFromFull(full, size));
  }
  return {
    boxes: Float32Array.from(masks.flatMap((mask) => [...bitmapBox(mask)])),
    labels: Int32Array.from({ length: 4 }, (_, k) => 1 + ((index + k) % 3)),
    masks,
    isCrowd: new Uint8Array(4),
  };
}
