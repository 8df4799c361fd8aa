import { engine, getBackend, getKernel, unregisterKernel } from "@tensorflow/tfjs-core";
import type { KernelConfig, KernelFunc, NamedTensorMap, Tensor } from "@tensorflow/tfjs-core";
import { getGradient, registerGradient, registerKernel } from "@tensorflow/tfjs-core";
import type { GradConfig, NamedAttrMap } from "@tensorflow/tfjs-core";
import { BackendError } from "../errors.ts";

/** What an accelerated op and the backends agree on: a kernel's name and, if it differentiates, its gradient. */
export interface KernelContract {
  /** Prefixed "Mrcnn": the registry is one per process. */
  readonly name: string;
  /** How TensorFlow.js differentiates it; backends register it with the kernel. */
  readonly gradient?: GradConfig;
}

/** A kernel that covers part of its contract says so here; without it, it covers everything. */
export interface PartialKernelFunc extends KernelFunc {
  /** Whether it can do these attributes; where not, the composition runs. */
  supports?: (attrs: object) => boolean;
}

/** Whether `runKernelOr` would run the current backend's kernel: for a caller that arranges more by it than one call. */
export function hasKernel(kernel: KernelContract, attrs: object): boolean {
  const config = getKernel(kernel.name, getBackend());
  return config !== undefined && ((config.kernelFunc as PartialKernelFunc).supports?.(attrs) ?? true);
}

/**
 * Runs `kernel` when the current backend has it and it supports `attrs`, else `compose()`.
 * The only place in the house that chooses. Gradients flow through either way.
 */
export function runKernelOr<T extends Tensor | Tensor[]>(
  kernel: KernelContract,
  inputs: NamedTensorMap,
  attrs: object,
  compose: () => T,
): T {
  if (!hasKernel(kernel, attrs)) return compose();
  return engine().runKernel(kernel.name, inputs, attrs as NamedAttrMap) as T;
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
