#!/usr/bin/env node
// @ts-check
// Speed of the kernels a training step is made of: `node packages/backend-wasm/bench/kernels.mjs [--plain] [--threads n]`.
// Needs `npm run build`. --plain leaves TensorFlow.js's kernels as they are; what they lack is left out.
// Each run gets a new filter, as training does, and the fastest run counts: the machine may be shared.
import * as tfjs from "@tensorflow/tfjs";
import { startWasm } from "@mrcnn/backend-wasm";

/** @type {typeof tfjs} */
const tf = /** @type {any} */ (tfjs).default ?? tfjs;
const plain = process.argv.includes("--plain");
const asked = process.argv.indexOf("--threads");
const threads =
  plain ? 1 : await startWasm({ threads: asked < 0 ? "auto" : Number(process.argv[asked + 1]) });
await tf.setBackend("wasm");

/** The fastest of as many runs as fit in half a second. @param {() => void} f */
function milliseconds(f) {
  let best = Infinity;
  let runs = 0;
  for (const until = performance.now() + 500; runs < 5 || performance.now() < until; runs++) {
    const start = performance.now();
    tf.tidy(f);
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

/** @param {string} name @param {object} inputs @param {object} attrs */
const run = (name, inputs, attrs) =>
  void tf.engine().runKernel(name, /** @type {any} */ (inputs), /** @type {any} */ (attrs));
const has = (/** @type {string} */ name) => tf.getKernel(name, "wasm") !== undefined;

// [what, batch, side of the input, channels in, out, kernel, stride]
/** @type {[string, number, number, number, number, number, number][]} */
const layers = [
  ["R18 half width, 128², stem", 4, 128, 3, 32, 7, 2],
  ["R18 half width, 128², c2", 4, 32, 32, 32, 3, 1],
  ["R18 half width, 128², c3 first", 4, 32, 32, 64, 3, 2],
  ["R18 half width, 128², c3 shortcut", 4, 32, 32, 64, 1, 2],
  ["R18 half width, 128², c3", 4, 16, 64, 64, 3, 1],
  ["R18 half width, 128², c4", 4, 8, 128, 128, 3, 1],
  ["R18 half width, 128², c5", 4, 4, 256, 256, 3, 1],
  ["FPN of 32 channels, 128², p2", 4, 32, 32, 32, 3, 1],
  ["FPN of 32 channels, 128², lateral c4", 4, 8, 128, 32, 1, 1],
  ["mask head of 32 channels, 64 rois", 64, 14, 32, 32, 3, 1],
  ["R50, 512², c2 1x1", 1, 128, 64, 256, 1, 1],
  ["R50, 512², c2 3x3", 1, 128, 64, 64, 3, 1],
  ["R50, 512², c3 3x3", 1, 64, 128, 128, 3, 1],
  ["R50, 512², c4 3x3", 1, 32, 256, 256, 3, 1],
  ["R50, 512², FPN p2", 1, 128, 256, 256, 3, 1],
];
console.log(
  `${plain ? "TensorFlow.js's own kernels" : `with @mrcnn/backend-wasm, ${threads} threads`}, GFLOP/s`,
);
console.log("| layer | input | forward | input gradient | filter gradient |\n|---|---|---|---|---|");
for (const [what, batch, side, ci, co, k, stride] of layers) {
  const x = tf.randomNormal([batch, side, side, ci]);
  const filter = tf.randomNormal([k, k, ci, co]);
  const attrs = {
    strides: [stride, stride],
    pad: k === 1 ? "valid" : "same",
    dilations: [1, 1],
    dataFormat: "NHWC",
  };
  const dy = /** @type {any} */ (
    tf.conv2d(/** @type {any} */ (x), /** @type {any} */ (filter), stride, /** @type {any} */ (attrs.pad))
  );
  const work = 2 * dy.size * k * k * ci;
  const speed = (
    /** @type {string} */ name,
    /** @type {() => object} */ inputs,
    /** @type {object} */ more,
  ) =>
    has(name) ?
      (work / milliseconds(() => run(name, inputs(), { ...attrs, ...more })) / 1e6).toFixed(1)
    : "-";
  // A new tensor, without the filter that XNNPACK has prepared for the old one.
  const renewed = (/** @type {any} */ t) => tf.add(t, 0);
  const row = [
    speed("Conv2D", () => ({ x, filter: renewed(filter) }), {}),
    ci === 3 ? "not needed" : (
      speed("Conv2DBackpropInput", () => ({ dy, filter: renewed(filter) }), { inputShape: x.shape })
    ),
    speed("Conv2DBackpropFilter", () => ({ x, dy }), { filterShape: filter.shape }),
  ];
  console.log(`| ${what} | ${batch}x${side}x${side}x${ci} | ${row.join(" | ")} |`);
  tf.dispose([x, filter, dy]);
}

console.log("\n| kernel | ms |\n|---|---|");
const time = (/** @type {string} */ what, /** @type {() => void} */ f) =>
  console.log(`| ${what} | ${milliseconds(f).toFixed(2)} |`);
const map = tf.randomNormal([4, 64, 64, 32]);
const pool = { filterSize: [3, 3], strides: [2, 2], pad: "same" };
const pooled = tf.maxPool(/** @type {any} */ (map), 3, 2, "same");
time("MaxPoolGrad 3x3 stride 2, 4x64x64x32", () =>
  run("MaxPoolGrad", { dy: pooled, input: map, output: pooled }, pool),
);
time("Sum of 4x64x64x32 over all but the channels", () => void tf.sum(map, [0, 1, 2]));
const small = tf.randomNormal([4, 32, 32, 32]);
time("ResizeNearestNeighborGrad 4x64x64x32 to 32x32", () =>
  run(
    "ResizeNearestNeighborGrad",
    { images: small, dy: map },
    { alignCorners: false, halfPixelCenters: false },
  ),
);
const [a, b] = [tf.randomNormal([4096, 256]), tf.randomNormal([4096, 128])];
time(
  "MatMul aᵀb, 4096x256 by 4096x128",
  () => void tf.matMul(/** @type {any} */ (a), /** @type {any} */ (b), true, false),
);
time(
  "MatMul abᵀ, 256x256 by 1024x256",
  () =>
    void tf.matMul(
      /** @type {any} */ (tf.slice(a, [0, 0], [256, 256])),
      /** @type {any} */ (tf.slice(a, [0, 0], [1024, 256])),
      false,
      true,
    ),
);
if (!plain) {
  const [weight, bias] = [tf.ones([32]), tf.zeros([32])];
  const [, mean, rstd] = /** @type {any} */ (
    tf.engine().runKernel("MrcnnGroupNorm", { x: map, weight, bias }, { groups: 8, eps: 1e-5 })
  );
  time("MrcnnGroupNorm 4x64x64x32, 8 groups", () =>
    run("MrcnnGroupNorm", { x: map, weight, bias }, { groups: 8, eps: 1e-5 }),
  );
  time("MrcnnGroupNormGrad", () =>
    run("MrcnnGroupNormGrad", { dy: map, x: map, weight, mean, rstd }, { groups: 8 }),
  );
  const corner = tf.mul(tf.randomUniform([256, 2]), 150);
  const boxes = tf.concat([corner, tf.add(corner, tf.add(tf.mul(tf.randomUniform([256, 2]), 80), 8))], 1);
  const imageIndex = tf.cast(tf.mul(tf.randomUniform([256]), 4), "int32");
  const attrs = { outputHeight: 7, outputWidth: 7, spatialScale: 0.25, samplingRatio: 2, aligned: false };
  const inputs = { features: map, boxes, imageIndex };
  const dy = /** @type {any} */ (tf.engine().runKernel("MrcnnRoiAlign", /** @type {any} */ (inputs), attrs));
  time("MrcnnRoiAlign 256 rois to 7x7 of 4x64x64x32", () => run("MrcnnRoiAlign", inputs, attrs));
  time("MrcnnRoiAlignGrad", () =>
    run("MrcnnRoiAlignGrad", { dy, boxes, imageIndex }, { ...attrs, inputShape: map.shape }),
  );
}
