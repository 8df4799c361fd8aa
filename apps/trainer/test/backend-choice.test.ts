// Which backend is started with what, which one "auto" takes, and what is said of it; the backends themselves are stand-ins.
import { availableParallelism } from "node:os";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { assertBackendCan, chooseBackend, startBackend } from "../src/backend.ts";
import type { BackendOptions } from "../src/backend.ts";
import { UsageError } from "../src/errors.ts";

interface Machine {
  /** What is started, in order, with what it was given. */
  readonly calls: unknown[];
  hasTensorflow: boolean;
  tensorflowFails: string | undefined;
  isUsingGpuDevice: boolean;
  webgpu: { description: string; isSoftware: boolean } | undefined;
  bf16: string[] | undefined;
  current: string;
}
const here = vi.hoisted((): Machine => ({
  calls: [],
  hasTensorflow: false,
  tensorflowFails: undefined,
  isUsingGpuDevice: false,
  webgpu: undefined,
  bf16: undefined,
  current: "",
}));
vi.mock("@mrcnn/backend-cuda", async (original) => ({
  ...(await original<object>()),
  tensorflowAvailable: () => here.hasTensorflow,
  loadTensorflow: async (options: object) => {
    here.calls.push(["tensorflow", options]);
    if (here.tensorflowFails !== undefined) throw new Error(here.tensorflowFails);
  },
  registerCudaKernels: () => here.calls.push("kernels"),
}));
vi.mock("@mrcnn/backend-webgpu/node", () => ({
  startWebgpu: async (options: object) => {
    here.calls.push(["webgpu", options]);
    if (here.webgpu === undefined) throw new Error("no adapter");
    here.current = "webgpu";
    return here.webgpu;
  },
}));
vi.mock("@mrcnn/backend-wasm", () => ({
  startWasm: async (options: { threads?: number }) => {
    here.calls.push(["wasm", options]);
    here.current = "wasm";
    return options.threads ?? 3;
  },
}));
vi.mock("@tensorflow/tfjs", () => ({
  enableProdMode: () => here.calls.push("production"),
  setBackend: async (name: string) => void (here.current = name),
  getBackend: () => here.current,
  backend: () => ({ isUsingGpuDevice: here.isUsingGpuDevice }),
  ready: async () => void here.calls.push("ready"),
}));
vi.mock("../src/hardware.ts", () => ({ bf16Instructions: () => here.bf16 }));

beforeEach(() => {
  Object.assign(here, {
    hasTensorflow: false,
    tensorflowFails: undefined,
    isUsingGpuDevice: false,
    webgpu: undefined,
    bf16: undefined,
    current: "",
  });
  here.calls.length = 0;
});

describe("startBackend", () => {
  it("gives tensorflow what is asked for, and says where it computes", async () => {
    const own = availableParallelism();
    expect(await startBackend("tensorflow")).toEqual({
      description: own === 1 ? "1 thread" : `${own} threads`,
      isGpu: false,
    });
    expect(here.calls).toEqual([["tensorflow", {}], "kernels", "ready"]);
    expect(here.current).toBe("tensorflow");
    here.calls.length = 0;
    expect(await startBackend("tensorflow", { precision: "bf16", threads: 1, memoryLimit: 500 })).toEqual({
      description: "1 thread",
      isGpu: false,
    });
    expect(here.calls[0]).toEqual(["tensorflow", { precision: "bf16", threads: 1, memoryLimitMb: 500 }]);
    here.isUsingGpuDevice = true;
    // float16 is webgpu's.
    expect(await startBackend("tensorflow", { precision: "float16", threads: 2 })).toEqual({
      description: "on the GPU",
      isGpu: true,
    });
    expect(here.calls.filter((call) => Array.isArray(call)).at(-1)).toEqual(["tensorflow", { threads: 2 }]);
  });

  it("keeps TensorFlow's own words off stderr unless they are wanted, and what the environment says as it is", async () => {
    vi.stubEnv("TF_CPP_MIN_LOG_LEVEL", undefined);
    await startBackend("tensorflow");
    expect(process.env["TF_CPP_MIN_LOG_LEVEL"]).toBe("2");
    vi.stubEnv("TF_CPP_MIN_LOG_LEVEL", undefined);
    await startBackend("tensorflow", { verbose: true });
    expect(process.env["TF_CPP_MIN_LOG_LEVEL"]).toBe("0");
    vi.stubEnv("TF_CPP_MIN_LOG_LEVEL", "1");
    await startBackend("tensorflow");
    expect(process.env["TF_CPP_MIN_LOG_LEVEL"]).toBe("1");
    vi.unstubAllEnvs();
  });

  it("gives webgpu what is asked for, and says of a software adapter that it is no GPU", async () => {
    here.webgpu = { description: "NVIDIA L4", isSoftware: false };
    expect(await startBackend("webgpu")).toEqual({ description: "NVIDIA L4", isGpu: true });
    here.webgpu = { description: "llvmpipe", isSoftware: true };
    expect(await startBackend("webgpu", { precision: "float16", memoryLimit: 9, verbose: true })).toEqual({
      description: "llvmpipe, which is no GPU",
      isGpu: false,
    });
    await startBackend("webgpu", { precision: "tf32" });
    expect(here.calls).toEqual([
      ["webgpu", { quiet: true, memoryLimitMb: undefined, precision: "float32" }],
      "ready",
      ["webgpu", { quiet: false, memoryLimitMb: 9, precision: "float16" }],
      "ready",
      ["webgpu", { quiet: true, memoryLimitMb: undefined, precision: "float32" }],
      "ready",
    ]);
  });

  it("starts wasm with its threads, and cpu with the one it has", async () => {
    expect(await startBackend("wasm")).toEqual({ description: "3 threads", isGpu: false });
    expect(await startBackend("wasm", { threads: 1 })).toEqual({ description: "1 thread", isGpu: false });
    expect(await startBackend("cpu")).toEqual({ description: "1 thread", isGpu: false });
    expect(here.current).toBe("cpu");
    expect(here.calls).toEqual([
      ["wasm", {}],
      "ready",
      ["wasm", { threads: 1 }],
      "ready",
      "production",
      "ready",
    ]);
  });
});

describe("chooseBackend", () => {
  const choose = async (options: Partial<BackendOptions> = {}): Promise<{ name: string; said: string[] }> => {
    const said: string[] = [];
    const terminal = { out: () => {}, note: (line: string) => said.push(line), interactive: false };
    const name = await chooseBackend({ backend: "auto", ...options }, terminal);
    return { name, said };
  };
  const own = availableParallelism() === 1 ? "1 thread" : `${availableParallelism()} threads`;

  it("takes the one that is named, without a word", async () => {
    expect(await choose({ backend: "wasm", threads: 2 })).toEqual({ name: "wasm", said: [] });
    expect(here.calls).toEqual([["wasm", { threads: 2 }], "ready"]);
  });

  it.each<[string, Partial<Machine>, string, string]>([
    [
      "tensorflow on a GPU before all",
      {
        hasTensorflow: true,
        isUsingGpuDevice: true,
        webgpu: { description: "NVIDIA L4", isSoftware: false },
      },
      "tensorflow",
      "Backend: tensorflow, on the GPU.",
    ],
    [
      "webgpu on a GPU before tensorflow on the CPU",
      { hasTensorflow: true, webgpu: { description: "NVIDIA L4", isSoftware: false } },
      "webgpu",
      "Backend: webgpu, NVIDIA L4.",
    ],
    [
      "tensorflow on the CPU before wasm",
      { hasTensorflow: true },
      "tensorflow",
      `Backend: tensorflow, ${own}.`,
    ],
    [
      "wasm where nothing else is, and says what would be faster",
      {},
      "wasm",
      "Backend: wasm, 3 threads (`npm run setup:tensorflow` computes large networks faster).",
    ],
    [
      "wasm where tensorflow does not load, and says in one line why",
      { hasTensorflow: true, tensorflowFails: "libtensorflow.so.2: not found\n at somewhere" },
      "wasm",
      "Backend: wasm, 3 threads (tensorflow does not load: libtensorflow.so.2: not found).",
    ],
  ])("auto takes %s", async (_, machine, name, line) => {
    Object.assign(here, machine);
    expect(await choose()).toEqual({ name, said: [line] });
  });

  it("auto asks webgpu for a GPU alone, quietly unless words are wanted", async () => {
    await choose();
    await choose({ verbose: true });
    expect(here.calls.filter((call) => (call as string[])[0] === "webgpu")).toEqual([
      ["webgpu", { software: false, quiet: true, memoryLimitMb: undefined }],
      ["webgpu", { software: false, quiet: false, memoryLimitMb: undefined }],
    ]);
  });

  it("auto with a precision of tensorflow's is tensorflow or an error", async () => {
    Object.assign(here, { hasTensorflow: true, webgpu: { description: "NVIDIA L4", isSoftware: false } });
    expect(await choose({ precision: "tf32" })).toEqual({
      name: "tensorflow",
      said: [`Backend: tensorflow, ${own}.`],
    });
    expect((await choose({ precision: "float32" })).name).toBe("webgpu");
    here.tensorflowFails = "libtensorflow.so.2: not found";
    await expect(choose({ precision: "tf32" })).rejects.toThrow("libtensorflow.so.2: not found");
  });

  it("auto with a GPU's memory limit is a GPU or an error", async () => {
    await expect(choose({ memoryLimit: 500 })).rejects.toThrow("no adapter");
    expect(here.calls).toEqual([["webgpu", { software: false, quiet: true, memoryLimitMb: 500 }]]);
  });

  it("says where bf16 is not faster, and only where that is known", async () => {
    const slow = "This processor has no bf16 arithmetic: --precision bf16 is not faster here.";
    for (const [bf16, precision, said] of [
      [[], "bf16", [slow]],
      [["AMX"], "bf16", []],
      [undefined, "bf16", []],
      [[], "tf32", []],
    ] as const) {
      here.bf16 = bf16 && [...bf16];
      expect((await choose({ backend: "tensorflow", precision })).said).toEqual(said);
    }
  });
});

describe("assertBackendCan", () => {
  const GPU = "Use --backend tensorflow or webgpu, or leave it out.";
  it.each<[BackendOptions, string | undefined]>([
    [{ backend: "wasm", memoryLimit: 9 }, `--memory-limit 9: backend wasm can't do that. ${GPU}`],
    [{ backend: "cpu", memoryLimit: 9 }, `--memory-limit 9: backend cpu can't do that. ${GPU}`],
    [{ backend: "webgpu", memoryLimit: 9 }, undefined],
    [{ backend: "tensorflow", memoryLimit: 9 }, undefined],
    [{ backend: "auto", memoryLimit: 9 }, undefined],
    [{ backend: "webgpu", threads: 1 }, "--threads 1: backend webgpu computes on the GPU. Leave it out."],
    [
      { backend: "cpu", threads: 2 },
      "--threads 2: backend cpu computes with one thread. Use --backend wasm or tensorflow.",
    ],
    [{ backend: "cpu", threads: 1 }, undefined],
    [{ backend: "wasm", threads: 2 }, undefined],
    [{ backend: "cpu" }, undefined],
    [{ backend: "webgpu", precision: "float16" }, undefined],
    [
      { backend: "auto", precision: "float16" },
      "--precision float16: only backend webgpu can do that. Use --backend webgpu, or leave it out.",
    ],
    [
      { backend: "tensorflow", precision: "float16" },
      "--precision float16: backend tensorflow can't do that. Use --backend webgpu, or leave it out.",
    ],
    [
      { backend: "webgpu", precision: "bf16" },
      "--precision bf16: backend webgpu can't do that. Use --backend tensorflow, or leave it out.",
    ],
    [{ backend: "wasm", precision: "float32" }, undefined],
    [{ backend: "tensorflow", precision: "bf16" }, undefined],
    [{ backend: "auto", precision: "tf32" }, undefined],
  ])("%j: %s", (options, message) => {
    here.hasTensorflow = true;
    if (message === undefined) expect(() => assertBackendCan(options)).not.toThrow();
    else expect(() => assertBackendCan(options)).toThrow(new UsageError(message));
  });

  it("says how to get tensorflow where only that can", () => {
    for (const backend of ["auto", "tensorflow"] as const)
      expect(() => assertBackendCan({ backend, precision: "bf16" })).toThrow(
        new UsageError(
          "--precision bf16: only backend tensorflow can do that, and it is not here. Run `npm run setup:tensorflow`, or leave it out.",
        ),
      );
    expect(() => assertBackendCan({ backend: "auto" })).not.toThrow();
  });
});
