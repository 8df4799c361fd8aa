/** Backend "webgpu" in Node, on Dawn of the npm package `webgpu`. */

/// <reference types="@webgpu/types" />
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { BackendError } from "@mrcnn/core";
import { describeAdapter } from "./adapter.ts";
import type { WebgpuDevice } from "./adapter.ts";
import { startOn, startOnce } from "./start.ts";
import type { WebgpuOptions } from "./start.ts";

/** Options of `startWebgpu` in Node. */
export interface NodeWebgpuOptions extends WebgpuOptions {
  /** Part of the name of the adapter to use ("NVIDIA", "llvmpipe"). Default the first adapter. */
  readonly adapter?: string | undefined;
  /** Accepts a software adapter where there is no GPU. Default true. */
  readonly software?: boolean | undefined;
  /**
   * Searches for an adapter in another process first. Dawn and the drivers write a message to stderr for each
   * adapter that they reject: it is then invisible, and a driver that crashes does not end the program.
   * Default false.
   */
  readonly quiet?: boolean | undefined;
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
  process.platform === "linux" ?
    "Install the GPU's Vulkan driver (NVIDIA's comes with its driver; `apt-get install mesa-vulkan-drivers` for AMD, Intel and a software adapter, Mesa 24 or newer), and look with `vulkaninfo --summary`."
  : "Update the GPU's driver.";

interface Dawn {
  create(options: string[]): GPU;
  readonly globals: Readonly<Record<string, unknown>>;
}

async function loadDawn(): Promise<Dawn> {
  try {
    return (await import("webgpu")) as unknown as Dawn;
  } catch (cause) {
    throw new BackendError(
      `startWebgpu: the npm package webgpu must be installed and load, but does not (${(cause as Error).message.split("\n")[0]}). Run \`npm i webgpu\`.`,
      { cause },
    );
  }
}

/**
 * Starts backend "webgpu" in Node, and makes it TensorFlow.js's current one. Sets `navigator.gpu` and the
 * globals of WebGPU. Without a GPU, and without VK_ICD_FILENAMES, it tries the software adapters of Mesa and
 * Chromium. A backend that runs already with the same options is kept, with its tensors, unless its device
 * was lost.
 *
 * @throws BackendError with advice when the package `webgpu` or an adapter is missing.
 */
export async function startWebgpu(options: NodeWebgpuOptions = {}): Promise<WebgpuDevice> {
  const {
    adapter,
    software = true,
    quiet = false,
    powerPreference = "high-performance",
    memoryLimitMb,
    precision = "float32",
  } = options;
  return startOnce(
    { powerPreference, memoryLimitMb, precision, adapter },
    () => start({ adapter, software, quiet, powerPreference, memoryLimitMb, precision }),
    ({ isSoftware }) => software || !isSoftware,
  );
}

// Searches for an adapter as `start` does, and writes to stdout its describing properties, or null.
const PROBE = `
const [file, flags, powerPreference] = process.argv.slice(1);
const { create } = await import(file);
const adapter = await create(JSON.parse(flags)).requestAdapter({ powerPreference });
const { vendor, architecture, device, description, isFallbackAdapter } = adapter?.info ?? {};
process.stdout.write("\\n" + JSON.stringify(adapter && { info: { vendor, architecture, device, description, isFallbackAdapter }, features: [...adapter.features] }));
process.exit(0);
`;

/**
 * Finds an adapter in another process; null when it finds none, or crashes; undefined when the search itself
 * fails, which is then found out in this process.
 */
function probe(
  flags: readonly string[],
  powerPreference: GPUPowerPreference,
): Promise<WebgpuDevice | null | undefined> {
  const file = pathToFileURL(createRequire(import.meta.url).resolve("webgpu")).href;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--input-type=module", "-e", PROBE, file, JSON.stringify(flags), powerPreference],
      { timeout: 60_000 },
      (error, stdout) => {
        if (error !== null) return resolve(typeof error.code === "number" ? undefined : null);
        const found = JSON.parse(stdout.split("\n").at(-1)!) as {
          info: GPUAdapterInfo;
          features: string[];
        } | null;
        resolve(
          found && describeAdapter({ ...found, features: new Set(found.features) } as unknown as GPUAdapter),
        );
      },
    );
  });
}

type StartOptions = NodeWebgpuOptions & { readonly powerPreference: GPUPowerPreference };

async function start({
  adapter,
  software = true,
  quiet = false,
  powerPreference,
  memoryLimitMb,
  precision,
}: StartOptions): Promise<WebgpuDevice> {
  const dawn = await loadDawn();
  Object.assign(globalThis, dawn.globals);
  // Otherwise Mesa warns on stderr.
  if (process.platform === "linux") process.env.XDG_RUNTIME_DIR ??= "/tmp";
  const flags = adapter === undefined ? [] : [`adapter=${adapter}`];
  const isWanted = (found: WebgpuDevice | null): boolean => found !== null && (software || !found.isSoftware);
  const usable = async (): Promise<GPU | undefined> => {
    const probed = quiet ? await probe(flags, powerPreference) : undefined;
    if (probed !== undefined && !isWanted(probed)) return undefined;
    const gpu = dawn.create(flags);
    const found = await gpu.requestAdapter({ powerPreference }).catch((cause: unknown) => {
      // Dawn's message lists the available adapters.
      throw new BackendError(
        `startWebgpu: adapter must be part of the name of one that is here, got "${adapter}". ${String(cause).replaceAll(/\s+/g, " ")}`,
        { cause },
      );
    });
    return isWanted(found && describeAdapter(found)) ? gpu : undefined;
  };
  let gpu = await usable();
  if (
    gpu === undefined &&
    software &&
    process.platform === "linux" &&
    process.env.VK_ICD_FILENAMES === undefined
  ) {
    for (const driver of softwareDrivers.filter((path) => existsSync(path))) {
      process.env.VK_ICD_FILENAMES = driver;
      gpu = await usable();
      if (gpu !== undefined) break;
      delete process.env.VK_ICD_FILENAMES;
    }
  }
  if (gpu === undefined) throw new BackendError(`startWebgpu: no GPU adapter was found. ${remedy}`);
  const host = (globalThis.navigator ?? {}) as object;
  const navigator = Object.create(host, { gpu: { value: gpu, enumerable: true } }) as object;
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true, writable: true });
  return startOn(gpu, { powerPreference, memoryLimitMb, precision }, remedy);
}
