// What the machine has, as its own tools tell it.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { processorFlags } from "@mrcnn/backend-cuda";

/** Runs a program and gives what it wrote, or undefined where it is not, fails or hangs. */
const output = (file: string, args: readonly string[]): Promise<string | undefined> =>
  new Promise((resolve) =>
    execFile(file, args, { timeout: 20_000 }, (error, stdout, stderr) =>
      resolve(error === null ? stdout + stderr : undefined),
    ),
  );

/**
 * The instructions with which the processor multiplies bf16: "AMX", "AVX512_BF16", none of them; undefined
 * where it can't be told.
 */
export function bf16Instructions(cpuinfo?: string): string[] | undefined {
  const flags = processorFlags(cpuinfo);
  const names = { amx_bf16: "AMX", avx512_bf16: "AVX512_BF16", bf16: "BF16" };
  return flags && Object.entries(names).flatMap(([flag, name]) => (flags.includes(flag) ? [name] : []));
}

export interface Gpu {
  readonly name: string;
  readonly driver: string;
  readonly memoryMb: number;
  readonly freeMb: number;
  /** "8.9" */
  readonly computeCapability: string;
}

/** NVIDIA's GPUs, as `nvidia-smi` lists them; none where it is missing. */
export async function nvidiaGpus(): Promise<Gpu[]> {
  const query = [
    "--query-gpu=name,driver_version,memory.total,memory.free,compute_cap",
    "--format=csv,noheader,nounits",
  ];
  // Under WSL it lies beside the system.
  const text =
    (await output("nvidia-smi", query)) ?? (await output("/usr/lib/wsl/lib/nvidia-smi", query)) ?? "";
  return text.split("\n").flatMap((line) => {
    const [name, driver, memory, free, computeCapability] = line.split(",").map((field) => field.trim());
    return computeCapability === undefined ?
        []
      : [{ name: name!, driver: driver!, memoryMb: Number(memory), freeMb: Number(free), computeCapability }];
  });
}

/**
 * How code for `built` ("sm_80": of that generation and later within it; "compute_90": to be compiled for any
 * later one) runs on a GPU.
 */
export function codeFor(
  computeCapability: string,
  built: readonly string[],
): "ready" | "compiled first" | "none" {
  const [major = 0, minor = 0] = computeCapability.split(".").map(Number);
  const code = built.map((name) => ({
    compiled: name.startsWith("sm_"),
    major: Math.floor(Number(/\d+/.exec(name)) / 10),
    minor: Number(/\d+/.exec(name)) % 10,
  }));
  if (code.some((one) => one.compiled && one.major === major && one.minor <= minor)) return "ready";
  return (
      code.some((one) => !one.compiled && (one.major < major || (one.major === major && one.minor <= minor)))
    ) ?
      "compiled first"
    : "none";
}

export interface CudaLibrary {
  /** With the version that TensorFlow wants: "libcudnn.so.9". */
  readonly name: string;
  /** Why TensorFlow can't open it. */
  readonly problem?: string;
}

/**
 * The libraries that TensorFlow opens for a GPU, NVIDIA's driver (libcuda) among them, by its own word:
 * `folder` holds the program that setup left to ask it. Undefined where there is none.
 */
export async function cudaLibraries(folder: string): Promise<CudaLibrary[] | undefined> {
  const text = await output(join(folder, "cuda-libraries"), []);
  const lines = text?.matchAll(
    /opened dynamic library (\S+)|not load dynamic library '([^']+)'; dlerror: (.*)/g,
  );
  return (
    lines &&
    Array.from(lines, ([, opened, missing, problem]) =>
      opened === undefined ? { name: missing!, problem: problem! } : { name: opened },
    )
  );
}
