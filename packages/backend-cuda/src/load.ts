/** Finds, configures and loads tfjs-node, the native TensorFlow. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import { findBackend, findBackendFactory } from "@tensorflow/tfjs-core";
import { BackendError, ConfigError } from "@mrcnn/core";
import type { TensorflowBackend } from "./tensorflow-backend.ts";

/** Precisions in which float32 tensors are multiplied; sums are float32 in each. */
export const precisions = ["float32", "bf16", "tf32"] as const;
export type Precision = (typeof precisions)[number];

/** Options of TensorFlow, for the whole process; fixed once it is loaded. */
export interface TensorflowOptions {
  /**
   * Precision of products. "float32": true float32, on a GPU too, where TensorFlow's own default is tf32.
   * "bf16": on a CPU; products of 8 bits of mantissa, faster on processors with AMX or AVX512_BF16. "tf32":
   * on an NVIDIA GPU from Ampere on; products of 11 bits. Default float32, unless ONEDNN_DEFAULT_FPMATH_MODE
   * says otherwise.
   */
  readonly precision?: Precision;
  /** Maximum number of CPU threads of an op. Default one for each processor. */
  readonly threads?: number;
  /** Maximum GPU memory in megabytes. Default as much as needed, up to all of it. */
  readonly memoryLimitMb?: number;
}

/** The tfjs-node that `loadTensorflow` would load, and how it was installed. */
export interface TensorflowSetup {
  /** Path of its entry file. */
  readonly path: string;
  /** The folder whose node_modules contains it. */
  readonly folder: string;
  /** Description of the installation; absent when it was not made by `npm run setup:tensorflow`. */
  readonly how?: string;
  /** Whether its addon accepts lists as attributes, and a ConfigProto. */
  readonly patched?: boolean;
  /**
   * Versions that TensorFlow was built for, and GPUs by their compute capability ("sm_80"; "compute_90" and
   * later).
   */
  readonly cuda?: {
    readonly version: string;
    readonly cudnn: string;
    readonly capabilities: readonly string[];
  };
}

const here = fileURLToPath(import.meta.url);
const names = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"];

// The app's own tfjs-node takes precedence over the one that `npm run setup:tensorflow` installed in a
// checkout.
function folders(): string[] {
  const named = process.env.MRCNN_TENSORFLOW;
  if (named !== undefined && named !== "") return [named];
  const found = [process.cwd(), dirname(here)];
  for (let at = dirname(here); dirname(at) !== at; at = dirname(at)) {
    const cache = join(at, ".cache", "tensorflow");
    if (existsSync(join(cache, "ready.json"))) found.push(cache);
  }
  return found;
}

function find(): string | undefined {
  for (const folder of folders()) {
    const { resolve } = createRequire(join(folder, "package.json"));
    for (const name of names) {
      try {
        return resolve(name);
      } catch {
        // Not found here: the next folder is tried.
      }
    }
  }
  return undefined;
}

/** Returns tfjs-node's location and installation, or undefined where there is none, without loading it. */
export function findTensorflow(): TensorflowSetup | undefined {
  const path = find();
  if (path === undefined) return undefined;
  const folder = path.slice(0, path.lastIndexOf("node_modules"));
  const record = join(folder, "ready.json");
  const { how, patched, cuda } = (
    existsSync(record) ?
      JSON.parse(readFileSync(record, "utf8"))
    : {}) as Partial<TensorflowSetup>;
  return {
    path,
    folder,
    ...(how !== undefined && { how }),
    ...(patched !== undefined && { patched }),
    ...(cuda !== undefined && { cuda }),
  };
}

/** Tells whether `loadTensorflow` would find tfjs-node, without loading it. */
export function tensorflowAvailable(): boolean {
  return findBackendFactory("tensorflow") !== null || find() !== undefined;
}

// Encodes a ConfigProto with gpu_options { allow_growth: true, experimental { virtual_devices {
// memory_limit_mb } } }.
function memoryLimitConfig(megabytes: number): string {
  const bytes = Buffer.from([0x32, 0x0c, 0x20, 1, 0x4a, 8, 0x0a, 6, 0x0a, 4, 0, 0, 0, 0]);
  bytes.writeFloatLE(megabytes, bytes.length - 4);
  return bytes.toString("hex");
}

// Environment variables that the addon and TensorFlow read when they load. Undefined: must not be set.
function variables({
  precision,
  threads,
  memoryLimitMb,
}: TensorflowOptions): Record<string, string | undefined> {
  return {
    ...(precision !== undefined && {
      ONEDNN_DEFAULT_FPMATH_MODE: precision === "bf16" ? "BF16" : "STRICT",
      NVIDIA_TF32_OVERRIDE: precision === "tf32" ? undefined : "0",
    }),
    ...(threads !== undefined && {
      TF_NUM_INTRAOP_THREADS: String(threads),
      TF_NUM_INTEROP_THREADS: String(threads),
    }),
    ...(memoryLimitMb !== undefined && { MRCNN_TENSORFLOW_CONFIG: memoryLimitConfig(memoryLimitMb) }),
  };
}

function check(options: TensorflowOptions): void {
  const { precision, threads, memoryLimitMb } = options;
  if (precision !== undefined && !precisions.includes(precision))
    throw new ConfigError(
      `loadTensorflow: precision must be one of ${precisions.join(", ")}, got ${precision}.`,
    );
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1))
    throw new ConfigError(`loadTensorflow: threads must be a whole number from 1 up, got ${threads}.`);
  if (memoryLimitMb !== undefined && !(memoryLimitMb > 0 && Number.isFinite(memoryLimitMb)))
    throw new ConfigError(`loadTensorflow: memoryLimitMb must be a number above 0, got ${memoryLimitMb}.`);
}

// Checks the options that depend on the device, which is known only after loading.
function checkDevice({ precision, memoryLimitMb }: TensorflowOptions): void {
  const { isUsingGpuDevice } = findBackend("tensorflow") as unknown as TensorflowBackend;
  if (precision === "bf16" && isUsingGpuDevice)
    throw new BackendError(
      'loadTensorflow: precision "bf16" is for CPUs, and this computes on a GPU. Use "tf32".',
    );
  if (precision === "tf32" && !isUsingGpuDevice)
    throw new BackendError(
      'loadTensorflow: precision "tf32" is for NVIDIA GPUs, and this computes on the CPU. Use "bf16".',
    );
  if (memoryLimitMb !== undefined && !isUsingGpuDevice)
    throw new BackendError(
      "loadTensorflow: memoryLimitMb limits a GPU's memory, and this computes on the CPU. Leave it out.",
    );
}

// TensorFlow's libraries write to stderr while they are loaded, before they read any variable. An addon that
// setup installs in `folder` silences stderr meanwhile; a log level below 2 requests all output.
function quietly(folder: string, load: () => unknown): void {
  const file = join(folder, "quiet.node");
  if (Number(process.env.TF_CPP_MIN_LOG_LEVEL) < 2 || !existsSync(file)) return void load();
  const stderr = createRequire(here)(file) as { off(): number; on(kept: number): void };
  const kept = stderr.off();
  try {
    load();
  } finally {
    stderr.on(kept);
  }
}

/**
 * Loads tfjs-node-gpu or tfjs-node, which registers backend "tensorflow" and makes it the current one; does
 * nothing when it is registered. Looks in the folder that the environment variable MRCNN_TENSORFLOW names;
 * without it in the app's dependencies, then in `.cache/tensorflow` of a checkout. Silences TensorFlow's log,
 * unless TF_CPP_MIN_LOG_LEVEL is set, and stderr during loading, unless that level is below 2; enables its
 * oneDNN kernels, unless TF_ENABLE_ONEDNN_OPTS is set; and lets a GPU's memory grow as needed, unless
 * TF_FORCE_GPU_ALLOW_GROWTH is set. On the CPU it sets TF_DETERMINISTIC_OPS, without which RoIAlign's
 * gradient is wrong; so runs repeat bit for bit. The options become environment variables of the process.
 *
 * @throws ConfigError for invalid options.
 * @throws BackendError when tfjs-node is missing, does not load, is already loaded with other options, or
 * does not support the options.
 */
export async function loadTensorflow(options: TensorflowOptions = {}): Promise<void> {
  check(options);
  const wanted = Object.entries(variables(options));
  if (findBackendFactory("tensorflow") !== null) {
    const other = wanted.find(([name, value]) => process.env[name] !== value);
    if (other !== undefined) {
      throw new BackendError(
        `loadTensorflow: backend "tensorflow" is loaded already with other options (${other[0]}). They hold for the whole process: load it with these first, or start another process.`,
      );
    }
    return checkDevice(options);
  }
  const setup = findTensorflow();
  if (setup === undefined) {
    throw new BackendError(
      `loadTensorflow: tfjs-node must be installed, got none in ${folders().join(", ")}. ` +
        "In a checkout run `npm run setup:tensorflow`; in an app run `npm i @tensorflow/tfjs-node@4.22.0`.",
    );
  }
  if (options.memoryLimitMb !== undefined && setup.patched !== true) {
    throw new BackendError(
      `loadTensorflow: memoryLimitMb needs an addon built by \`npm run setup:tensorflow -- --wheel\`, and ${setup.path} is not. Leave it out.`,
    );
  }
  // A worker's process.env is a copy that native code does not see.
  if (wanted.length > 0 && !isMainThread)
    throw new BackendError(
      "loadTensorflow: options can be set in the main thread only. Load it there first, or leave them out.",
    );
  for (const [name, value] of wanted) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
  // TensorFlow enables them by default on Intel's newest processors only; others gain as much.
  process.env.TF_ENABLE_ONEDNN_OPTS ??= "1";
  // Otherwise TensorFlow allocates nearly all of a GPU's memory at once.
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= "true";
  if (options.precision !== "tf32") process.env.NVIDIA_TF32_OVERRIDE ??= "0";
  try {
    quietly(setup.folder, () => createRequire(here)(setup.path) as unknown);
  } catch (cause) {
    throw new BackendError(
      `loadTensorflow: ${setup.path} does not load (${String(cause).split("\n")[0]}). ` +
        "In a checkout run `npm run setup:tensorflow -- --force`; in an app run `npm rebuild @tensorflow/tfjs-node`.",
      { cause },
    );
  }
  const { isUsingGpuDevice } = findBackend("tensorflow") as unknown as TensorflowBackend;
  // Read by TensorFlow at its first such op. Without it the threads of CropAndResizeGradImage, RoIAlign's
  // gradient, add to the same pixel concurrently, and some additions are lost. On a GPU additions are atomic,
  // and the op refuses the setting.
  if (!isUsingGpuDevice) process.env.TF_DETERMINISTIC_OPS = "1";
  checkDevice(options);
}
