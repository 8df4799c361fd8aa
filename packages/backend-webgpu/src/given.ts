import type { NamedTensorInfoMap, TensorInfo } from "@tensorflow/tfjs-core";

/** A kernel's inputs when it runs: all there. */
export type Given<T extends NamedTensorInfoMap> = { readonly [name in keyof T]: TensorInfo };
