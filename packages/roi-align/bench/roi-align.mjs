// @ts-check
// Milliseconds of RoIAlign of 7x7 bins, 256 channels, sampling ratio 2: the loops over typed arrays, and the composition of
// a backend without a kernel. Run after `npm run build`: node packages/roi-align/bench/roi-align.mjs
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { createRandom } from "@mrcnn/core";
import { roiAlign } from "@mrcnn/roi-align";
import { roiAlignBackward, roiAlignForward } from "@mrcnn/roi-align/kernel";

await tf.setBackend("wasm");
const random = createRandom(1);
const channels = 256;
/** @param {() => unknown} work */
const best = async (work) => {
  let least = Infinity;
  for (let i = 0; i < 3; i++) {
    const start = performance.now();
    await work();
    least = Math.min(least, performance.now() - start);
  }
  return least.toFixed(0);
};
const count = 200;
for (const { height, width, stride, low, high } of [
  { height: 200, width: 304, stride: 4, low: 16, high: 112 },
  { height: 50, width: 76, stride: 16, low: 224, high: 448 },
]) {
  const shape = /** @type {[number, number, number, number]} */ ([1, height, width, channels]);
  const features = Float32Array.from({ length: height * width * channels }, () => random.uniform());
  const boxes = new Float32Array(count * 4);
  for (let i = 0; i < count; i++) {
    const [w, h] = [low + random.uniform() * (high - low), low + random.uniform() * (high - low)];
    const [x, y] = [random.uniform() * (width * stride - w), random.uniform() * (height * stride - h)];
    boxes.set([x, y, x + w, y + h], i * 4);
  }
  const imageIndex = new Int32Array(count);
  const attrs = {
    outputHeight: 7,
    outputWidth: 7,
    spatialScale: 1 / stride,
    samplingRatio: 2,
    aligned: false,
  };
  const out = new Float32Array(count * 49 * channels);
  const dx = new Float32Array(features.length);
  const forward = await best(() => roiAlignForward(features, shape, boxes, imageIndex, attrs, out));
  const backward = await best(() =>
    roiAlignBackward(out, boxes, imageIndex, { ...attrs, inputShape: shape }, dx),
  );
  const x = tf.tensor4d(features, shape);
  const f = (/** @type {tf.Tensor} */ input) =>
    roiAlign(/** @type {tf.Tensor4D} */ (input), { boxes, imageIndex }, { outputSize: [7, 7], ...attrs });
  const composed = await best(async () => {
    const y = f(x);
    await y.data();
    y.dispose();
  });
  const withGradient = await best(async () => {
    const g = tf.grad(f)(x);
    await g.data();
    g.dispose();
  });
  x.dispose();
  console.log(
    `stride ${stride}, ${count} rois: loops ${forward} ms forward, ${backward} ms backward; ` +
      `composed on wasm ${composed} ms forward, ${withGradient} ms both`,
  );
}
