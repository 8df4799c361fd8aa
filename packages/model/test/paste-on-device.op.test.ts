import { memory, tensor3d } from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { hasKernel } from "@mrcnn/core/tensors";
import { pasteOnDevice } from "@mrcnn/heads";
import { pasteMasksContract } from "@mrcnn/heads/kernel";
import { decodeRle, pasteMasks, planPaste, rlesFromBits, toFullBitmap } from "@mrcnn/masks";
import { seededUniform } from "@mrcnn/testing";

const side = 28;
const count = 12;
const size = { height: 211, width: 173 };
// Smooth, as masks are: of some waves.
const masks = Float32Array.from({ length: count * side * side }, (_, i) => {
  const [n, y, x] = [Math.trunc(i / side / side), Math.trunc(i / side) % side, i % side];
  return 1 / (1 + Math.exp(-6 * Math.sin(0.3 * x + n) * Math.cos(0.25 * y + 2 * n)));
});
const boxes = Float32Array.from(seededUniform("paste.boxes", 4 * count), (u, i) =>
  i % 4 < 2 ? -30 + 150 * u : 60 + 180 * u,
);

for (const method of ["torchvision", "detectron2"] as const) {
  it(`sets the pixels that pasteMasks sets, but for those at the threshold: ${method}`, async () => {
    const targets = [{ size, boxes, rows: Int32Array.from({ length: count }, (_, i) => i) }];
    const plan = planPaste(targets, side, { method });
    const tensor = tensor3d(masks, [count, side, side]);
    const tensors = memory().numTensors;
    const bits = pasteOnDevice(tensor, plan, { method });
    if (!hasKernel(pasteMasksContract, {})) {
      expect(bits).toBeUndefined();
      tensor.dispose();
      return;
    }
    const [pasted] = rlesFromBits((await bits!.data()) as Int32Array, plan, targets);
    bits!.dispose();
    expect(memory().numTensors).toBe(tensors);
    const at = (threshold: number): Uint8Array[] =>
      pasteMasks(masks, boxes, size, { method, threshold }).map((rle) => toFullBitmap(decodeRle(rle)));
    const [sure, possible] = [at(0.5 + 1e-5), at(0.5 - 1e-5)];
    for (const [i, rle] of pasted!.entries()) {
      const own = toFullBitmap(decodeRle(rle));
      let wrong = 0;
      for (let p = 0; p < own.length; p++) if (own[p]! < sure[i]![p]! || own[p]! > possible[i]![p]!) wrong++;
      expect(wrong, `mask ${i}`).toBe(0);
    }
    // Some boxes are upside down.
    expect(sure.filter((mask) => mask.includes(1)).length).toBeGreaterThan(count / 2);
    tensor.dispose();
  });
}
