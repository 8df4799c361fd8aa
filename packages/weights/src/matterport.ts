/** Translates the weights of matterport's Mask_RCNN (Keras) to this project's names and layouts. */
import { printable, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";

/** Epsilon of Keras's batch norm. */
const EPS = 1e-3;

/** Splits a path into layer and weight, `layer/weight:0`, whatever groups precede them. */
function split(path: string): [layer: string, weight: string] {
  const parts = path.split("/");
  return [parts.at(-2) ?? "", parts.at(-1)!.replace(/:0$/, "")];
}

/** Tells whether the paths are those of matterport's model. */
export const isMatterport = (paths: Iterable<string>): boolean => {
  const layers = new Set([...paths].map((path) => split(path)[0]));
  return layers.has("rpn_class_raw") || layers.has("mrcnn_class_logits");
};

const CONVS = { "2a": "1", "2b": "2", "2c": "3" } as const;

/**
 * Translates matterport's weights, in Keras's paths and layouts, to this project's names and layouts. Both
 * have HWIO, background first and dense inputs in rows, columns, channels. What differs: biases before a norm
 * are subtracted from its running mean; deltas (dy, dx, dh, dw) become (dx, dy, dw, dh); the RPN's two logits
 * per anchor become their difference, whose sigmoid is the softmax; the box head's two convolutions become
 * dense layers with their norms (eps 1e-3) folded in.
 *
 * @throws WeightsError naming layers that are missing, of another shape or without counterpart.
 */
export function fromMatterport(arrays: NamedArrays): NamedArrays {
  const layers = new Map<string, Map<string, HostArray>>();
  for (const [path, array] of arrays) {
    const [layer, weight] = split(path);
    const own = layers.get(layer) ?? layers.set(layer, new Map()).get(layer)!;
    if (own.has(weight))
      throw new WeightsError(`${printable(path)}: another layer has that name, too. The file is corrupt.`);
    own.set(weight, array);
  }
  const out = new Map<string, HostArray>();
  const used = new Set<string>();
  const get = (layer: string, weight: string, rank: number): HostArray => {
    used.add(layer);
    const array = layers.get(layer)?.get(weight);
    if (array === undefined)
      throw new WeightsError(
        `${layer}/${weight} is missing. These are not all weights of matterport's Mask R-CNN.`,
      );
    if (array.shape.length !== rank)
      throw new WeightsError(
        `${layer}/${weight}: must have ${rank} axes, got the shape [${array.shape.join(", ")}].`,
      );
    return array;
  };
  const vector = (layer: string, weight: string, length: number): HostArray["data"] => {
    const { shape, data } = get(layer, weight, 1);
    if (shape[0] !== length)
      throw new WeightsError(`${layer}/${weight}: must have ${length} values, got ${shape[0]}.`);
    return data;
  };
  const set = (name: string, shape: readonly number[], data: HostArray["data"]): void =>
    void out.set(name, { shape, data });

  const plain = (layer: string, name: string, rank: number): void => {
    const { shape, data } = get(layer, "kernel", rank);
    const outputs = layer === "mrcnn_mask_deconv" ? shape[2]! : shape.at(-1)!;
    set(`${name}.weight`, shape, data);
    set(`${name}.bias`, [outputs], vector(layer, "bias", outputs));
  };
  const normed = (layer: string, norm: string, convName: string, normName: string): void => {
    const { shape, data } = get(layer, "kernel", 4);
    const channels = shape[3]!;
    set(`${convName}.weight`, shape, data);
    set(`${normName}.weight`, [channels], vector(norm, "gamma", channels));
    set(`${normName}.bias`, [channels], vector(norm, "beta", channels));
    const mean = vector(norm, "moving_mean", channels);
    const bias = layers.get(layer)!.has("bias") ? vector(layer, "bias", channels) : undefined;
    set(
      `${normName}.running_mean`,
      [channels],
      bias === undefined ? mean : Float32Array.from(mean, (value, i) => value - bias[i]!),
    );
    set(`${normName}.running_var`, [channels], vector(norm, "moving_variance", channels));
  };

  normed("conv1", "bn_conv1", "backbone.body.conv1", "backbone.body.bn1");
  for (const layer of layers.keys()) {
    const [, stage, letter, branch] = /^res([2-5])([a-w])_branch(1|2[abc])$/.exec(layer) ?? [];
    if (branch === undefined) continue;
    const block = `backbone.body.layer${Number(stage) - 1}.${letter!.charCodeAt(0) - 97}`;
    const [conv, norm] =
      branch === "1" ?
        ["downsample.0", "downsample.1"]
      : [`conv${CONVS[branch as keyof typeof CONVS]}`, `bn${CONVS[branch as keyof typeof CONVS]}`];
    normed(layer, layer.replace(/^res/, "bn"), `${block}.${conv}`, `${block}.${norm}`);
  }
  for (let level = 0; level < 4; level++) {
    plain(`fpn_c${level + 2}p${level + 2}`, `backbone.fpn.inner_blocks.${level}.0`, 4);
    plain(`fpn_p${level + 2}`, `backbone.fpn.layer_blocks.${level}.0`, 4);
  }

  plain("rpn_conv_shared", "rpn.head.conv.0.0", 4);
  pairs("rpn_class_raw", "rpn.head.cls_logits");
  swapped("rpn_bbox_pred", "rpn.head.bbox_pred", 4);

  folded("mrcnn_class_conv1", "mrcnn_class_bn1", "roi_heads.box_head.fc6");
  folded("mrcnn_class_conv2", "mrcnn_class_bn2", "roi_heads.box_head.fc7");
  plain("mrcnn_class_logits", "roi_heads.box_predictor.cls_score", 2);
  swapped("mrcnn_bbox_fc", "roi_heads.box_predictor.bbox_pred", 2);

  for (let i = 0; i < 4; i++)
    normed(
      `mrcnn_mask_conv${i + 1}`,
      `mrcnn_mask_bn${i + 1}`,
      `roi_heads.mask_head.${i}.0`,
      `roi_heads.mask_head.${i}.1`,
    );
  plain("mrcnn_mask_deconv", "roi_heads.mask_predictor.conv5_mask", 4);
  plain("mrcnn_mask", "roi_heads.mask_predictor.mask_fcn_logits", 4);

  for (const layer of layers.keys()) {
    if (!used.has(layer))
      throw new WeightsError(
        `${printable(layer)}: matterport's Mask R-CNN has no such layer. Changed models are not read.`,
      );
  }
  return out;

  /** Converts logits (background, foreground) per anchor to foreground - background. */
  function pairs(layer: string, name: string): void {
    const { shape, data } = get(layer, "kernel", 4);
    const outputs = even(layer, shape.at(-1)!, 2);
    const half = outputs / 2;
    const differences = (values: HostArray["data"]): Float32Array =>
      Float32Array.from({ length: values.length / 2 }, (_, i) => values[2 * i + 1]! - values[2 * i]!);
    set(`${name}.weight`, [...shape.slice(0, 3), half], differences(data));
    set(`${name}.bias`, [half], differences(vector(layer, "bias", outputs)));
  }

  /** Converts (dy, dx, dh, dw) to (dx, dy, dw, dh) by swapping neighbours. */
  function swapped(layer: string, name: string, rank: number): void {
    const { shape, data } = get(layer, "kernel", rank);
    const outputs = even(layer, shape.at(-1)!, 4);
    const swap = (values: HostArray["data"]): Float32Array =>
      Float32Array.from({ length: values.length }, (_, i) => values[i ^ 1]!);
    set(`${name}.weight`, shape, swap(data));
    set(`${name}.bias`, [outputs], swap(vector(layer, "bias", outputs)));
  }

  function even(layer: string, outputs: number, per: number): number {
    if (outputs % per !== 0)
      throw new WeightsError(`${layer}/kernel: its outputs must be a multiple of ${per}, got ${outputs}.`);
    return outputs;
  }

  /**
   * Folds a convolution over the whole of its input and its norm into one dense layer; in float64 until
   * stored.
   */
  function folded(layer: string, norm: string, name: string): void {
    const { shape, data } = get(layer, "kernel", 4);
    const outputs = shape[3]!;
    const [gamma, beta, mean, variance, bias] = [
      vector(norm, "gamma", outputs),
      vector(norm, "beta", outputs),
      vector(norm, "moving_mean", outputs),
      vector(norm, "moving_variance", outputs),
      vector(layer, "bias", outputs),
    ];
    const scale = Float64Array.from(gamma, (value, i) => value / Math.sqrt(variance[i]! + EPS));
    const weight = new Float32Array(data.length);
    for (let i = 0, o = 0; i < weight.length; i++) {
      weight[i] = data[i]! * scale[o]!;
      if (++o === outputs) o = 0;
    }
    set(`${name}.weight`, [shape[0]! * shape[1]! * shape[2]!, outputs], weight);
    set(
      `${name}.bias`,
      [outputs],
      Float32Array.from(scale, (value, i) => (bias[i]! - mean[i]!) * value + beta[i]!),
    );
  }
}
