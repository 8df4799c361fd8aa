/** Translates the weights of Detectron (Caffe2) to the names of detectron2. */
import { printable, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";

type Rename = readonly [pattern: RegExp, name: (...groups: string[]) => string];

const CONVS: Readonly<Record<string, string>> = {
  branch1: "shortcut",
  branch2a: "conv1",
  branch2b: "conv2",
  branch2c: "conv3",
};
const KINDS: Readonly<Record<string, string>> = {
  w: "weight",
  b: "bias",
  bn_s: "norm.weight",
  bn_b: "norm.bias",
  bn_rm: "norm.running_mean",
  bn_riv: "norm.running_var",
  gn_s: "norm.weight",
  gn_b: "norm.bias",
};
const SUFFIX = "(w|b|bn_s|bn_b|bn_rm|bn_riv|gn_s|gn_b)";
const named = (pattern: string): RegExp => new RegExp(`^${pattern}_${SUFFIX}$`);

// Translations of a layer's name, the part of a blob's name before the suffix. All levels of FPN share one
// RPN, whose weights are named after the first level.
const RENAMES: readonly Rename[] = [
  [named("conv1"), () => "{body}.stem.conv1"],
  // Only the stem's norm is named after the network.
  [/^res_conv1_(bn_s|bn_b|bn_rm|bn_riv|gn_s|gn_b)$/, () => "{body}.stem.conv1"],
  [
    named(String.raw`res([2-5])_(\d+)_(branch1|branch2[abc])`),
    (stage, block, branch) => `{res${stage}}.res${stage}.${block}.${CONVS[branch!]}`,
  ],
  [named(String.raw`fpn_inner_res([2-5])_\d+_sum(?:_lateral)?`), (stage) => `backbone.fpn_lateral${stage}`],
  [named(String.raw`fpn_res([2-5])_\d+_sum`), (stage) => `backbone.fpn_output${stage}`],
  [named("conv_rpn(?:_fpn2)?"), () => "proposal_generator.rpn_head.conv"],
  [named("rpn_cls_logits(?:_fpn2)?"), () => "proposal_generator.rpn_head.objectness_logits"],
  [named("rpn_bbox_pred(?:_fpn2)?"), () => "proposal_generator.rpn_head.anchor_deltas"],
  [named("fc6"), () => "roi_heads.box_head.fc1"],
  [named("fc7"), () => "roi_heads.box_head.fc2"],
  [named(String.raw`head_conv(\d+)`), (i) => `roi_heads.box_head.conv${i}`],
  [named("(cls_score|bbox_pred)"), (layer) => `roi_heads.box_predictor.${layer}`],
  [named(String.raw`_\[mask\]_fcn(\d+)`), (i) => `roi_heads.mask_head.mask_fcn${i}`],
  [named("mask_fcn_logits"), () => "roi_heads.mask_head.predictor"],
  [named("conv5_mask"), () => "roi_heads.mask_head.deconv"],
  [named(String.raw`conv_fcn(\d+)`), (i) => `roi_heads.keypoint_head.conv_fcn${i}`],
  [named("kps_score_lowres"), () => "roi_heads.keypoint_head.score_lowres"],
];

// Remains of the ImageNet classifier: its last layer, and biases without effect before a norm.
const IDLE = /^(conv1|res[2-5]_\d+_branch(1|2[abc]))_b$|^(fc1000|pred)_[wb]$/;

/**
 * Translates a blob's name: the layer by the first matching pattern, and the suffix, which is the pattern's
 * last group.
 */
function rename(name: string, isPyramid: boolean): string | undefined {
  for (const [pattern, make] of RENAMES) {
    const groups = pattern.exec(name)?.slice(1);
    if (groups === undefined) continue;
    const layer = make(...groups)
      .replace(/^\{(body|res[2-4])\}/, isPyramid ? "backbone.bottom_up" : "backbone")
      // Without a pyramid the fifth stage belongs to the heads.
      .replace(/^\{res5\}/, isPyramid ? "backbone.bottom_up" : "roi_heads");
    return `${layer}.${KINDS[groups.at(-1)!]}`;
  }
  return undefined;
}

/** Returns the rows after the first `count`. */
function withoutRows({ shape, data }: HostArray, count: number): HostArray {
  const row = shape.slice(1).reduce((a, b) => a * b, 1);
  return { shape: [Math.max(0, shape[0]! - count), ...shape.slice(1)], data: data.slice(count * row) };
}

function firstLast({ shape, data }: HostArray): HostArray {
  const row = shape.slice(1).reduce((a, b) => a * b, 1);
  const moved = new Float32Array(data.length);
  moved.set(data.subarray(row));
  moved.set(data.subarray(0, row), data.length - row);
  return { shape, data: moved };
}

/**
 * Translates Detectron's blobs (Caffe2) to detectron2's names. The background of `cls_score` moves from first
 * to last; that of `bbox_pred` and of the masks is dropped, as are the remains of the ImageNet classifier.
 * Detectron's affine channels have no statistics: they get those with which detectron2's frozen batch norm
 * changes nothing. Unknown names are kept.
 */
export function fromDetectron1(blobs: NamedArrays): NamedArrays {
  const isPyramid = [...blobs.keys()].some((name) => name.startsWith("fpn_"));
  const arrays = new Map<string, HostArray>();
  for (const [blob, array] of blobs) {
    if (IDLE.test(blob)) continue;
    const name = rename(blob, isPyramid) ?? blob;
    if (arrays.has(name))
      throw new WeightsError(`${printable(blob)}: another blob is ${name}, too. The file is corrupt.`);
    if (!(array.shape[0]! > 0) || !/\.(box_predictor|predictor)\b/.test(name)) arrays.set(name, array);
    else if (name.includes(".cls_score."))
      arrays.set(name, firstLast({ shape: array.shape, data: array.data }));
    else
      arrays.set(
        name,
        withoutRows({ shape: array.shape, data: array.data }, name.includes(".bbox_pred.") ? 4 : 1),
      );
    if (blob.endsWith("_bn_s")) {
      const layer = name.slice(0, -"weight".length);
      const channels = array.shape[0] ?? 0;
      if (!blobs.has(blob.replace(/_bn_s$/, "_bn_rm"))) {
        arrays.set(`${layer}running_mean`, { shape: [channels], data: new Float32Array(channels) });
        arrays.set(`${layer}running_var`, {
          shape: [channels],
          data: new Float32Array(channels).fill(1 - 1e-5),
        });
      }
    }
  }
  return arrays;
}
