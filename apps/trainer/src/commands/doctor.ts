/** `mrcnn doctor`: tells what this machine has, and which backend suits it. */
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { findTensorflow } from "@mrcnn/backend-cuda";
import type { TensorflowSetup } from "@mrcnn/backend-cuda";
import { backend, conv2d, getBackend, memory, randomNormal, tidy, version_core } from "@tensorflow/tfjs";
import type { Tensor4D } from "@tensorflow/tfjs";
import { startBackend } from "../backend.ts";
import type { BackendName } from "../backend.ts";
import { messageOf } from "../errors.ts";
import { bf16Instructions, codeFor, cudaLibraries, nvidiaGpus } from "../hardware.ts";
import type { CudaLibrary, Gpu } from "../hardware.ts";
import { openOutputs } from "../outputs.ts";
import type { Terminal } from "../terminal.ts";
import { version } from "../version.ts";

interface BackendReport {
  readonly name: string;
  readonly works: boolean;
  /** Speed of a 3×3 convolution from 64 to 64 channels. */
  readonly gflops?: number;
  /** What it computes with, in words. */
  readonly device?: string;
  readonly isGpu?: boolean;
  /** Why it does not work, and what to do. */
  readonly problem?: string;
  /** What is known of native TensorFlow, where it is found. */
  readonly tensorflow?: TensorflowReport;
}

interface TensorflowReport extends TensorflowSetup {
  /** TensorFlow's version; absent when it does not load. */
  readonly version?: string;
  readonly device?: "CPU" | "GPU";
  readonly libraries?: readonly CudaLibrary[];
}

const SIDE = 64;
const CHANNELS = 64;
const GFLOP = (2 * SIDE * SIDE * 9 * CHANNELS * CHANNELS) / 1e9;

// A convolution of known inputs, repeated for a second; its sum must be the plain backend's.
async function selfTest(): Promise<{ gflops: number; sum: number }> {
  const x = randomNormal([1, SIDE, SIDE, CHANNELS], 0, 1, "float32", 7) as Tensor4D;
  const w = randomNormal([3, 3, CHANNELS, CHANNELS], 0, 1, "float32", 8) as Tensor4D;
  const once = async (): Promise<number> => {
    const y = tidy(() => conv2d(x, w, 1, "same"));
    const values = (await y.data()) as Float32Array;
    y.dispose();
    return values.reduce((total, value) => total + Math.abs(value), 0);
  };
  const sum = await once();
  const start = performance.now();
  let runs = 0;
  do {
    await once();
    runs++;
  } while (performance.now() - start < 1000);
  x.dispose();
  w.dispose();
  return { gflops: (runs * GFLOP) / ((performance.now() - start) / 1000), sum };
}

async function look(
  name: Exclude<BackendName, "auto">,
  { expected, verbose }: { readonly expected?: number | undefined; readonly verbose?: boolean | undefined },
): Promise<{ report: BackendReport; sum?: number }> {
  try {
    const { description: device, isGpu } = await startBackend(name, verbose === true ? { verbose } : {});
    if (getBackend() !== name)
      return {
        report: { name, works: false, problem: `does not start: TensorFlow.js stays with ${getBackend()}.` },
      };
    const { gflops, sum } = await selfTest();
    if (expected !== undefined && Math.abs(sum - expected) > 1e-4 * expected) {
      return {
        report: {
          name,
          works: false,
          problem: `computes wrongly: a convolution gives ${sum} where ${expected} is right. Do not use it here.`,
        },
      };
    }
    return { report: { name, works: true, gflops, device, isGpu }, sum };
  } catch (error) {
    return { report: { name, works: false, problem: messageOf(error) } };
  }
}

/** What backend tensorflow runs on, once it was tried. */
async function lookAtTensorflow(works: boolean): Promise<TensorflowReport | undefined> {
  const setup = findTensorflow();
  if (setup === undefined) return undefined;
  const libraries = await cudaLibraries(setup.folder);
  const loaded = backend() as unknown as {
    readonly binding: { readonly TF_Version: string };
    readonly isUsingGpuDevice: boolean;
  };
  return {
    ...setup,
    ...(works && { version: loaded.binding.TF_Version, device: loaded.isUsingGpuDevice ? "GPU" : "CPU" }),
    ...(libraries && { libraries }),
  };
}

const DRIVER = "libcuda.so.1";

/** What to tell of backend tensorflow: its version and device, and what keeps it from a GPU. */
export function describeTensorflow(
  { path, how, version, device, cuda, libraries = [] }: TensorflowReport,
  gpus: readonly Gpu[],
): string[] {
  const lines = version === undefined ? [] : [`TensorFlow ${version} on the ${device} (${how ?? path})`];
  if (cuda !== undefined)
    lines.push(
      `built for CUDA ${cuda.version}, cuDNN ${cuda.cudnn} and GPUs of ${cuda.capabilities.join(", ")}`,
    );
  else if (gpus.length > 0 && device === "CPU")
    lines.push("It can't use the GPU: run `npm run setup:tensorflow -- --gpu`.");
  const missing = libraries.filter(({ problem }) => problem !== undefined);
  for (const { name, problem } of missing) {
    const why = problem!.startsWith(`${name}: cannot open shared object file`) ? "" : ` (${problem})`;
    lines.push(`missing: ${name}${name === DRIVER ? ", NVIDIA's driver" : ""}${why}`);
  }
  if (missing.some(({ name }) => name === DRIVER)) lines.push("For a GPU install NVIDIA's driver.");
  if (missing.some(({ name }) => name !== DRIVER))
    lines.push("`npm run setup:tensorflow -- --gpu --cuda` fetches the CUDA libraries that are missing.");
  for (const { name, computeCapability } of cuda === undefined ? [] : gpus) {
    const code = codeFor(computeCapability, cuda!.capabilities);
    if (code === "none") lines.push(`It has no code for ${name} (compute capability ${computeCapability}).`);
    if (code === "compiled first")
      lines.push(
        `Its code is compiled for ${name} (compute capability ${computeCapability}) at the first start, which takes minutes.`,
      );
  }
  return lines;
}

export interface DoctorOptions {
  readonly json?: string;
  readonly verbose?: boolean;
}

/** `mrcnn doctor`. @returns the exit code. */
export async function doctor({ json, verbose }: DoctorOptions, given: Terminal): Promise<number> {
  const outputs = openOutputs({ "--json": json }, { terminal: given });
  const { terminal } = outputs;
  const machine = {
    mrcnn: version(),
    node: process.versions.node,
    tensorflowjs: version_core,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    processors: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    freeMemoryGb: Math.round(freemem() / 2 ** 30),
    bf16: bf16Instructions(),
    gpus: await nvidiaGpus(),
  };
  terminal.out(
    `mrcnn ${machine.mrcnn}, Node ${machine.node}, TensorFlow.js ${machine.tensorflowjs} on ${machine.platform}`,
  );
  terminal.out(
    `${machine.processor}, ${machine.processors} processors, ${machine.memoryGb} GB (${machine.freeMemoryGb} GB free)`,
  );
  if (machine.bf16 !== undefined)
    terminal.out(
      `bf16 arithmetic: ${machine.bf16.join(", ") || "none, so --precision bf16 is not faster here"}`,
    );
  for (const { name, driver, memoryMb, freeMb, computeCapability } of machine.gpus) {
    terminal.out(
      `${name}, ${memoryMb} MB (${freeMb} MB free), compute capability ${computeCapability}, driver ${driver}`,
    );
  }
  const plain = await look("cpu", { verbose });
  const native = (await look("tensorflow", { expected: plain.sum, verbose })).report;
  const tensorflow = await lookAtTensorflow(native.works);
  const reports: BackendReport[] = [
    { ...native, ...(tensorflow && { tensorflow }) },
    (await look("webgpu", { expected: plain.sum, verbose })).report,
    (await look("wasm", { expected: plain.sum, verbose })).report,
    plain.report,
  ];
  for (const { name, works, gflops, device, problem, tensorflow: details } of reports) {
    terminal.out(
      works ?
        `${name.padEnd(11)} works   ${gflops!.toFixed(1).padStart(6)} GFLOP/s, ${device}`
      : `${name.padEnd(11)} absent  ${problem}`,
    );
    for (const line of details === undefined ? [] : describeTensorflow(details, machine.gpus))
      terminal.out(`            ${line}`);
  }
  // As `startFastest` of backend.ts: a software adapter and cpu are taken by name only.
  const working = reports.filter(({ works }) => works);
  const auto =
    working.find(({ isGpu }) => isGpu) ??
    working.find(({ name }) => name === "tensorflow" || name === "wasm");
  terminal.out(
    auto !== undefined ? `--backend auto takes ${auto.name}.`
    : working.length > 0 ?
      `--backend auto finds none here. These can be named: --backend ${working.map(({ name }) => name).join(" or ")}.`
    : "No backend works here.",
  );
  await outputs.write({
    "--json": () =>
      `${JSON.stringify({ ...machine, backends: reports, tensors: memory().numTensors }, null, 2)}\n`,
  });
  return auto === undefined ? 1 : 0;
}
