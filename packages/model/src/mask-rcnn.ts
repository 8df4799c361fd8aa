import type { Variable } from "@tensorflow/tfjs-core";
import { gridAnchors } from "@mrcnn/anchors";
import type { AnchorConfig } from "@mrcnn/anchors";
import { initResnet, resnetChannels } from "@mrcnn/backbones";
import type { ResnetConfig, ResnetParams } from "@mrcnn/backbones";
import { createRandom } from "@mrcnn/core";
import type { Detections, Disposable, ImageSize, NamedVariables, Random, RawImage } from "@mrcnn/core";
import { initFpn } from "@mrcnn/fpn";
import type { FpnParams } from "@mrcnn/fpn";
import { initBoxHead, initMaskHead } from "@mrcnn/heads";
import type { BoxHeadParams, MaskHeadParams } from "@mrcnn/heads";
import { disposeParams, flattenParams } from "@mrcnn/nn";
import { initRpnHead } from "@mrcnn/rpn";
import type { RpnHeadParams } from "@mrcnn/rpn";
import type { MaskRcnnConfig } from "./config.ts";
import { detect } from "./detect.ts";
import type { DetectOptions } from "./detect.ts";

/** All weights, nested so that their names are torchvision's state_dict's. */
export type MaskRcnnParams = {
  readonly backbone: { readonly body: ResnetParams; readonly fpn: FpnParams };
  readonly rpn: { readonly head: RpnHeadParams };
  readonly roi_heads: BoxHeadParams & Partial<MaskHeadParams>;
};

/** A Mask R-CNN (or, without masks, Faster R-CNN) with its weights on the device. */
export interface MaskRcnn extends Disposable {
  readonly config: MaskRcnnConfig;
  readonly params: MaskRcnnParams;
  /** Every weight and buffer by its state_dict name. */
  readonly variables: NamedVariables;
  /** The names training changes. */
  readonly trainable: readonly string[];
  /**
   * Finds objects. Boxes are pixels of each given image, best first; masks are run lengths at the
   * image's own size. An image without objects gives empty arrays.
   */
  detect(images: readonly RawImage[], options?: DetectOptions): Promise<Detections[]>;
}

/** Layers 1..`5 - trainableLayers` of the body that stay as they are, as torchvision counts them. */
export const frozenPrefixes = (trainableLayers: number): string[] =>
  ["backbone.body.conv1", "backbone.body.layer1", "backbone.body.layer2", "backbone.body.layer3", "backbone.body.layer4"]
    .slice(0, 5 - trainableLayers)
    .concat(trainableLayers < 5 ? ["backbone.body.bn1"] : [])
    .map((prefix) => `${prefix}.`);

export const resnetConfig = ({ backbone }: MaskRcnnConfig): ResnetConfig => ({
  depth: backbone.depth,
  width: backbone.width,
  norm: backbone.norm,
  groups: backbone.groups,
  eps: backbone.eps,
});

/** Anchors as torchvision makes them: rounded, with strides of image over grid. */
export const anchorConfig = ({ anchors }: MaskRcnnConfig): AnchorConfig => ({
  sizes: anchors.sizes,
  aspectRatios: anchors.sizes.map(() => anchors.aspectRatios),
  strides: "image-over-grid",
  centerOffset: 0,
  roundCells: true,
});

/** Anchors of the pyramid over a network input of `size`: float32 [A * 4]. */
export const modelAnchors = (config: MaskRcnnConfig, grids: readonly ImageSize[], size: ImageSize): Float32Array =>
  gridAnchors(anchorConfig(config), grids, size);

/** Fresh weights, initialised as torchvision does. */
export function initMaskRcnn(config: MaskRcnnConfig, random: Random): MaskRcnnParams {
  const resnet = resnetConfig(config);
  const channels = config.fpn.channels;
  const classes = config.classes.length + 1;
  const anchorsPerLocation = config.anchors.sizes[0]!.length * config.anchors.aspectRatios.length;
  return {
    backbone: { body: initResnet(resnet, random), fpn: initFpn({ inChannels: resnetChannels(resnet), outChannels: channels }, random) },
    rpn: { head: initRpnHead({ inChannels: channels, anchorsPerLocation }, random) },
    roi_heads: {
      ...initBoxHead({ inChannels: channels, poolSize: config.box.poolSize, representation: config.box.representation, classes }, random),
      ...(config.mask
        ? initMaskHead({ inChannels: channels, layers: config.maskHead.layers, reduced: config.maskHead.channels, classes }, random)
        : {}),
    },
  };
}

/**
 * Creates a model with fresh weights; load trained ones with `assignWeights(model.variables, arrays)`
 * of @mrcnn/weights. The caller disposes it.
 */
export function createMaskRcnn(config: MaskRcnnConfig, random: Random = createRandom(0)): MaskRcnn {
  const params = initMaskRcnn(config, random);
  const variables = flattenParams(params);
  const frozen = frozenPrefixes(config.backbone.trainableLayers);
  const isTrained = ([name, variable]: [string, Variable]): boolean =>
    variable.trainable && !frozen.some((prefix) => name.startsWith(prefix));
  return {
    config,
    params,
    variables,
    trainable: [...variables].filter(isTrained).map(([name]) => name),
    detect: (images, options) => detect(config, params, images, options),
    dispose: () => disposeParams(params),
  };
}
