/** Recognises unsupported networks by the names of their tensors, and describes them for errors. */
import { printable, WeightsError } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";

type Known = readonly [what: string, all: readonly RegExp[], not?: RegExp];

const PARTS_OF_OURS = /(?:^|\.)(?:rpn\.head|proposal_generator|roi_heads)\./;

/** Backbones other than ResNet, by name patterns that only they have. The first match counts. */
const BACKBONES: readonly Known[] = [
  ["a Swin transformer", [/relative_position_bias_table$/]],
  [
    "a vision transformer",
    [
      /(?:blocks|layers|encoder_layer_\d+|layer)\.?\d*\.(?:attn|attention|self_attention)\./,
      /pos_embed|position_embedding|pos_embedding|patch_embed|conv_proj/,
    ],
  ],
  ["a ConvNeXt", [/layer_scale|\.(?:dwconv|conv_dw)\.|\.gamma$/, /pwconv|\.block\.[35]\.|\.mlp\.fc1\./]],
  ["a SqueezeNet", [/\.squeeze\.weight$/, /\.expand(?:1x1|3x3)\.weight$/]],
  [
    "a VGG network",
    [/(?:^|\.)(?:features|backbone|body)\.\d+\.weight$/],
    /\.bn\d|layer\d|\.conv\d|running_mean/,
  ],
  [
    "a VGG network with batch norm",
    [
      /(?:^|\.)(?:features|backbone|body)\.\d+\.weight$/,
      /(?:^|\.)(?:features|backbone|body)\.\d+\.running_mean$/,
    ],
    /\.\d+\.(?:block|conv|\d+)\./,
  ],
  ["a DenseNet", [/denseblock\d+\./]],
  ["a RegNet", [/trunk_output\.|\.block\d+-\d+\./]],
  ["a ShuffleNet", [/\.stage[234]\.\d+\.branch[12]\./]],
  ["an Inception network", [/Mixed_\d|inception\d[a-e]/]],
  ["a VoVNet", [/OSA\d_\d/]],
  ["an EfficientNet", [/(?:^|\.)\d+\.\d+\.block\.\d+\.|_blocks\.\d+\._|\.blocks\.\d+\.\d+\.conv_pw/]],
  ["a MobileNet", [/(?:^|\.)\d+\.block\.\d+\.|(?:^|\.)\d+\.conv\.\d+\.(?:\d+\.)?weight$/]],
  ["an HRNet", [/\.stage\d\.\d\.branches\.\d\.|transition\d\./]],
  ["a ResNet with squeeze-and-excitation", [/layer[1-4]\.\d+\.(?:se|se_module|ca|attn)\./]],
  [
    "a ResNet with a deep stem (ResNet-D, ResNeSt)",
    [/(?:^|\.)(?:body\.)?conv1\.[0-9]\.weight$/, /layer[1-4]\.\d+\./],
  ],
  ["a ResNet with deformable convolutions", [/conv\d_offset\.|offset_conv|\.conv\d\.offset/]],
];

/** Whole networks, by name patterns that only they have. The first match counts. */
const NETWORKS: readonly Known[] = [
  [
    "an SSD (SSDlite), a detector of one stage",
    [/(?:^|\.)head\.(?:classification|regression)_head\.module_list\./],
  ],
  ["an FCOS, a detector of one stage", [/bbox_ctrness|centerness|fcos_head/]],
  [
    "a RetinaNet, a detector of one stage",
    [/(?:^|\.)head\.(?:classification_head|cls_subnet)\.|retina_(?:cls|reg)\b/],
  ],
  [
    "a Mask2Former or MaskFormer",
    [
      /(?:^|\.)sem_seg_head\.(?:pixel_decoder|predictor)\.|mask_embedder|transformer_module\.(?:decoder|queries)/,
    ],
  ],
  [
    "a DETR, a transformer that detects",
    [
      /query_embed|query_position_embeddings|class_labels_classifier|(?:^|\.)bbox_embed\.|denoising_class_embed|bbox_predictor\.layers\.\d/,
    ],
  ],
  ["a Segment Anything model", [/(?:^|\.)(?:mask_decoder|image_encoder|vision_encoder)\./, /prompt_encoder/]],
  [
    "a YOLO, a detector of one stage",
    [
      /(?:^|\.)model\.\d+\.(?:conv|cv\d|m|bn)\.|(?:^|\.)module_list\.\d+\.(?:Conv2d|conv_\d+|BatchNorm2d)|(?:^|\.)head\.(?:cls_preds|reg_preds|obj_preds)\.|dfl\.conv|backbone\.dark\d/,
    ],
    PARTS_OF_OURS,
  ],
  ["an EfficientDet, a detector of one stage", [/(?:^|\.)fpn\.cell\.|bifpn/]],
  ["a CenterNet, a detector of one stage", [/(?:^|\.)(?:hm|wh|reg)\.\d\.weight$/]],
  [
    "a model of mmdetection",
    [/(?:^|\.)(?:neck|rpn_head|roi_head|bbox_head|mask_head|panoptic_head)\./],
    PARTS_OF_OURS,
  ],
  [
    "a DeepLab or FCN, which segments without telling objects apart",
    [/(?:^|\.)classifier\.(?:0\.convs|low_level|\d+\.weight)|aux_classifier/, /(?:^|\.)backbone\./],
  ],
  [
    "a U-Net, which segments without telling objects apart",
    [/segmentation_head\.|(?:^|\.)(?:up\d|inc|outc|downs\.\d|upconv\d)\.|decoder\.blocks\.\d/],
  ],
  ["a CLIP model", [/(?:^|\.)(?:visual_projection|logit_scale|text_projection)/]],
  ["a language model", [/(?:^|\.)(?:lm_head|embed_tokens|wte|word_embeddings|transformer\.h\.\d+)\b/]],
];

/** Backbones alone, without a detector. */
const CLASSIFIERS: readonly Known[] = [
  ["an ImageNet classifier for detectron2: a backbone alone", [/^(?:.*\.)?(?:stem\.conv1|res2)\./], /rpn/],
  [
    "an ImageNet classifier of Keras: a backbone alone",
    [/^(?:res5|conv5_block|fc1000|predictions|block5)/],
    /rpn|mrcnn/,
  ],
  [
    "an ImageNet classifier of Hugging Face: a backbone alone",
    [
      /(?:^|\.)(?:embedder|encoder)\.(?:stages|stage|layer|layers|blocks)?/,
      /(?:^|\.)classifier\.|^(?:resnet|vit|convnext|swin|mobilenet_v\d|regnet|bit|dinov2)\./,
    ],
  ],
  [
    "an ImageNet classifier: a backbone alone",
    [/^(?:[^.]+\.)*?(?:layer4|features|classifier|fc|head|heads|denseblock4|blocks)\./],
  ],
];

const first = (list: readonly Known[], names: readonly string[]): string | undefined =>
  list.find(
    ([, all, not]) =>
      all.every((one) => names.some((name) => one.test(name))) &&
      (not === undefined || !names.some((name) => not.test(name))),
  )?.[0];

/** Describes an unsupported network by its names. */
export function describeNetwork(names: readonly string[]): string {
  if (names.length === 0) return "a file without weights";
  const known = first(NETWORKS, names) ?? first(CLASSIFIERS, names);
  if (known !== undefined) return known;
  return `a model of another kind, with the names ${listed(names)}`;
}

/** Lists the first names, for a message. */
export const listed = (names: readonly string[], most = 4): string =>
  names
    .slice(0, most)
    .map((name) => printable(name, 80))
    .join(", ") + (names.length > most ? ` and ${names.length - most} more` : "");

/** Tells whether the names are those of an R-CNN of torchvision, detectron2 or this project. */
export const isRcnn = (names: readonly string[]): boolean =>
  names.some((name) => /^(?:rpn\.head|proposal_generator\.rpn_head|roi_heads)\./.test(name));

interface Grammar {
  /** Names of a supported backbone. */
  readonly backbone: RegExp;
  /** Names of one level of the pyramid. */
  readonly level: RegExp;
  /** Names of all other supported weights; absent where their translation detects unknown names. */
  readonly rest?: RegExp;
}

const GRAMMARS: Readonly<Record<"torchvision" | "detectron2", Grammar>> = {
  torchvision: {
    backbone: /^backbone\.body\.(?:conv1|bn1|layer[1-4]\.\d+\.(?:conv[123]|bn[123]|downsample\.[01]))\.\w+$/,
    level: /^backbone\.fpn\.inner_blocks\.(\d+)\.(?:0\.)?weight$/,
    rest: /^(?:backbone\.fpn\.(?:inner|layer)_blocks\.\d+|rpn\.head\.(?:conv|cls_logits|bbox_pred)|roi_heads\.(?:box_head\.(?:fc[67]|\d+)|box_predictor\.(?:cls_score|bbox_pred)|mask_head\.(?:mask_fcn\d|\d+)|mask_predictor\.(?:conv5_mask|mask_fcn_logits)|keypoint_head\.\d+|keypoint_predictor\.kps_score_lowres))\.(?:\d+\.){0,2}\w+$/,
  },
  detectron2: {
    backbone:
      /^backbone\.(?:bottom_up\.)?(?:stem\.conv1|res[2-5]\.\d+\.(?:conv[123]|shortcut))\.(?:norm\.)?\w+$/,
    level: /^backbone\.fpn_lateral(\d)\.weight$/,
  },
};

/** Parts of R-CNNs that are not supported. */
const OTHERS: readonly (readonly [pattern: RegExp, what: string])[] = [
  [
    /^roi_heads\.box_(?:head|predictor)\.\d+\.(?:fc\d|conv\d|cls_score|bbox_pred)\b/,
    "a cascade of box heads where one is read",
  ],
  [
    /^roi_heads\.(?:mask_head\.)?(?:mask_)?(?:point|coarse)_head\./,
    "a PointRend mask head, which is not read",
  ],
  [/^roi_heads\.mask_iou|maskiou/, "a mask scoring head, which is not read"],
  [/^sem_seg_head\./, "a head for semantic segmentation (Panoptic FPN), which is not read"],
  [
    /^backbone\.(?:fpn\.extra_blocks|top_block)\./,
    "a pyramid with convolutions for levels above the fifth, where they are pooled",
  ],
];

/**
 * Rejects an R-CNN whose backbone, pyramid or heads are not supported.
 *
 * @throws WeightsError that says what differs, without the file's name.
 */
export function assertRcnn(tensors: NamedArrays, library: keyof typeof GRAMMARS): void {
  const names = [...tensors.keys()].filter((name) => !name.endsWith(".num_batches_tracked"));
  const { backbone, level, rest } = GRAMMARS[library];
  const fail = (what: string): never => {
    throw new WeightsError(
      `the weights are an R-CNN's in ${library}'s names, but ${what}. Detectors are Mask, Faster and Keypoint R-CNN with a ResNet or ResNeXt, as ${library} builds them.`,
    );
  };
  for (const [pattern, what] of OTHERS) {
    const name = names.find((one) => pattern.test(one));
    if (name !== undefined) fail(`it has ${what} (${printable(name, 80)})`);
  }
  const bodies = names.filter(
    (name) => name.startsWith("backbone.") && !/^backbone\.(?:fpn\.|fpn_|simfp)/.test(name),
  );
  const odd = bodies.filter((name) => !backbone.test(name));
  if (odd.length > 0) {
    // A ResNet without the `body` that it has in a pyramid.
    const isBare =
      /^backbone\.(?:conv1|bn1|layer[1-4]|\d+)\./.test(odd[0]!) &&
      odd.some((name) => /layer[1-4]\.\d+\.conv1|^backbone\.[4-7]\.\d+\.conv1/.test(name));
    const what = first(BACKBONES, odd) ?? first(BACKBONES, bodies);
    if (what === undefined && isBare)
      fail("its backbone has no pyramid (FPN), which torchvision's models that are read have");
    fail(`its backbone is ${what ?? `of another kind (${listed(odd)})`}; ResNets and ResNeXts are read`);
  }
  const levels = new Set(names.flatMap((name) => level.exec(name)?.[1] ?? []));
  if (levels.size > 0 && levels.size !== 4)
    fail(`it has a pyramid of ${levels.size} level${levels.size === 1 ? "" : "s"} where 4 are read`);
  if (rest === undefined) return;
  if (levels.size === 0 && bodies.length > 0)
    fail("its backbone has no pyramid (FPN), which torchvision's models that are read have");
  const strange = names.filter((name) => !name.startsWith("backbone.body.") && !rest.test(name));
  if (strange.length > 0) fail(`it has ${listed(strange)}, which no model of torchvision has`);
  const classes = tensors.get("roi_heads.box_predictor.cls_score.weight")?.shape[0];
  for (const [layer, per] of [
    ["roi_heads.box_predictor.bbox_pred", 4],
    ["roi_heads.mask_predictor.mask_fcn_logits", 1],
  ] as const) {
    const outputs = tensors.get(`${layer}.weight`)?.shape[0];
    if (classes === undefined || outputs === undefined || outputs === per * classes) continue;
    const why =
      outputs === per ? "one for all classes (class-agnostic), which is not read" : "another number";
    fail(
      `${layer} must have ${per} output${per === 1 ? "" : "s"} for each of its ${classes} classes (the background included), got ${outputs}: ${why}`,
    );
  }
}
