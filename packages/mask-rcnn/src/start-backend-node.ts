/** Starts the backend that a model computes with in Node. */
import { backend, enableProdMode, getBackend, setBackend } from "@tensorflow/tfjs-core";
import { loadTensorflow, registerCudaKernels, tensorflowAvailable } from "@mrcnn/backend-cuda";
import { startWasm } from "@mrcnn/backend-wasm";
import type { NodeWebgpuOptions } from "@mrcnn/backend-webgpu/node";
import { ConfigError, startFastest } from "@mrcnn/core";
import type { BackendOffer, ComputeDevice } from "@mrcnn/core";

/** Names of the backends in Node; "current" leaves TensorFlow.js's as it is. */
export type NodeBackendName = "auto" | "tensorflow" | "webgpu" | "wasm" | "cpu" | "current";

/**
 * Starts a backend and makes it TensorFlow.js's current one.
 *
 * @returns its name.
 * @throws ConfigError for a name that is none; BackendError when it can't run here; the signal's reason.
 */
export async function startBackend(name: NodeBackendName, signal?: AbortSignal): Promise<string> {
  signal?.throwIfAborted();
  switch (name) {
    case "current":
      break;
    case "tensorflow":
      await startTensorflow();
      break;
    case "webgpu":
      await startWebgpu({});
      break;
    case "wasm":
      await startWasm();
      break;
    case "cpu":
      enableProdMode(); // or it advertises tfjs-node
      await import("@tensorflow/tfjs-backend-cpu");
      await setBackend("cpu");
      break;
    case "auto":
      await startFastest(offers());
      break;
    default:
      throw new ConfigError(
        `loadMaskRcnn: backend must be "auto", "tensorflow", "webgpu", "wasm", "cpu" or "current", got ${JSON.stringify(name)}.`,
      );
  }
  return getBackend();
}

const offers = (): BackendOffer<ComputeDevice>[] => [
  ...(tensorflowAvailable() ?
    [
      {
        name: "tensorflow",
        mayUseGpu: true,
        start: startTensorflow,
        resume: async () => void (await setBackend("tensorflow")),
      },
    ]
  : []),
  {
    name: "webgpu",
    mayUseGpu: true,
    start: async () => {
      await startWebgpu({ software: false });
      return { isGpu: true };
    },
  },
  {
    name: "wasm",
    mayUseGpu: false,
    start: async () => {
      await startWasm();
      return { isGpu: false };
    },
  },
];

// Loaded on demand: most have no use for it.
async function startWebgpu(options: NodeWebgpuOptions): Promise<void> {
  const gpu = await import("@mrcnn/backend-webgpu/node");
  await gpu.startWebgpu(options);
}

async function startTensorflow(): Promise<ComputeDevice> {
  await loadTensorflow();
  registerCudaKernels();
  await setBackend("tensorflow");
  return {
    isGpu: (backend() as unknown as { readonly isUsingGpuDevice?: boolean }).isUsingGpuDevice === true,
  };
}
