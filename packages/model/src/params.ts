import { initResnet, resnetChannels } from "@mrcnn/backbones";
import type { ResnetConfig, ResnetParams } from "@mrcnn/backbones";
import type { Random } from "@mrcnn/core";
import { initFpn } from "@mrcnn/fpn";
import type { FpnParams } from "@mrcnn/fpn";
import { initBoxHead, initMaskHead } from "@mrcnn/heads";
import type { BoxHeadParams, MaskHeadParams } from "@mrcnn/heads";
import { initRpnHead } from "@mrcnn/rpn";
import type { RpnHeadParams } from "@mrcnn/rpn";
import type { MaskRcnnConfig } from "./config.ts";

/** All weights, nested so that their names are torchvision's state_dict's. */
export type MaskRcnnParams = {
  readonly backbone: { readonly body: ResnetParams; readonly fpn: FpnParams };
  readonly rpn: { readonly head: RpnHeadParams };
  readonly roi_heads: BoxHeadParams & Partial<MaskHeadParams>;
};

/** Fresh weights, initialised as torchvision does; what is not to be trained is marked so. */
export function initMaskRcnn(config: MaskRcnnConfig, random: Random): MaskRcnnParams {
  const { backbone, fpn, anchors, box, maskHead } = config;
  const resnet: ResnetConfig = backbone;
  const inChannels = fpn.channels;
  const classes = config.classes.length + 1;
  const anchorsPerLocation = anchors.sizes[0]!.length * anchors.aspectRatios.length;
  return {
    backbone: { body: initResnet(resnet, random), fpn: initFpn({ inChannels: resnetChannels(resnet), outChannels: inChannels }, random) },
    rpn: { head: initRpnHead({ inChannels, anchorsPerLocation }, random) },
    roi_heads: {
      ...initBoxHead({ inChannels, poolSize: box.poolSize, representation: box.representation, classes }, random),
      ...(config.mask ? initMaskHead({ inChannels, layers: maskHead.layers, reduced: maskHead.channels, classes }, random) : {}),
    },
  };
}
