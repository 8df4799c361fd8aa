// @ts-check
// Fastest milliseconds of pasting 100 masks of 28x28 into run lengths: round ones, smooth as a mask head's, and noise; and
// what is left to the host where a device pastes: the plan, and run lengths of the bits.
// Run after `npm run build`: node packages/masks/bench/paste.mjs
import { createRandom } from "@mrcnn/core";
import { decodeRle, pasteMasks, planPaste, rlesFromBits } from "@mrcnn/masks";

const count = 100;
const side = 28;
const random = createRandom(1);

/** @param {() => void} work */
const fastest = (work) => {
  const times = Array.from({ length: 15 }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return Math.min(...times).toFixed(1);
};

/**
 * The bits that a device would give.
 * @param {import("@mrcnn/masks").PastePlan} plan
 * @param {import("@mrcnn/core").Rle[]} rles
 */
function bitsOf({ windows, words }, rles) {
  const bits = new Int32Array(words);
  for (const [i, rle] of rles.entries()) {
    const [, word, left, , top, height] = /** @type {[number, number, number, number, number, number]} */ (
      /** @type {unknown} */ (windows.subarray(8 * i, 8 * i + 8))
    );
    const mask = decodeRle(rle);
    for (let y = 0; y < mask.height; y++) {
      for (let x = 0; x < mask.width; x++) {
        if (mask.data[y * mask.width + x] === 0) continue;
        const at = (mask.left + x - left) * height + mask.top + y - top;
        bits[word + (at >> 5)] = /** @type {number} */ (bits[word + (at >> 5)]) | (1 << (at & 31));
      }
    }
  }
  return bits;
}

for (const size of [
  { height: 512, width: 512 },
  { height: 800, width: 1333 },
]) {
  const boxes = new Float32Array(count * 4);
  const round = new Float32Array(count * side * side);
  for (let i = 0; i < count; i++) {
    const [w, h] = [
      20 + random.uniform() ** 2 * size.width * 0.7,
      20 + random.uniform() ** 2 * size.height * 0.7,
    ];
    const [x, y] = [random.uniform() * (size.width - w), random.uniform() * (size.height - h)];
    boxes.set([x, y, x + w, y + h], i * 4);
    const [radiusX, radiusY] = [8 + 5 * random.uniform(), 8 + 5 * random.uniform()];
    for (let p = 0; p < side * side; p++) {
      const distance = (((p % side) - 14) / radiusX) ** 2 + (Math.floor(p / side - 14) / radiusY) ** 2;
      round[i * side * side + p] = 1 / (1 + Math.exp(8 * (distance - 1)));
    }
  }
  const noise = round.map(() => random.uniform());
  const [smooth, worst] = [round, noise].map((masks) => fastest(() => void pasteMasks(masks, boxes, size)));
  const targets = [{ boxes, rows: Int32Array.from({ length: count }, (_, i) => i), size }];
  const plan = planPaste(targets, side);
  const bits = bitsOf(plan, pasteMasks(round, boxes, size));
  const left = fastest(() => void rlesFromBits(bits, planPaste(targets, side), targets));
  console.log(
    `${size.height}x${size.width}: ${smooth} ms; noise: ${worst} ms; beside a device: ${left} ms, ${4 * plan.words} bytes of bits for ${round.byteLength} of masks`,
  );
}
