// @ts-check
/**
 * Lists every convolution and matrix product of Mask R-CNN R50-FPN with 91 classes, by stage: the minimum of
 * multiplications.
 */

/**
 * Height and width are the input's. `trained`: training wants the filter's gradient; `passed`: the input's
 * too.
 *
 * @typedef {{
 *   stage: string, kind: "conv" | "deconv" | "dense", count: number, batch: number, height: number,
 *   width: number, in: number, out: number, kernel: number, stride: number, padding: number,
 *   trained: boolean, passed: boolean,
 * }} Layer
 */

/** In the order of the pipeline. */
export const stages = [
  "stem",
  "layer1",
  "layer2",
  "layer3",
  "layer4",
  "fpn",
  "rpn head",
  "box head",
  "mask head",
];

const half = (/** @type {number} */ n) => Math.ceil(n / 2);

/**
 * @param {{ height: number, width: number, batch: number, boxRois: number, maskRois: number, maskClasses:
 *   number }} input
 *   Size of the image in pixels, padded here to multiples of 32; RoIs of the whole batch; classes whose masks
 *   are computed.
 * @returns {Layer[]}
 */
export function layersOf({ height, width, batch, boxRois, maskRois, maskClasses }) {
  /** @type {Layer[]} */
  const layers = [];
  /** @typedef {Partial<Layer> & Pick<Layer, "in" | "out">} Part */
  /** @param {string} stage @param {Part} part */
  const push = (stage, part) => {
    const whole = {
      stage,
      kind: /** @type {const} */ ("conv"),
      count: 1,
      batch,
      height: 1,
      width: 1,
      kernel: 1,
      stride: 1,
      padding: 0,
      trained: true,
      passed: true,
      ...part,
    };
    const key = JSON.stringify({ ...whole, count: 0 });
    const same = layers.find((layer) => JSON.stringify({ ...layer, count: 0 }) === key);
    if (same === undefined) layers.push(whole);
    else same.count += whole.count;
  };

  let h = Math.ceil(height / 32) * 32;
  let w = Math.ceil(width / 32) * 32;
  // The stem and layer1 are frozen, as in torchvision's trainings.
  const frozen = { trained: false, passed: false };
  push("stem", { height: h, width: w, in: 3, out: 64, kernel: 7, stride: 2, padding: 3, ...frozen });
  [h, w] = [half(half(h)), half(half(w))];

  /** @type {{ height: number, width: number, channels: number }[]} */
  const maps = [];
  let channels = 64;
  for (const [i, blocks] of [3, 4, 6, 3].entries()) {
    const stage = `layer${i + 1}`;
    const planes = 64 << i;
    for (let block = 0; block < blocks; block++) {
      const stride = block === 0 && i > 0 ? 2 : 1;
      const at = {
        height: h,
        width: w,
        ...(i === 0 && frozen),
        ...(i === 1 && block === 0 && { passed: false }),
      };
      push(stage, { ...at, in: channels, out: planes });
      if (block === 0) push(stage, { ...at, in: channels, out: 4 * planes, stride });
      const inner = { ...at, passed: i > 0 };
      push(stage, { ...inner, in: planes, out: planes, kernel: 3, stride, padding: 1 });
      if (stride === 2) [h, w] = [half(h), half(w)];
      push(stage, { ...inner, height: h, width: w, in: planes, out: 4 * planes });
      channels = 4 * planes;
    }
    maps.push({ height: h, width: w, channels });
  }

  for (const { height, width, channels } of maps) {
    push("fpn", { height, width, in: channels, out: 256, passed: channels > 256 });
    push("fpn", { height, width, in: 256, out: 256, kernel: 3, padding: 1 });
  }
  for (const { height, width } of [...maps, { height: half(h), width: half(w) }]) {
    push("rpn head", { height, width, in: 256, out: 256, kernel: 3, padding: 1 });
    push("rpn head", { height, width, in: 256, out: 3 });
    push("rpn head", { height, width, in: 256, out: 12 });
  }
  for (const [from, to] of /** @type {const} */ ([
    [7 * 7 * 256, 1024],
    [1024, 1024],
    [1024, 91],
    [1024, 364],
  ])) {
    push("box head", { kind: "dense", batch: boxRois, in: from, out: to });
  }
  const pooled = { batch: maskRois, height: 14, width: 14, in: 256, out: 256 };
  push("mask head", { ...pooled, kernel: 3, padding: 1, count: 4 });
  push("mask head", { ...pooled, kind: "deconv", kernel: 2, stride: 2 });
  push("mask head", { kind: "dense", batch: maskRois * 28 * 28, in: 256, out: maskClasses });
  return layers;
}

/**
 * Two for each multiplication and addition, in 10^9; of the forward pass, all `count` of them.
 *
 * @param {Layer} layer
 */
export function gflop({ kind, count, batch, height, width, in: from, out, kernel, stride }) {
  const pixels = kind === "deconv" ? height * width : Math.ceil(height / stride) * Math.ceil(width / stride);
  return (2 * count * batch * pixels * from * out * kernel * kernel) / 1e9;
}

/**
 * Forward alone, or with the gradients that training wants.
 *
 * @param {Layer} layer
 * @param {boolean} training
 */
export const workOf = (layer, training) =>
  gflop(layer) * (training ? 1 + Number(layer.trained) + Number(layer.passed) : 1);
