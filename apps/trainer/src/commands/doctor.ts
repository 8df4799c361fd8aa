import { availableParallelism, cpus, totalmem } from "node:os";
import { conv2d, getBackend, memory, randomNormal, tidy, version_core } from "@tensorflow/tfjs";
import type { Tensor4D } from "@tensorflow/tfjs";
import { startBackend } from "../backend.ts";
import { messageOf } from "../errors.ts";
import { writeWhole } from "../files.ts";
import type { Terminal } from "../terminal.ts";
import { version } from "../version.ts";

interface BackendReport {
  readonly name: string;
  readonly works: boolean;
  /** Of a 3×3 convolution, 64 to 64 channels. */
  readonly gflops?: number;
  readonly threads?: number;
  /** Why it does not work, and what to do. */
  readonly problem?: string;
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

async function look(name: "cpu" | "wasm" | "tensorflow", expected: number | undefined): Promise<{ report: BackendReport; sum?: number }> {
  try {
    const threads = await startBackend(name);
    const { gflops, sum } = await selfTest();
    if (expected !== undefined && Math.abs(sum - expected) > 1e-4 * expected) {
      return { report: { name, works: false, problem: `computes wrongly: a convolution gives ${sum} where ${expected} is right. Do not use it here.` } };
    }
    return { report: { name, works: getBackend() === name, gflops, threads }, sum };
  } catch (error) {
    return { report: { name, works: false, problem: messageOf(error) } };
  }
}

/** `mrcnn doctor`. @returns the exit code. */
export async function doctor({ json }: { readonly json?: string }, terminal: Terminal): Promise<number> {
  const machine = {
    mrcnn: version(),
    node: process.versions.node,
    tensorflowjs: version_core,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    processors: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
  };
  terminal.out(`mrcnn ${machine.mrcnn}, Node ${machine.node}, TensorFlow.js ${machine.tensorflowjs} on ${machine.platform}`);
  terminal.out(`${machine.processor}, ${machine.processors} processors, ${machine.memoryGb} GB`);
  const plain = await look("cpu", undefined);
  const reports = [(await look("tensorflow", plain.sum)).report, (await look("wasm", plain.sum)).report, plain.report];
  for (const { name, works, gflops, threads, problem } of reports) {
    terminal.out(works ? `${name.padEnd(11)} works   ${gflops!.toFixed(1).padStart(6)} GFLOP/s, ${threads} thread${threads === 1 ? "" : "s"}` : `${name.padEnd(11)} absent  ${problem}`);
  }
  terminal.out("webgpu      absent  not in Node yet.");
  const auto = reports.find(({ works }) => works);
  terminal.out(auto === undefined ? "No backend works here." : `--backend auto takes ${auto.name}.`);
  if (json !== undefined) writeWhole(json, `${JSON.stringify({ ...machine, backends: reports, tensors: memory().numTensors }, null, 2)}\n`);
  return auto === undefined ? 1 : 0;
}
