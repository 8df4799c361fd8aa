export {
  applyResnet,
  applyResnetStage,
  applyResnetStem,
  initResnet,
  initResnetStage,
  resnetBlocks,
  resnetChannels,
} from "./resnet.ts";
export type { BlockParams, ResnetConfig, ResnetDepth, ResnetOptions, ResnetParams } from "./resnet.ts";
