/** Translates the weights of detectron2 to this project's names and layouts. */
import { printable, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import { fromTorch } from "./torch-layout.ts";

type Rename = readonly [pattern: RegExp, name: (...groups: string[]) => string];

const STAGE = String.raw`(?:backbone\.(?:bottom_up\.)?|roi_heads\.)`;
const PREDICTORS = { deconv: "conv5_mask", predictor: "mask_fcn_logits" } as const;
const minus = (text: string, by: number): number => Number(text) - by;
const stageOf = (prefix: string, res: string): string =>
  `${prefix.startsWith("roi") ? "roi_heads" : "backbone.body"}.layer${minus(res, 1)}`;
/**
 * Index of a tensor's module in torchvision's Conv2dNormActivation: 0 for the convolution, 1 for its norm.
 */
const slot = (norm: string | undefined): string => (norm === undefined ? "0" : "1");

// The optional group before the last is the norm; the last group is weight, bias or a statistic.
const RENAMES: readonly Rename[] = [
  [
    /^backbone\.(?:bottom_up\.)?stem\.conv1\.(norm\.)?(\w+)$/,
    (norm, kind) => `backbone.body.${norm === undefined ? "conv1" : "bn1"}.${kind}`,
  ],
  [
    new RegExp(String.raw`^(${STAGE})res([2-5])\.(\d+)\.conv([123])\.(norm\.)?(\w+)$`),
    (prefix, res, block, conv, norm, kind) =>
      `${stageOf(prefix!, res!)}.${block}.${norm === undefined ? "conv" : "bn"}${conv}.${kind}`,
  ],
  [
    new RegExp(String.raw`^(${STAGE})res([2-5])\.(\d+)\.shortcut\.(norm\.)?(\w+)$`),
    (prefix, res, block, norm, kind) => `${stageOf(prefix!, res!)}.${block}.downsample.${slot(norm)}.${kind}`,
  ],
  [
    /^backbone\.fpn_lateral([2-5])\.(norm\.)?(\w+)$/,
    (level, norm, kind) => `backbone.fpn.inner_blocks.${minus(level!, 2)}.${slot(norm)}.${kind}`,
  ],
  [
    /^backbone\.fpn_output([2-5])\.(norm\.)?(\w+)$/,
    (level, norm, kind) => `backbone.fpn.layer_blocks.${minus(level!, 2)}.${slot(norm)}.${kind}`,
  ],
  [
    /^proposal_generator\.rpn_head\.conv\.(?:conv(\d+)\.)?(weight|bias)$/,
    (i, kind) => `rpn.head.conv.${i ?? 0}.0.${kind}`,
  ],
  [/^proposal_generator\.rpn_head\.objectness_logits\.(\w+)$/, (kind) => `rpn.head.cls_logits.${kind}`],
  [/^proposal_generator\.rpn_head\.anchor_deltas\.(\w+)$/, (kind) => `rpn.head.bbox_pred.${kind}`],
  [
    /^roi_heads\.box_head\.conv(\d+)\.(norm\.)?(\w+)$/,
    (i, norm, kind) => `roi_heads.box_head.${minus(i!, 1)}.${slot(norm)}.${kind}`,
  ],
  [
    /^roi_heads\.box_predictor\.(cls_score|bbox_pred)\.(\w+)$/,
    (layer, kind) => `roi_heads.box_predictor.${layer}.${kind}`,
  ],
  [
    /^roi_heads\.mask_head\.mask_fcn(\d+)\.(norm\.)?(\w+)$/,
    (i, norm, kind) => `roi_heads.mask_head.${minus(i!, 1)}.${slot(norm)}.${kind}`,
  ],
  [
    /^roi_heads\.mask_head\.(deconv|predictor)\.(\w+)$/,
    (layer, kind) => `roi_heads.mask_predictor.${PREDICTORS[layer as keyof typeof PREDICTORS]}.${kind}`,
  ],
  [
    /^roi_heads\.keypoint_head\.conv_fcn(\d+)\.(\w+)$/,
    (i, kind) => `roi_heads.keypoint_head.${2 * minus(i!, 1)}.${kind}`,
  ],
  [
    /^roi_heads\.keypoint_head\.score_lowres\.(\w+)$/,
    (kind) => `roi_heads.keypoint_predictor.kps_score_lowres.${kind}`,
  ],
];

const DROPPED = /^pixel_(mean|std)$|(^|\.)anchor_generator\.cell_anchors\.|\.num_batches_tracked$/;

/** Tells whether the names are those of a detector of detectron2. */
export const isDetectron2 = (names: Iterable<string>): boolean =>
  [...names].some((name) => /^(backbone\.bottom_up|proposal_generator\.rpn_head)\./.test(name));

function rename(name: string, boxConvs: number): string {
  const [, fc, kind] = /^roi_heads\.box_head\.fc(\d+)\.(\w+)$/.exec(name) ?? [];
  // Without convolutions they are torchvision's fc6 and fc7; after convolutions the index counts on, past the
  // flattening and each relu.
  if (fc !== undefined)
    return boxConvs === 0 ?
        `roi_heads.box_head.fc${minus(fc, -5)}.${kind}`
      : `roi_heads.box_head.${boxConvs + 2 * Number(fc) - 1}.${kind}`;
  for (const [pattern, make] of RENAMES) {
    const groups = pattern.exec(name);
    if (groups !== null) return make(...groups.slice(1));
  }
  throw new WeightsError(
    `${printable(name)}: Mask, Faster and Keypoint R-CNN of detectron2 have no such weights. Cascades, deformable convolutions and other heads are not read.`,
  );
}

/** Prepends `rows` of zeros to `array`. */
function zerosBefore({ shape, data }: HostArray, rows: number): HostArray {
  const row = shape.slice(1).reduce((a, b) => a * b, 1);
  const out = new Float32Array(rows * row + data.length);
  out.set(data, rows * row);
  return { shape: [shape[0]! + rows, ...shape.slice(1)], data: out };
}

function lastFirst({ shape, data }: HostArray): HostArray {
  const row = shape.slice(1).reduce((a, b) => a * b, 1);
  const out = new Float32Array(data.length);
  out.set(data.subarray(data.length - row));
  out.set(data.subarray(0, data.length - row), row);
  return { shape, data: out };
}

const BACKGROUND: Readonly<Record<string, (array: HostArray) => HostArray>> = {
  "roi_heads.box_predictor.cls_score": lastFirst,
  "roi_heads.box_predictor.bbox_pred": (array) => zerosBefore(array, 4),
  "roi_heads.mask_predictor.mask_fcn_logits": (array) => zerosBefore(array, 1),
};

/**
 * Translates detectron2's weights, in its names and torch's layout, to this project's names and layouts. In
 * detectron2 the background is the last class of `cls_score`, and `bbox_pred` and the masks have none; here
 * it is label 0 of all three, with zeros in the latter two. The pixels' mean and deviation and the anchors
 * are left out, as they are not weights: `detectron2Metadata` returns them.
 *
 * @throws WeightsError naming weights that have no counterpart, and for class-agnostic predictors.
 */
export function fromDetectron2(arrays: NamedArrays): NamedArrays {
  const boxConvs = new Set(
    [...arrays.keys()].flatMap((name) => /^roi_heads\.box_head\.conv(\d+)\.weight$/.exec(name)?.[1] ?? []),
  ).size;
  const renamed = new Map<string, HostArray>();
  for (const [name, array] of arrays) {
    if (DROPPED.test(name)) continue;
    const ours = rename(name, boxConvs);
    if (renamed.has(ours))
      throw new WeightsError(`${printable(name)}: another tensor has that place, too. The file is corrupt.`);
    renamed.set(ours, array);
  }
  const scores = renamed.get("roi_heads.box_predictor.cls_score.weight");
  if (scores === undefined)
    throw new WeightsError(
      "roi_heads.box_predictor.cls_score is missing. The weights are not those of a whole detector.",
    );
  const classes = (scores.shape[0] ?? 0) - 1;
  for (const [layer, per] of [
    ["roi_heads.box_predictor.bbox_pred", 4],
    ["roi_heads.mask_predictor.mask_fcn_logits", 1],
  ] as const) {
    const outputs = renamed.get(`${layer}.weight`)?.shape[0];
    if (outputs !== undefined && outputs !== per * classes) {
      const what =
        outputs === per ?
          "one for all classes (class-agnostic), which this model doesn't have"
        : "another number";
      throw new WeightsError(
        `${layer}: must have ${per} outputs for each of the ${classes} classes, got ${outputs}: ${what}.`,
      );
    }
  }
  // Converted one after the other, as fromTorch reads them.
  const moved = new Map<string, HostArray>();
  for (const [name, array] of renamed) {
    const move = BACKGROUND[name.replace(/\.(weight|bias)$/, "")];
    if (move !== undefined && !(array.shape[0]! > 0))
      throw new WeightsError(`${name}: must have outputs, got the shape [${array.shape.join(", ")}].`);
    moved.set(name, move === undefined ? array : move({ shape: array.shape, data: array.data }));
  }
  return fromTorch(moved);
}

const ANCHORS = /(?:^|\.)anchor_generator\.cell_anchors\.(\d+)$/;
/** Limits of levels and of anchors per position, well above those of any known model. */
const [MOST_LEVELS, MOST_CELLS] = [16, 4096];

/**
 * Returns what detectron2 stores beside the weights, as JSON: the mean and deviation of the pixels it was
 * trained with, and its anchors, finest level first: for each level its boxes (x1, y1, x2, y2) about the
 * origin (`cell_anchors`).
 *
 * @throws WeightsError for anchors of another shape, or too many.
 */
export function detectron2Metadata(arrays: NamedArrays): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const name of ["pixel_mean", "pixel_std"]) {
    const values = arrays.get(name);
    if (values !== undefined && values.data.length <= 16) metadata[name] = JSON.stringify([...values.data]);
  }
  const levels: (readonly number[])[][] = [];
  for (const [name, { shape, data }] of arrays) {
    const level = Number(ANCHORS.exec(name)?.[1] ?? NaN);
    if (Number.isNaN(level)) continue;
    if (level >= MOST_LEVELS || shape.length !== 2 || shape[1] !== 4 || shape[0]! > MOST_CELLS) {
      throw new WeightsError(
        `${name}: anchors must be at most ${MOST_CELLS} boxes [N, 4] on each of at most ${MOST_LEVELS} levels, got [${shape.join(", ")}]. The file is damaged, or of another kind of model.`,
      );
    }
    levels[level] = Array.from({ length: shape[0]! }, (_, i) => [...data.subarray(4 * i, 4 * i + 4)]);
  }
  if (levels.length > 0)
    metadata["cell_anchors"] = JSON.stringify(Array.from(levels, (level) => level ?? []));
  return metadata;
}
