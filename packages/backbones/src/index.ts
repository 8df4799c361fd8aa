/** The public names of @mrcnn/backbones. */
export {
  applyResnet,
  applyResnetStage,
  applyResnetStem,
  initResnet,
  initResnetStage,
  resnetBlocks,
  resnetChannels,
  resnetLayers,
} from "./resnet.ts";
export type {
  BackboneLayer,
  BlockParams,
  ResnetConfig,
  ResnetDepth,
  ResnetOptions,
  ResnetParams,
} from "./resnet.ts";
