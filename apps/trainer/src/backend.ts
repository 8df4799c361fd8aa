/** Starts the backend that a command computes with, and refuses options that it can't do. */
import { availableParallelism } from "node:os";
import {
  precisions as tensorflowPrecisions,
  loadTensorflow,
  registerCudaKernels,
  tensorflowAvailable,
} from "@mrcnn/backend-cuda";
import type { Precision as TensorflowPrecision } from "@mrcnn/backend-cuda";
import { startWasm } from "@mrcnn/backend-wasm";
import { startWebgpu } from "@mrcnn/backend-webgpu/node";
import { startFastest } from "@mrcnn/core";
import * as tf from "@tensorflow/tfjs";
import { UsageError } from "./errors.ts";
import { bf16Instructions } from "./hardware.ts";
import { plural } from "./plural.ts";
import type { Terminal } from "./terminal.ts";

export const backendNames = ["auto", "tensorflow", "webgpu", "wasm", "cpu"] as const;
export type BackendName = (typeof backendNames)[number];

/** float16 is webgpu's, the others tensorflow's. */
export const precisions: readonly Precision[] = [...tensorflowPrecisions, "float16"];
export type Precision = TensorflowPrecision | "float16";

/** Where and how to compute. */
export interface BackendOptions {
  readonly backend: BackendName;
  readonly precision?: Precision;
  readonly threads?: number;
  /** Largest memory of a GPU that is used, MB. */
  readonly memoryLimit?: number;
  /** Whether what the backends' own libraries write to stderr is seen. */
  readonly verbose?: boolean;
}
type How = Omit<BackendOptions, "backend">;

/** What a backend computes with. */
export interface Device {
  /** In words. */
  readonly description: string;
  readonly isGpu: boolean;
}

const ofHost = (threads: number): Device => ({ description: plural(threads, "thread"), isGpu: false });

const starters: Readonly<Record<Exclude<BackendName, "auto">, (how: How) => Promise<Device>>> = {
  async tensorflow({ precision, threads, memoryLimit, verbose }) {
    process.env.TF_CPP_MIN_LOG_LEVEL ??= verbose === true ? "0" : "2";
    await loadTensorflow({
      ...(precision !== undefined && precision !== "float16" && { precision }),
      ...(threads && { threads }),
      ...(memoryLimit && { memoryLimitMb: memoryLimit }),
    });
    registerCudaKernels();
    await tf.setBackend("tensorflow");
    const { isUsingGpuDevice } = tf.backend() as unknown as { readonly isUsingGpuDevice: boolean };
    return isUsingGpuDevice ?
        { description: "on the GPU", isGpu: true }
      : ofHost(threads ?? availableParallelism());
  },
  async webgpu({ precision, memoryLimit, verbose }) {
    const { description, isSoftware } = await startWebgpu({
      quiet: verbose !== true,
      memoryLimitMb: memoryLimit,
      precision: precision === "float16" ? precision : "float32",
    });
    return { description: isSoftware ? `${description}, which is no GPU` : description, isGpu: !isSoftware };
  },
  wasm: async ({ threads }) => ofHost(await startWasm(threads === undefined ? {} : { threads })),
  async cpu() {
    tf.enableProdMode(); // or it advertises tfjs-node on stderr
    await tf.setBackend("cpu");
    return ofHost(1);
  },
};

// What only backend "tensorflow" can do.
const ofTensorflow = ({ precision = "float32" }: How): string | undefined =>
  precision === "float32" || precision === "float16" ? undefined : `--precision ${precision}`;

// What only a GPU has.
const ofGpu = ({ memoryLimit }: How): string | undefined =>
  memoryLimit === undefined ? undefined : `--memory-limit ${memoryLimit}`;

/**
 * Refuses options that the backend asked for can't do, before anything is loaded.
 *
 * @throws UsageError that names the option.
 */
export function assertBackendCan(options: BackendOptions): void {
  const { backend, threads } = options;
  const limit = ofGpu(options);
  if (limit !== undefined && (backend === "wasm" || backend === "cpu"))
    throw new UsageError(
      `${limit}: backend ${backend} can't do that. Use --backend tensorflow or webgpu, or leave it out.`,
    );
  if (threads !== undefined && backend === "webgpu")
    throw new UsageError(`--threads ${threads}: backend webgpu computes on the GPU. Leave it out.`);
  if (options.precision === "float16" && backend !== "webgpu")
    throw new UsageError(
      `--precision float16: ${backend === "auto" ? "only backend webgpu can do that" : `backend ${backend} can't do that`}. Use --backend webgpu, or leave it out.`,
    );
  const option = ofTensorflow(options);
  if (option !== undefined && backend !== "tensorflow" && backend !== "auto")
    throw new UsageError(
      `${option}: backend ${backend} can't do that. Use --backend tensorflow, or leave it out.`,
    );
  if (option !== undefined && !tensorflowAvailable())
    throw new UsageError(
      `${option}: only backend tensorflow can do that, and it is not here. Run \`npm run setup:tensorflow\`, or leave it out.`,
    );
  if (threads !== undefined && threads > 1 && backend === "cpu")
    throw new UsageError(
      `--threads ${threads}: backend cpu computes with one thread. Use --backend wasm or tensorflow.`,
    );
}

/**
 * Loads a backend and makes it TensorFlow.js's current one.
 *
 * @returns what it computes with.
 * @throws when it can't run here.
 */
export async function startBackend(name: Exclude<BackendName, "auto">, how: How = {}): Promise<Device> {
  const device = await starters[name](how);
  await tf.ready();
  return device;
}

/**
 * Starts the backend asked for. `auto` takes the fastest, as the library does, and says so in one line.
 *
 * @returns its name.
 */
export async function chooseBackend(options: BackendOptions, terminal: Terminal): Promise<string> {
  const { backend: name, precision } = options;
  if (name !== "auto") await startBackend(name, options);
  else terminal.note(`Backend: ${await startAuto(options)}.`);
  if (precision === "bf16" && bf16Instructions()?.length === 0)
    terminal.note("This processor has no bf16 arithmetic: --precision bf16 is not faster here.");
  return tf.getBackend();
}

async function startAuto(options: BackendOptions): Promise<string> {
  const { verbose, memoryLimit } = options;
  const native = (): Promise<Device> => startBackend("tensorflow", options);
  // What only TensorFlow can do leaves no choice.
  if (ofTensorflow(options) !== undefined) return `tensorflow, ${(await native()).description}`;
  const limit = ofGpu(options);
  const { name, device, failures } = await startFastest<Device>([
    ...(tensorflowAvailable() ?
      [
        {
          name: "tensorflow",
          mayUseGpu: true,
          async start() {
            const started = await native();
            if (limit !== undefined && !started.isGpu) throw new UsageError(`${limit}: there is no GPU.`);
            return started;
          },
          resume: async () => void (await tf.setBackend("tensorflow")),
        },
      ]
    : []),
    {
      name: "webgpu",
      mayUseGpu: true,
      async start() {
        const quiet = verbose !== true;
        const { description } = await startWebgpu({ software: false, quiet, memoryLimitMb: memoryLimit });
        return { description, isGpu: true };
      },
    },
    ...(limit === undefined ?
      [{ name: "wasm", mayUseGpu: false, start: () => startBackend("wasm", options) }]
    : []),
  ]);
  if (name !== "wasm") return `${name}, ${device.description}`;
  const failure = failures.get("tensorflow")?.message.split("\n")[0];
  const hint =
    failure === undefined ?
      "`npm run setup:tensorflow` computes large networks faster"
    : `tensorflow does not load: ${failure}`;
  return `wasm, ${device.description} (${hint})`;
}
