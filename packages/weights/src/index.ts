/** The public names of @mrcnn/weights. */

export { assignWeights, toArrays } from "./assign.ts";
export type { AssignOptions, AssignReport } from "./assign.ts";
export { fromDetectron2 } from "./detectron2.ts";
export { readDetectronPickle } from "./detectron-pickle.ts";
export type { WeightsFormat } from "./file-format.ts";
export { dequantize, quantizationErrors, quantize } from "./quantize.ts";
export type { QuantizationError, StoredArray, StoredArrays, WeightsDtype } from "./quantize.ts";
export { readKerasWeights } from "./keras-weights.ts";
export { fromMatterport } from "./matterport.ts";
export { readShardedWeights, readWeights } from "./read-weights.ts";
export type { ReadWeightsOptions, SourceWeights } from "./read-weights.ts";
export { readSafetensors, readSafetensorsMetadata, writeSafetensors } from "./safetensors.ts";
export { readShards, writeShards } from "./shards.ts";
export type { Shard, ShardedWeights, ShardIndex, WriteShardsOptions } from "./shards.ts";
export { readTorchCheckpoint } from "./torch-checkpoint.ts";
export { fromTorch, toTorch } from "./torch-layout.ts";
export type { TorchLayoutOptions } from "./torch-layout.ts";
