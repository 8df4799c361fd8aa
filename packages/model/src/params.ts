/** The weights of a model: their nesting, which gives torchvision's names, and fresh ones. */
import { initResnet, initResnetStage, resnetChannels } from "@mrcnn/backbones";
import type { BlockParams, ResnetConfig, ResnetParams } from "@mrcnn/backbones";
import type { Random } from "@mrcnn/core";
import { initFpn } from "@mrcnn/fpn";
import type { FpnParams } from "@mrcnn/fpn";
import { initBoxHead, initBoxPredictor, initKeypointHead, initMaskHead } from "@mrcnn/heads";
import type { BoxHeadParams, KeypointHeadParams, MaskHeadParams } from "@mrcnn/heads";
import type { Norm } from "@mrcnn/nn";
import { initRpnHead } from "@mrcnn/rpn";
import type { RpnHeadParams } from "@mrcnn/rpn";
import type { HeadNorm, MaskRcnnConfig } from "./config.ts";
import { numericsProfiles } from "./numerics.ts";

/**
 * All weights, nested so that their names are torchvision's state_dict's; `layer4` of the heads is C4's
 * conv5.
 */
export type MaskRcnnParams = {
  readonly backbone: { readonly body: ResnetParams; readonly fpn?: FpnParams };
  readonly rpn: { readonly head: RpnHeadParams };
  readonly roi_heads: { readonly layer4?: readonly BlockParams[] } & Pick<BoxHeadParams, "box_predictor"> &
    Partial<BoxHeadParams & MaskHeadParams & KeypointHeadParams>;
};

/** The backbone's part of a config, with what numerics and architecture decide. */
export function resnetConfig({ architecture, backbone, numerics }: MaskRcnnConfig): ResnetConfig {
  return {
    ...backbone,
    stemPool: numericsProfiles[numerics].stemPool,
    stages: architecture === "c4" ? 3 : 4,
    dilateLayer4: architecture === "dc5",
  };
}

// A norm as the layers' configs take it: absent for "none".
const normOption = (norm: HeadNorm): { norm?: Norm } => (norm === "none" ? {} : { norm });

/** Fresh weights, initialised as torchvision does; what is not to be trained is marked so. */
export function initMaskRcnn(config: MaskRcnnConfig, random: Random): MaskRcnnParams {
  const { architecture, fpn, anchors, rpn, box, maskHead, keypointHead, keypoints } = config;
  const resnet = resnetConfig(config);
  const channels = resnetChannels(resnet);
  // What the RPN and the RoIs read.
  const inChannels =
    architecture === "fpn" ? fpn.channels
    : architecture === "c4" ? channels[2]
    : channels[3];
  const classes = config.classes.length + 1;
  const body = initResnet(resnet, random);
  return {
    backbone: {
      body,
      ...(architecture === "fpn" && {
        fpn: initFpn({ inChannels: channels, outChannels: inChannels, ...normOption(fpn.norm) }, random),
      }),
    },
    rpn: {
      head: initRpnHead(
        {
          inChannels,
          anchorsPerLocation: anchors.sizes[0]!.length * anchors.aspectRatios.length,
          convs: rpn.convs,
          ...(rpn.channels !== undefined && { hiddenChannels: rpn.channels }),
        },
        random,
      ),
    },
    roi_heads: {
      ...(architecture === "c4" ?
        {
          layer4: initResnetStage(resnet, 3, random),
          ...initBoxPredictor({ inChannels: channels[3], classes }, random),
        }
      : initBoxHead(
          {
            inChannels,
            poolSize: box.poolSize,
            layers: box.layers,
            representation: box.representation,
            classes,
            ...normOption(box.norm),
          },
          random,
        )),
      ...(config.mask &&
        initMaskHead(
          {
            inChannels: architecture === "c4" ? channels[3] : inChannels,
            layers: maskHead.layers,
            reduced: maskHead.channels,
            classes,
            ...normOption(maskHead.norm),
          },
          random,
        )),
      ...(keypoints.length > 0 &&
        initKeypointHead({ inChannels, layers: keypointHead.layers, keypoints: keypoints.length }, random)),
    },
  };
}
