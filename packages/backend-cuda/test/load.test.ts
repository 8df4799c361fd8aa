import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBackendFactory, registerBackend, removeBackend } from "@tensorflow/tfjs-core";
import type { KernelBackend } from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findTensorflow, loadTensorflow, tensorflowAvailable } from "@mrcnn/backend-cuda";
import type { TensorflowOptions } from "@mrcnn/backend-cuda";

const globals = globalThis as { load?: () => void };
const before = { ...process.env };
let folder: string;

/** A tfjs-node whose backend computes on a GPU or not, as setup leaves it with `record`, or an app has it without. */
function install({
  gpu = false,
  record = undefined as object | undefined,
  code = "globalThis.load();",
} = {}): void {
  const name = join(folder, "node_modules", "@tensorflow", "tfjs-node");
  mkdirSync(name, { recursive: true });
  writeFileSync(join(name, "index.js"), code);
  if (record !== undefined) writeFileSync(join(folder, "ready.json"), JSON.stringify(record));
  globals.load = () =>
    void registerBackend(
      "tensorflow",
      () => ({ isUsingGpuDevice: gpu, dispose() {} }) as unknown as KernelBackend,
    );
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mrcnn-load-"));
  for (const name of [
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
    "TF_NUM_INTRAOP_THREADS",
    "MRCNN_TENSORFLOW_CONFIG",
  ])
    delete process.env[name];
  process.env.MRCNN_TENSORFLOW = folder;
});
afterEach(() => {
  if (findBackendFactory("tensorflow") !== null) removeBackend("tensorflow");
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
  rmSync(folder, { recursive: true, force: true });
});

describe("loadTensorflow", () => {
  it("says what to run when tfjs-node is missing", async () => {
    process.env.MRCNN_TENSORFLOW = "/nowhere";
    expect(tensorflowAvailable()).toBe(false);
    expect(findTensorflow()).toBeUndefined();
    await expect(loadTensorflow()).rejects.toThrow(/got none in \/nowhere.*npm run setup:tensorflow/s);
  });

  it("says what to run when it does not load", async () => {
    install({ code: 'throw new Error("libtensorflow.so.2: cannot open shared object file")' });
    await expect(loadTensorflow()).rejects.toThrow(
      /index\.js does not load \(Error: libtensorflow\.so\.2.*setup:tensorflow -- --force/s,
    );
  });

  it("finds what setup recorded", () => {
    const cuda = { version: "12.5.1", cudnn: "9", capabilities: ["sm_60"] };
    install({ record: { how: "addon built", patched: true, cuda, node: "20.0.0" } });
    expect(findTensorflow()).toEqual({
      path: join(folder, "node_modules/@tensorflow/tfjs-node/index.js"),
      folder: `${folder}/`,
      how: "addon built",
      patched: true,
      cuda,
    });
  });

  it("computes in float32 everywhere and lets a GPU's memory grow, unless the environment says otherwise", async () => {
    install();
    await loadTensorflow();
    expect(process.env).toMatchObject({
      NVIDIA_TF32_OVERRIDE: "0",
      TF_FORCE_GPU_ALLOW_GROWTH: "true",
      TF_ENABLE_ONEDNN_OPTS: "1",
    });
    expect(process.env.ONEDNN_DEFAULT_FPMATH_MODE).toBeUndefined();
  });

  it.each<[TensorflowOptions, boolean, object]>([
    [{ precision: "bf16" }, false, { ONEDNN_DEFAULT_FPMATH_MODE: "BF16" }],
    [{ precision: "float32" }, false, { ONEDNN_DEFAULT_FPMATH_MODE: "STRICT", NVIDIA_TF32_OVERRIDE: "0" }],
    [{ precision: "tf32" }, true, { ONEDNN_DEFAULT_FPMATH_MODE: "STRICT", NVIDIA_TF32_OVERRIDE: undefined }],
    [{ threads: 3 }, false, { TF_NUM_INTRAOP_THREADS: "3", TF_NUM_INTEROP_THREADS: "3" }],
    // SerializeToString() of Python's ConfigProto, gpu_options.allow_growth and experimental.virtual_devices set.
    [{ memoryLimitMb: 4096 }, true, { MRCNN_TENSORFLOW_CONFIG: "320c20014a080a060a0400008045" }],
    [{ memoryLimitMb: 1536 }, true, { MRCNN_TENSORFLOW_CONFIG: "320c20014a080a060a040000c044" }],
  ])("sets the variables of %o", async (options, gpu, variables) => {
    process.env.NVIDIA_TF32_OVERRIDE = "1";
    install({ gpu, record: { patched: true } });
    await loadTensorflow(options);
    expect({ ...process.env, NVIDIA_TF32_OVERRIDE: process.env.NVIDIA_TF32_OVERRIDE }).toMatchObject(
      variables,
    );
    await loadTensorflow(options);
  });

  it.each<[TensorflowOptions, boolean, RegExp]>([
    [{ precision: "bf16" }, true, /"bf16" is for CPUs, and this computes on a GPU\. Use "tf32"/],
    [{ precision: "tf32" }, false, /"tf32" is for NVIDIA GPUs, and this computes on the CPU\. Use "bf16"/],
    [{ memoryLimitMb: 100 }, false, /memoryLimitMb limits a GPU's memory, and this computes on the CPU/],
    [{ precision: "float16" as "bf16" }, false, /precision must be one of float32, bf16, tf32, got float16/],
    [{ threads: 0 }, false, /threads must be a whole number from 1 up, got 0/],
    [{ memoryLimitMb: -1 }, false, /memoryLimitMb must be a number above 0, got -1/],
  ])("refuses %o (on a GPU: %s)", async (options, gpu, message) => {
    install({ gpu, record: { patched: true } });
    await expect(loadTensorflow(options)).rejects.toThrow(message);
  });

  it("refuses a memory limit for an addon that takes none", async () => {
    install({ gpu: true });
    await expect(loadTensorflow({ memoryLimitMb: 100 })).rejects.toThrow(
      /needs an addon built by `npm run setup:tensorflow -- --wheel`, and .*index\.js is not/,
    );
    expect(process.env.MRCNN_TENSORFLOW_CONFIG).toBeUndefined();
  });

  it("refuses other options than those it is loaded with", async () => {
    install();
    await loadTensorflow({ precision: "bf16", threads: 2 });
    await loadTensorflow();
    await expect(loadTensorflow({ precision: "float32" })).rejects.toThrow(
      /loaded already with other options \(ONEDNN_DEFAULT_FPMATH_MODE\)/,
    );
    await expect(loadTensorflow({ threads: 1 })).rejects.toThrow(
      /loaded already with other options \(TF_NUM_INTRAOP_THREADS\)/,
    );
  });
});
