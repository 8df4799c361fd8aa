/** The box head, as torchvision's TwoMLPHead, FastRCNNConvFCHead and FastRCNNPredictor. */
import { reshape, tidy } from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import { assertShape, ConfigError } from "@mrcnn/core";
import type { Random } from "@mrcnn/core";
import type { BoxHeadOutput } from "@mrcnn/core/tensors";
import { dense, initDense } from "@mrcnn/nn";
import type { ConvLayer, DenseParams, LayerNormOptions, Norm } from "@mrcnn/nn";
import { applyConvs, initConvs } from "./convs.ts";

/** The size of a box head. */
export interface BoxHeadConfig {
  readonly inChannels: number;
  /** Side of the pooled RoIs; the paper's 7. */
  readonly poolSize: number;
  /**
   * Channels of each 3 × 3 convolution; with any, one hidden layer follows instead of two (torchvision's v2
   * detectors). Default none.
   */
  readonly layers?: readonly number[];
  /** Norm after each convolution, which then has no bias. Default none. */
  readonly norm?: Norm;
  /** Width of the hidden layers; the paper's 1024. */
  readonly representation: number;
  /** Number of classes, background included. */
  readonly classes: number;
}

/** Parameters of the outputs under torchvision's names: `cls_score.weight`, `bbox_pred.weight`. */
export type BoxPredictorParams = { readonly cls_score: DenseParams; readonly bbox_pred: DenseParams };

/**
 * Parameters of the layers before the outputs: two hidden layers; or convolutions 0 to n - 1 and hidden layer
 * n + 1, since the flattening has index n.
 */
export type BoxTrunkParams =
  | { readonly fc6: DenseParams; readonly fc7: DenseParams }
  | { readonly [place: string]: DenseParams | ConvLayer };

/**
 * Parameters of the box head under torchvision's names, to be spread into `roi_heads`: `box_head.fc6.weight`,
 * `box_head.5.weight`, `box_predictor.cls_score.weight`.
 */
export type BoxHeadParams = {
  readonly box_head: BoxTrunkParams;
  readonly box_predictor: BoxPredictorParams;
};

const layer = (inChannels: number, outChannels: number, random: Random): DenseParams =>
  initDense({ inChannels, outChannels }, random, { init: "torch_default" });

/** Creates random weights of the two outputs alone, on `inChannels` features of each RoI. */
export function initBoxPredictor(
  { inChannels, classes }: { inChannels: number; classes: number },
  random: Random,
): Pick<BoxHeadParams, "box_predictor"> {
  return {
    box_predictor: {
      cls_score: layer(inChannels, classes, random),
      bbox_pred: layer(inChannels, 4 * classes, random),
    },
  };
}

/**
 * Creates random weights: uniform in ± 1 / sqrt(fan in), torch's default for linear layers, as torchvision;
 * convolutions are kaiming normal.
 */
export function initBoxHead(config: BoxHeadConfig, random: Random): BoxHeadParams {
  const { inChannels, poolSize, layers = [], norm, representation, classes } = config;
  const pixels = poolSize * poolSize;
  const box_head: BoxTrunkParams =
    layers.length === 0 ?
      {
        fc6: layer(pixels * inChannels, representation, random),
        fc7: layer(representation, representation, random),
      }
    : {
        ...Object.fromEntries(initConvs(inChannels, layers, random, norm).entries()),
        [layers.length + 1]: layer(pixels * layers.at(-1)!, representation, random),
      };
  return { box_head, ...initBoxPredictor({ inChannels: representation, classes }, random) };
}

/**
 * Computes scores and box deltas of every class: `hidden` [R, C] to classLogits [R, K] and deltas [R, K * 4].
 */
export function applyBoxPredictor(
  { cls_score, bbox_pred }: BoxPredictorParams,
  hidden: Tensor2D,
): BoxHeadOutput {
  return { classLogits: dense(cls_score, hidden), deltas: dense(bbox_pred, hidden) };
}

function flatten(x: Tensor4D, { weight }: DenseParams, name: string): Tensor2D {
  const [rois, height, width, channels] = x.shape;
  assertShape(
    { shape: [rois, height * width * channels] },
    [null, weight.shape[0]],
    "applyBoxHead",
    `${name}, flattened,`,
  );
  return reshape(x, [rois, height * width * channels]) as Tensor2D;
}

function applyTrunk(trunk: BoxTrunkParams, pooled: Tensor4D, options: LayerNormOptions): Tensor2D {
  if ("fc6" in trunk) {
    const { fc6, fc7 } = trunk as { fc6: DenseParams; fc7: DenseParams };
    return dense(fc7, dense(fc6, flatten(pooled, fc6, "pooled"), { activation: "relu" }), {
      activation: "relu",
    });
  }
  const places = Object.values(trunk) as (DenseParams | ConvLayer)[];
  const hidden = places.at(-1);
  if (hidden === undefined || !("weight" in hidden))
    throw new ConfigError("applyBoxHead: box_head must end with a hidden layer.");
  const convolved = applyConvs(places.slice(0, -1) as ConvLayer[], pooled, options, "applyBoxHead");
  return dense(hidden, flatten(convolved, hidden, "the convolutions' output"), { activation: "relu" });
}

/**
 * Applies the hidden layers and computes scores and box deltas of every class: `pooled` [R, side, side, C] to
 * classLogits [R, K] and deltas [R, K * 4]; R may be 0. Flattens rows, columns, channels (torchvision's
 * weights, which flatten channels first, are reordered when loaded).
 *
 * @throws ShapeError when the pooled size doesn't fit the first hidden layer; ConfigError when there are
 * norms and `options.norm` doesn't say which kind.
 */
export function applyBoxHead(
  params: BoxHeadParams,
  pooled: Tensor4D,
  options: LayerNormOptions = {},
): BoxHeadOutput {
  const [classLogits, deltas] = tidy(() => {
    const output = applyBoxPredictor(params.box_predictor, applyTrunk(params.box_head, pooled, options));
    return [output.classLogits, output.deltas];
  }) as [Tensor2D, Tensor2D];
  return { classLogits, deltas };
}
