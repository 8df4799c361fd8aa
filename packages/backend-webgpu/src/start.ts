/// <reference types="@webgpu/types" />
import { env, findBackend, findBackendFactory, registerBackend, removeBackend, setBackend } from "@tensorflow/tfjs-core";
import { BackendError, ConfigError } from "@mrcnn/core";
import { MrcnnWebgpuBackend } from "./backend.ts";
import { registerWebgpuKernels } from "./register.ts";

/** How to choose a GPU, and how much of it to use. */
export interface WebgpuOptions {
  /** Default "high-performance". */
  readonly powerPreference?: GPUPowerPreference | undefined;
  /** Megabytes of buffers that are held at most. Default: no limit but the device's own. */
  readonly memoryLimitMb?: number | undefined;
}

/** The adapter that was chosen. */
export interface WebgpuDevice {
  /** In words, as far as the environment tells. */
  readonly description: string;
  /** Whether it is a program and no GPU: right, but slow. */
  readonly isSoftware: boolean;
  /** Of the optional features those that it has and this package knows. */
  readonly features: readonly string[];
}

const wanted = ["timestamp-query", "shader-f16", "subgroups"] as const;

const limits = [
  "maxBufferSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
] as const;

/** What `startWebgpu` chose. */
export function describeAdapter(adapter: GPUAdapter): WebgpuDevice {
  const { vendor = "", architecture = "", device = "", description = "" } = (adapter as { info?: Partial<GPUAdapterInfo> }).info ?? {};
  const words = [description, [vendor, architecture, device].filter((word) => word !== "").join(" ")].filter((word) => word !== "");
  const text = words[0] ?? "unknown adapter";
  const isSoftware = (adapter as { isFallbackAdapter?: boolean }).isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe|software|basic render/i.test(words.join(" "));
  return { description: text, isSoftware, features: wanted.filter((name) => (adapter.features as ReadonlySet<string>).has(name)) };
}

/**
 * Starts backend "webgpu" on `gpu`, makes it TensorFlow.js's current one, and registers this package's kernels. Replaces
 * a "webgpu" that was started otherwise, or whose device was lost: its tensors are gone then.
 *
 * @throws BackendError when there is no adapter, with what to do; ConfigError for options that can't be meant.
 */
export async function startOn(gpu: GPU, { powerPreference = "high-performance", memoryLimitMb }: WebgpuOptions, remedy: string): Promise<WebgpuDevice> {
  if (memoryLimitMb !== undefined && !(memoryLimitMb > 0)) throw new ConfigError(`startWebgpu: memoryLimitMb must be a number above 0, got ${memoryLimitMb}.`);
  const adapter = await gpu.requestAdapter({ powerPreference });
  if (adapter === null) throw new BackendError(`startWebgpu: no GPU adapter was found. ${remedy}`);
  const chosen = describeAdapter(adapter);
  const device = await adapter.requestDevice({
    requiredFeatures: chosen.features as GPUFeatureName[],
    requiredLimits: Object.fromEntries(limits.map((name) => [name, adapter.limits[name]])),
  });
  const info = (adapter as { info?: GPUAdapterInfo }).info;
  // The one that TensorFlow.js registers on import knows neither features nor limits.
  if (findBackendFactory("webgpu") !== null) removeBackend("webgpu");
  registerBackend("webgpu", () => new MrcnnWebgpuBackend(device, info, memoryLimitMb === undefined ? Infinity : memoryLimitMb * 2 ** 20), 3);
  // Or small ops run on backend "cpu", which pages need not load.
  env().set("WEBGPU_CPU_FORWARD", false);
  registerWebgpuKernels();
  if (!(await setBackend("webgpu"))) throw new BackendError(`startWebgpu: TensorFlow.js could not start backend "webgpu" on ${chosen.description}.`);
  return chosen;
}

/**
 * Starts backend "webgpu" in a page or a worker of one, and makes it TensorFlow.js's current one.
 *
 * @throws BackendError where the browser has no WebGPU, or no adapter.
 */
export async function startWebgpu(options: WebgpuOptions = {}): Promise<WebgpuDevice> {
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: GPU };
  if (gpu === undefined) {
    throw new BackendError('startWebgpu: this browser has no WebGPU here. Use a current Chrome, Edge, Safari or Firefox over https (or localhost), or backend "wasm". In Node import @mrcnn/backend-webgpu/node.');
  }
  return startOn(gpu, options, 'The browser blocks this GPU, or its driver is too old (see chrome://gpu). Use backend "wasm".');
}

/** The backend that `startWebgpu` started. @throws BackendError when it did not. */
export function webgpuBackend(): MrcnnWebgpuBackend {
  const backend = findBackend("webgpu");
  if (backend instanceof MrcnnWebgpuBackend) return backend;
  throw new BackendError('webgpuBackend: backend "webgpu" must be started by startWebgpu of @mrcnn/backend-webgpu, got ' + (backend === null ? "none" : "TensorFlow.js's own") + ".");
}
