/** The parts of tfjs-node's backend that this package uses. */
import type { KernelConfig, Tensor, TensorInfo } from "@tensorflow/tfjs-core";

/** The part of tfjs-node's backend that runs TensorFlow ops by name; tfjs-node itself is never imported. */
export interface TensorflowBackend {
  readonly binding: Readonly<
    Record<
      | "TF_ATTR_TYPE"
      | "TF_ATTR_STRING"
      | "TF_ATTR_INT"
      | "TF_ATTR_FLOAT"
      | "TF_ATTR_BOOL"
      | "TF_FLOAT"
      | "TF_INT32",
      number
    >
  >;
  readonly isUsingGpuDevice: boolean;
  executeSingleOutput(name: string, attrs: readonly OpAttr[], inputs: readonly TensorInfo[]): Tensor;
}

/** An attribute of an op; its value may be an array of its type. */
export interface OpAttr {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

/** Arguments of a kernel. tfjs passes tensors where the type says TensorInfo. */
export interface KernelArgs<Name extends string, Attrs> {
  readonly inputs: Readonly<Record<Name, Tensor>>;
  readonly attrs: Attrs;
  readonly backend: TensorflowBackend;
}

/** Makes a kernel for backend "tensorflow"; `supports` tells which attributes it covers. */
export function kernel<Name extends string, Attrs>(
  name: string,
  run: (args: KernelArgs<Name, Attrs>) => TensorInfo | TensorInfo[],
  supports?: (attrs: Attrs) => boolean,
): KernelConfig {
  const kernelFunc = Object.assign(run, supports === undefined ? {} : { supports });
  return {
    kernelName: name,
    backendName: "tensorflow",
    kernelFunc: kernelFunc as unknown as KernelConfig["kernelFunc"],
  };
}

/** Returns the attributes of an op on float32 values, with int32 shapes and paddings. */
export function opAttrs(
  { binding }: TensorflowBackend,
  strings: Readonly<Record<string, string>>,
  ints: Readonly<Record<string, readonly number[]>> = {},
): OpAttr[] {
  return [
    { name: "T", type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
    ...Object.entries(strings).map(([name, value]) => ({ name, type: binding.TF_ATTR_STRING, value })),
    ...Object.entries(ints).map(([name, value]) => ({ name, type: binding.TF_ATTR_INT, value })),
  ];
}
