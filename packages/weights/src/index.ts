export { assignWeights, toArrays } from "./assign.ts";
export type { AssignOptions, AssignReport } from "./assign.ts";
export { readSafetensors, readSafetensorsMetadata, writeSafetensors } from "./safetensors.ts";
export { fromTorch, toTorch } from "./torch-layout.ts";
export type { TorchLayoutOptions } from "./torch-layout.ts";
export { readTorchCheckpoint } from "./torch-checkpoint.ts";
