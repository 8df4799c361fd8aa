/** The names and shapes of a model's weights, told from its config alone: nothing is allocated. */
import { resnetBlocks, resnetChannels } from "@mrcnn/backbones";
import type { HeadNorm, MaskRcnnConfig } from "./config.ts";

/** The shape of each tensor that `initMaskRcnn` makes of a config, by its state_dict name. */
export function weightShapes(config: MaskRcnnConfig): Map<string, readonly number[]> {
  const { architecture, backbone, fpn, anchors, rpn, box, maskHead, keypointHead } = config;
  const shapes = new Map<string, readonly number[]>();
  const norm = (name: string, kind: HeadNorm, channels: number): void => {
    const parts =
      kind === "none" ? []
      : kind === "group_norm" ? ["weight", "bias"]
      : ["weight", "bias", "running_mean", "running_var"];
    for (const part of parts) shapes.set(`${name}.${part}`, [channels]);
  };
  const layer = (name: string, weight: readonly number[], outputs: number | undefined): void => {
    shapes.set(`${name}.weight`, weight);
    if (outputs !== undefined) shapes.set(`${name}.bias`, [outputs]);
  };
  const conv = (name: string, size: number, from: number, to: number): void =>
    layer(name, [size, size, from, to], to);
  const convLayer = (name: string, size: number, from: number, to: number, kind: HeadNorm): void => {
    layer(`${name}.0`, [size, size, from, to], kind === "none" ? to : undefined);
    norm(`${name}.1`, kind, to);
  };
  const dense = (name: string, from: number, to: number): void => layer(name, [from, to], to);
  const convs = (name: string, from: number, layers: readonly number[], kind: HeadNorm): number => {
    let channels = from;
    for (const [i, to] of layers.entries()) {
      convLayer(`${name}.${i}`, 3, channels, to, kind);
      channels = to;
    }
    return channels;
  };

  const { width, depth, cardinality, widthPerGroup } = backbone;
  const stages = resnetChannels(backbone);
  const isBasic = stages[0] === width;
  const convNorm = (name: string, place: number | string, weight: readonly number[]): void => {
    layer(`${name}.conv${place}`, weight, undefined);
    norm(`${name}.bn${place}`, backbone.norm, weight[3]!);
  };
  const stage = (name: string, index: 0 | 1 | 2 | 3): void => {
    const planes = width << index;
    const out = stages[index];
    const middle = Math.floor((planes * widthPerGroup) / 64) * cardinality;
    for (let i = 0; i < resnetBlocks[depth][index]; i++) {
      const block = `${name}.${i}`;
      const from =
        i > 0 ? out
        : index === 0 ? width
        : out / 2;
      const weights =
        isBasic ?
          [
            [3, 3, from, planes],
            [3, 3, planes, planes],
          ]
        : [
            [1, 1, from, middle],
            [3, 3, middle / cardinality, middle],
            [1, 1, middle, out],
          ];
      for (const [j, weight] of weights.entries()) convNorm(block, j + 1, weight);
      if (i > 0 || (index === 0 && from === out)) continue;
      layer(`${block}.downsample.0`, [1, 1, from, out], undefined);
      norm(`${block}.downsample.1`, backbone.norm, out);
    }
  };

  layer("backbone.body.conv1", [7, 7, 3, width], undefined);
  norm("backbone.body.bn1", backbone.norm, width);
  for (const index of architecture === "c4" ? ([0, 1, 2] as const) : ([0, 1, 2, 3] as const))
    stage(`backbone.body.layer${index + 1}`, index);
  const features =
    architecture === "fpn" ? fpn.channels
    : architecture === "c4" ? stages[2]
    : stages[3];
  if (architecture === "fpn") {
    for (const [i, from] of stages.entries()) {
      convLayer(`backbone.fpn.inner_blocks.${i}`, 1, from, features, fpn.norm);
      convLayer(`backbone.fpn.layer_blocks.${i}`, 3, features, features, fpn.norm);
    }
  }

  const hidden = rpn.channels ?? features;
  const perLocation = anchors.sizes[0]!.length * anchors.aspectRatios.length;
  for (let i = 0; i < rpn.convs; i++) conv(`rpn.head.conv.${i}.0`, 3, i === 0 ? features : hidden, hidden);
  conv("rpn.head.cls_logits", 1, hidden, perLocation);
  conv("rpn.head.bbox_pred", 1, hidden, 4 * perLocation);

  const classes = config.classes.length + 1;
  const head = architecture === "c4" ? stages[3] : features;
  let seen = head;
  if (architecture === "c4") stage("roi_heads.layer4", 3);
  else {
    const channels = convs("roi_heads.box_head", features, box.layers, box.norm);
    const [first, second] = box.layers.length === 0 ? ["fc6", "fc7"] : [box.layers.length + 1];
    dense(`roi_heads.box_head.${first}`, box.poolSize ** 2 * channels, box.representation);
    if (second !== undefined) dense(`roi_heads.box_head.${second}`, box.representation, box.representation);
    seen = box.representation;
  }
  dense("roi_heads.box_predictor.cls_score", seen, classes);
  dense("roi_heads.box_predictor.bbox_pred", seen, 4 * classes);
  if (config.mask) {
    const channels = convs("roi_heads.mask_head", head, maskHead.layers, maskHead.norm);
    layer("roi_heads.mask_predictor.conv5_mask", [2, 2, maskHead.channels, channels], maskHead.channels);
    conv("roi_heads.mask_predictor.mask_fcn_logits", 1, maskHead.channels, classes);
  }
  if (config.keypoints.length > 0) {
    let channels = features;
    for (const [i, to] of keypointHead.layers.entries()) {
      conv(`roi_heads.keypoint_head.${2 * i}`, 3, channels, to);
      channels = to;
    }
    layer(
      "roi_heads.keypoint_predictor.kps_score_lowres",
      [4, 4, config.keypoints.length, channels],
      config.keypoints.length,
    );
  }
  return shapes;
}

/** How many values the weights of a config's model have. */
export const parameterCount = (config: MaskRcnnConfig): number =>
  [...weightShapes(config).values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
