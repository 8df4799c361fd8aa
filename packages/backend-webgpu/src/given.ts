/** The type of a running kernel's inputs. */
import type { NamedTensorInfoMap, TensorInfo } from "@tensorflow/tfjs-core";

/** Inputs of a running kernel, all of them present. */
export type Given<T extends NamedTensorInfoMap> = { readonly [name in keyof T]: TensorInfo };
