/** Starts backend "webgpu". */

/// <reference types="@webgpu/types" />
import {
  engine,
  env,
  findBackend,
  findBackendFactory,
  registerBackend,
  removeBackend,
  setBackend,
} from "@tensorflow/tfjs-core";
import { BackendError, ConfigError } from "@mrcnn/core";
import { describeAdapter } from "./adapter.ts";
import type { WebgpuDevice } from "./adapter.ts";
import { MrcnnWebgpuBackend } from "./backend.ts";
import { registerWebgpuKernels } from "./register.ts";

/** Precisions of the factors of convolutions and matrix products; sums and tensors are float32. */
export const precisions = ["float32", "float16"] as const;
export type Precision = (typeof precisions)[number];

/** Options that select a GPU, and limit its use. */
export interface WebgpuOptions {
  /** WebGPU's power preference. Default "high-performance". */
  readonly powerPreference?: GPUPowerPreference | undefined;
  /** Maximum size of all buffers in megabytes. Default: no limit but the device's own. */
  readonly memoryLimitMb?: number | undefined;
  /**
   * Precision of products. "float16" rounds the factors of convolutions and matrix products to halves (values
   * beyond 65504 saturate), and keeps weights in that form as well: for detection, not for training.
   * Gradients stay float32. Default "float32".
   */
  readonly precision?: Precision | undefined;
}

const startedWith = new WeakMap<
  MrcnnWebgpuBackend,
  { readonly options: string; readonly device: WebgpuDevice }
>();
// TensorFlow.js has one backend "webgpu": concurrent starts run one after the other.
let last: Promise<unknown> = Promise.resolve();

/**
 * Calls `start`, unless a running backend was started with the same options, on a device that is not lost and
 * is `wanted`: that one is kept.
 */
export function startOnce(
  options: object,
  start: () => Promise<WebgpuDevice>,
  wanted: (device: WebgpuDevice) => boolean = () => true,
): Promise<WebgpuDevice> {
  const key = JSON.stringify(options);
  const next = last.then(async () => {
    const present: unknown = engine().registry["webgpu"];
    const started =
      present instanceof MrcnnWebgpuBackend && !present.isLost ? startedWith.get(present) : undefined;
    if (started?.options === key && wanted(started.device)) {
      await setBackend("webgpu");
      return started.device;
    }
    const device = await start();
    startedWith.set(webgpuBackend(), { options: key, device });
    return device;
  });
  last = next.catch(() => {});
  return next;
}

const limits = [
  "maxBufferSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
] as const;

/**
 * Starts backend "webgpu" on `gpu`, makes it TensorFlow.js's current one, and registers this package's
 * kernels. Replaces a "webgpu" that was started otherwise, or whose device was lost: its tensors are then
 * lost.
 *
 * @throws BackendError with advice when there is no adapter, or none of that precision; ConfigError for
 * invalid options.
 */
export async function startOn(
  gpu: GPU,
  { powerPreference = "high-performance", memoryLimitMb, precision = "float32" }: WebgpuOptions,
  remedy: string,
): Promise<WebgpuDevice> {
  if (memoryLimitMb !== undefined && !(memoryLimitMb > 0))
    throw new ConfigError(`startWebgpu: memoryLimitMb must be a number above 0, got ${memoryLimitMb}.`);
  if (!precisions.includes(precision))
    throw new ConfigError(
      `startWebgpu: precision must be one of ${precisions.join(", ")}, got ${String(precision)}.`,
    );
  const adapter = await gpu.requestAdapter({ powerPreference });
  if (adapter === null) throw new BackendError(`startWebgpu: no GPU adapter was found. ${remedy}`);
  const chosen = describeAdapter(adapter);
  if (precision === "float16" && !chosen.features.includes("shader-f16")) {
    throw new BackendError(
      `startWebgpu: precision "float16" needs an adapter with the feature shader-f16, got ${chosen.description} without it. Use another adapter, a newer driver, or leave precision out.`,
    );
  }
  const device = await adapter
    .requestDevice({
      requiredFeatures: chosen.features as GPUFeatureName[],
      requiredLimits: Object.fromEntries(limits.map((name) => [name, adapter.limits[name]])),
    })
    .catch((cause: unknown) => {
      throw new BackendError(
        `startWebgpu: ${chosen.description} gives no device (${(cause as Error).message}). ${remedy}`,
        { cause },
      );
    });
  const info = (adapter as { info?: GPUAdapterInfo }).info;
  // The backend that TensorFlow.js registers on import uses neither features nor limits.
  if (findBackendFactory("webgpu") !== null) removeBackend("webgpu");
  registerBackend(
    "webgpu",
    () =>
      new MrcnnWebgpuBackend(device, info, {
        memoryLimit: memoryLimitMb === undefined ? Infinity : memoryLimitMb * 2 ** 20,
        precision,
        isSoftware: chosen.isSoftware,
      }),
    3,
  );
  // Otherwise small ops run on backend "cpu", which pages need not load.
  env().set("WEBGPU_CPU_FORWARD", false);
  registerWebgpuKernels();
  if (!(await setBackend("webgpu")))
    throw new BackendError(
      `startWebgpu: TensorFlow.js could not start backend "webgpu" on ${chosen.description}.`,
    );
  return chosen;
}

/**
 * Starts backend "webgpu" in a page or its worker, and makes it TensorFlow.js's current one. A backend that
 * runs already with the same options is kept, with its tensors, unless its device was lost.
 *
 * @throws BackendError where the browser has no WebGPU, or no adapter.
 */
export async function startWebgpu({
  powerPreference = "high-performance",
  memoryLimitMb,
  precision = "float32",
}: WebgpuOptions = {}): Promise<WebgpuDevice> {
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: GPU };
  if (gpu === undefined) {
    throw new BackendError(
      'startWebgpu: this browser has no WebGPU here. Use a current Chrome, Edge, Safari or Firefox over https (or localhost), or backend "wasm". In Node import @mrcnn/backend-webgpu/node.',
    );
  }
  const options = { powerPreference, memoryLimitMb, precision };
  return startOnce(options, () =>
    startOn(
      gpu,
      options,
      'The browser blocks this GPU, or its driver is too old (see chrome://gpu). Use backend "wasm".',
    ),
  );
}

/**
 * Returns the backend that `startWebgpu` started.
 *
 * @throws BackendError when it was not started.
 */
export function webgpuBackend(): MrcnnWebgpuBackend {
  const backend = findBackend("webgpu");
  if (backend instanceof MrcnnWebgpuBackend) return backend;
  throw new BackendError(
    'webgpuBackend: backend "webgpu" must be started by startWebgpu of @mrcnn/backend-webgpu, got ' +
      (backend === null ? "none" : "TensorFlow.js's own") +
      ".",
  );
}
