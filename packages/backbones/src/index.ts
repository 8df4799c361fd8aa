export { applyResnet, initResnet, resnetChannels } from "./resnet.ts";
export type { BlockParams, ResnetConfig, ResnetDepth, ResnetParams } from "./resnet.ts";
