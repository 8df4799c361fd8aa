export { applyResnet, applyResnetStage, applyResnetStem, initResnet, initResnetStage, resnetChannels } from "./resnet.ts";
export type { BlockParams, ResnetConfig, ResnetDepth, ResnetOptions, ResnetParams } from "./resnet.ts";
