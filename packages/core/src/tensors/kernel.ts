/**
 * Kernels of this project: contracts shared by operations and backends, the choice between kernel and
 * composition, and registration.
 */
import { engine, getBackend, getKernel, unregisterKernel } from "@tensorflow/tfjs-core";
import type { KernelConfig, KernelFunc, NamedTensorMap, Tensor } from "@tensorflow/tfjs-core";
import { getGradient, registerGradient, registerKernel } from "@tensorflow/tfjs-core";
import type { GradConfig, NamedAttrMap } from "@tensorflow/tfjs-core";
import { BackendError, ConfigError } from "../errors.ts";

/**
 * What an accelerated operation and the backends agree on: a kernel's name, its attributes and, if it is
 * differentiable, its gradient.
 */
export interface KernelContract<Attrs extends object = object> {
  /** Name in the registry, which is one per process; it begins with "Mrcnn". */
  readonly name: string;
  /**
   * Names of all attributes. Other attributes are refused, since a kernel would ignore those it doesn't know.
   */
  readonly attributes: readonly (keyof Attrs & string)[];
  /** The gradient, which backends register with the kernel. */
  readonly gradient?: GradConfig;
}

/** A kernel function that may cover only part of its contract; without `supports` it covers everything. */
export interface PartialKernelFunc extends KernelFunc {
  /** Tells whether the kernel supports these attributes; where it doesn't, the composition runs. */
  supports?: (attrs: object) => boolean;
}

/**
 * Tells whether `runKernel` would run the current backend's kernel, for callers that need to know before the
 * call. A kernel that covers part of its contract decides by `attrs`.
 *
 * @throws ConfigError for an attribute that the contract does not list.
 */
export function hasKernel<Attrs extends object>(
  kernel: KernelContract<Attrs>,
  attrs: Partial<Attrs>,
): boolean {
  const unknown = Object.keys(attrs).find(
    (name) => !kernel.attributes.includes(name as keyof Attrs & string),
  );
  if (unknown !== undefined) {
    const known = kernel.attributes.length === 0 ? "none" : kernel.attributes.join(", ");
    throw new ConfigError(
      `${kernel.name}: ${unknown} is not among the kernel's attributes (${known}). List it in the contract, and teach the kernels.`,
    );
  }
  const config = getKernel(kernel.name, getBackend());
  return config !== undefined && ((config.kernelFunc as PartialKernelFunc).supports?.(attrs) ?? true);
}

/**
 * Runs the current backend's kernel; returns undefined where it has none, or none that supports `attrs`.
 *
 * @throws ConfigError for an attribute that the contract does not list.
 */
export function runKernel<T extends Tensor | Tensor[], Attrs extends object = object>(
  kernel: KernelContract<Attrs>,
  inputs: NamedTensorMap,
  attrs: Attrs,
): T | undefined {
  if (!hasKernel(kernel, attrs)) return undefined;
  return engine().runKernel(kernel.name, inputs, attrs as NamedAttrMap) as T;
}

/**
 * Runs the current backend's kernel as `runKernel` does, or else `compose()`. Gradients flow through either.
 *
 * @throws ConfigError for an attribute that the contract does not list.
 */
export function runKernelOr<T extends Tensor | Tensor[], Attrs extends object = object>(
  kernel: KernelContract<Attrs>,
  inputs: NamedTensorMap,
  attrs: Attrs,
  compose: () => T,
): T {
  return runKernel<T, Attrs>(kernel, inputs, attrs) ?? compose();
}

/**
 * Registers kernels and gradients once each; a second call has no effect.
 *
 * @throws BackendError when another library has registered one of the names.
 */
export function registerKernels(
  kernels: readonly KernelConfig[],
  gradients: readonly GradConfig[] = [],
): void {
  for (const config of kernels) {
    const present = getKernel(config.kernelName, config.backendName);
    if (present === undefined) registerKernel(config);
    else if (present.kernelFunc !== config.kernelFunc) {
      throw new BackendError(
        `registerKernels: ${config.kernelName} on backend ${config.backendName} is already registered by someone else. ` +
          "Two versions of an @mrcnn backend are loaded; find them with `npm ls @mrcnn/core`.",
      );
    }
  }
  for (const config of gradients) if (getGradient(config.kernelName) === undefined) registerGradient(config);
}

const replaced = new WeakSet<KernelFunc>();

/**
 * Replaces a backend's kernels, by name, with kernels made from the originals of TensorFlow.js. A second call
 * has no effect, nor has a name that the backend does not know.
 */
export function replaceKernels(
  backendName: string,
  replacements: Readonly<Record<string, (original: KernelConfig) => KernelConfig>>,
): void {
  for (const [name, replace] of Object.entries(replacements)) {
    const present = getKernel(name, backendName);
    if (present === undefined || replaced.has(present.kernelFunc)) continue;
    const config = replace(present);
    replaced.add(config.kernelFunc);
    unregisterKernel(name, backendName);
    registerKernel(config);
  }
}
