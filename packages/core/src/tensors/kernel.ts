/** Kernels of this house: contracts that ops and backends share, the choice between kernel and composition, and registration. */
import { engine, getBackend, getKernel, unregisterKernel } from "@tensorflow/tfjs-core";
import type { KernelConfig, KernelFunc, NamedTensorMap, Tensor } from "@tensorflow/tfjs-core";
import { getGradient, registerGradient, registerKernel } from "@tensorflow/tfjs-core";
import type { GradConfig, NamedAttrMap } from "@tensorflow/tfjs-core";
import { BackendError, ConfigError } from "../errors.ts";

/** What an accelerated op and the backends agree on: a kernel's name, its attributes and, if it differentiates, its gradient. */
export interface KernelContract<Attrs extends object = object> {
  /** Name in the registry, which is one per process; it begins with "Mrcnn". */
  readonly name: string;
  /** Names of all attributes. No kernel is asked with another: it would ignore what it has never heard of. */
  readonly attributes: readonly (keyof Attrs & string)[];
  /** How TensorFlow.js differentiates it; backends register it with the kernel. */
  readonly gradient?: GradConfig;
}

/** A kernel that covers part of its contract says so here; without it, it covers everything. */
export interface PartialKernelFunc extends KernelFunc {
  /** Whether it can do these attributes; where not, the composition runs. */
  supports?: (attrs: object) => boolean;
}

/**
 * Tells whether `runKernel` would run the current backend's kernel, for a caller that arranges more by it than one call. A kernel
 * that covers part of its contract is asked with `attrs`.
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
 * Runs the current backend's kernel; undefined where it has none, or none that supports `attrs`.
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
 * Runs the current backend's kernel as `runKernel`, else `compose()`. Gradients flow through either way.
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
 * Registers kernels and gradients once each; a second call is a no-op.
 *
 * @throws BackendError when another library holds one of the names.
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
 * Puts kernels that are made from TensorFlow.js's own, by their names, in those's place on a backend; a second call is a
 * no-op, and so is a name that the backend does not have.
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
