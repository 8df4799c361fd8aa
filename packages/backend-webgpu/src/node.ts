/// <reference types="@webgpu/types" />
/** Backend "webgpu" in Node, on Dawn of the npm package `webgpu`. */
import { existsSync } from "node:fs";
import { BackendError } from "@mrcnn/core";
import { describeAdapter } from "./adapter.ts";
import type { WebgpuDevice } from "./adapter.ts";
import { startOn, startOnce } from "./start.ts";
import type { WebgpuOptions } from "./start.ts";

/** How to start in Node. */
export interface NodeWebgpuOptions extends WebgpuOptions {
  /** Part of the name of the adapter to take ("NVIDIA", "llvmpipe"); default the first. */
  readonly adapter?: string | undefined;
  /** Whether a software adapter will do where there is no GPU. Default true. */
  readonly software?: boolean | undefined;
}

// Drivers that compute on the processor: Mesa's, then the one that comes with Chromium.
const softwareDrivers = [
  "/usr/share/vulkan/icd.d/lvp_icd.json",
  `/usr/share/vulkan/icd.d/lvp_icd.${process.arch === "arm64" ? "aarch64" : "x86_64"}.json`,
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
  "/opt/google/chrome/vk_swiftshader_icd.json",
];

const remedy =
  process.platform === "linux"
    ? "Install the GPU's Vulkan driver (NVIDIA's comes with its driver; `apt-get install mesa-vulkan-drivers` for AMD, Intel and a software adapter, Mesa 24 or newer), and look with `vulkaninfo --summary`."
    : "Update the GPU's driver.";

interface Dawn {
  create(options: string[]): GPU;
  readonly globals: Readonly<Record<string, unknown>>;
}

async function loadDawn(): Promise<Dawn> {
  try {
    return (await import("webgpu")) as unknown as Dawn;
  } catch (cause) {
    throw new BackendError(`startWebgpu: the npm package webgpu must be installed and load, but does not (${(cause as Error).message.split("\n")[0]}). Run \`npm i webgpu\`.`, { cause });
  }
}

/**
 * Starts backend "webgpu" in Node, and makes it TensorFlow.js's current one. Sets `navigator.gpu` and the globals of
 * WebGPU. Without a GPU, and without VK_ICD_FILENAMES, it tries the software adapters of Mesa and Chromium. What runs
 * already with the same options goes on, with its tensors, unless its device was lost.
 *
 * @throws BackendError when the package `webgpu` or an adapter is missing, with what to do.
 */
export async function startWebgpu(options: NodeWebgpuOptions = {}): Promise<WebgpuDevice> {
  const { adapter, software = true, powerPreference = "high-performance", memoryLimitMb, precision = "float32" } = options;
  return startOnce({ powerPreference, memoryLimitMb, precision, adapter }, () => start({ adapter, software, powerPreference, memoryLimitMb, precision }), ({ isSoftware }) => software || !isSoftware);
}

async function start({ adapter, software, powerPreference, memoryLimitMb, precision }: NodeWebgpuOptions & { readonly powerPreference: GPUPowerPreference }): Promise<WebgpuDevice> {
  const dawn = await loadDawn();
  Object.assign(globalThis, dawn.globals);
  // Mesa warns of it on stderr.
  if (process.platform === "linux") process.env.XDG_RUNTIME_DIR ??= "/tmp";
  const create = (): GPU => dawn.create(adapter === undefined ? [] : [`adapter=${adapter}`]);
  let gpu = create();
  const isUsable = async (): Promise<boolean> => {
    const found = await gpu.requestAdapter({ powerPreference }).catch((cause: unknown) => {
      // Dawn lists the adapters that are here.
      throw new BackendError(`startWebgpu: adapter must be part of the name of one that is here, got "${adapter}". ${String(cause).replaceAll(/\s+/g, " ")}`, { cause });
    });
    return found !== null && (software === true || !describeAdapter(found).isSoftware);
  };
  let isFound = await isUsable();
  if (!isFound && software && process.platform === "linux" && process.env.VK_ICD_FILENAMES === undefined) {
    for (const driver of softwareDrivers.filter((path) => existsSync(path))) {
      process.env.VK_ICD_FILENAMES = driver;
      gpu = create();
      isFound = await isUsable();
      if (isFound) break;
      delete process.env.VK_ICD_FILENAMES;
    }
  }
  if (!isFound) throw new BackendError(`startWebgpu: no GPU adapter was found. ${remedy}`);
  const host = (globalThis.navigator ?? {}) as object;
  const navigator = Object.create(host, { gpu: { value: gpu, enumerable: true } }) as object;
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true, writable: true });
  return startOn(gpu, { powerPreference, memoryLimitMb, precision }, remedy);
}
