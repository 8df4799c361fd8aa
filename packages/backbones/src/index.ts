export { applyResnet, applyResnetStage, initResnet, initResnetStage, resnetChannels } from "./resnet.ts";
export type { BlockParams, ResnetConfig, ResnetDepth, ResnetOptions, ResnetParams } from "./resnet.ts";
