// What `mrcnn doctor` says of a machine; the machine, its backends and the clock are stand-ins, so that every number is known.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Gpu } from "../src/hardware.ts";
import { version } from "../src/version.ts";
import { mrcnn, temporaryFolder } from "./command.ts";

/** A backend: what it computes with, and what its convolution comes to; or why it does not start. */
type Stand = { description: string; isGpu: boolean; values: number[]; current?: string } | Error;
interface Machine {
  backends: Record<string, Stand>;
  current: string;
  started: unknown[];
  made: unknown[];
  tensors: number;
  gpus: Gpu[];
  bf16: string[] | undefined;
  libraries: object[] | undefined;
  setup: object | undefined;
  usesGpu: boolean;
  cpus: { model: string }[];
}
const here = vi.hoisted(() => ({}) as Machine);
vi.mock("node:os", async (original) => ({
  ...(await original<object>()),
  cpus: () => here.cpus,
  availableParallelism: () => 8,
  totalmem: () => 16.4 * 2 ** 30,
  freemem: () => 4.6 * 2 ** 30,
}));
vi.mock("@mrcnn/backend-cuda", async (original) => ({
  ...(await original<object>()),
  findTensorflow: () => here.setup,
}));
vi.mock("../src/hardware.ts", async (original) => ({
  ...(await original<object>()),
  bf16Instructions: () => here.bf16,
  nvidiaGpus: async () => here.gpus,
  cudaLibraries: async (folder: string) => (folder === "/setup" ? here.libraries : undefined),
}));
vi.mock("../src/backend.ts", async (original) => ({
  ...(await original<object>()),
  startBackend: async (name: string, how: object) => {
    here.started.push([name, how]);
    const stand = here.backends[name]!;
    if (stand instanceof Error) throw stand;
    here.current = stand.current ?? name;
    return { description: stand.description, isGpu: stand.isGpu };
  },
}));
vi.mock("@tensorflow/tfjs", async (original) => {
  const tensor = (values: readonly number[]): object => {
    here.tensors++;
    return { data: async () => values, dispose: () => here.tensors-- };
  };
  return {
    ...(await original<object>()),
    version_core: "4.22.0",
    getBackend: () => here.current,
    backend: () => ({ binding: { TF_Version: "2.9.1" }, isUsingGpuDevice: here.usesGpu }),
    memory: () => ({ numTensors: here.tensors }),
    tidy: (make: () => unknown) => make(),
    randomNormal: (...args: unknown[]) => {
      here.made.push(args);
      return tensor([]);
    },
    conv2d: (_x: unknown, _w: unknown, ...args: unknown[]) => {
      here.made.push(args);
      return tensor((here.backends[here.current] as { values: number[] }).values);
    },
  };
});

beforeEach(() => {
  const stand = (description: string, isGpu = false): Stand => ({ description, isGpu, values: [-1, 3] });
  Object.assign(here, {
    backends: {
      cpu: stand("1 thread"),
      wasm: stand("8 threads"),
      webgpu: stand("NVIDIA L4", true),
      tensorflow: stand("8 threads"),
    },
    current: "",
    started: [],
    made: [],
    tensors: 0,
    gpus: [],
    bf16: undefined,
    libraries: undefined,
    setup: undefined,
    usesGpu: false,
    cpus: [{ model: " A processor " }],
  } satisfies Machine);
  // Half a second passes whenever the clock is looked at.
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => (now += 500));
});
afterEach(() => void vi.restoreAllMocks());

const folder = temporaryFolder();
const system = `mrcnn ${version()}, Node ${process.versions.node}, TensorFlow.js 4.22.0 on ${process.platform} ${process.arch}`;
const processor = "A processor, 8 processors, 16 GB (5 GB free)";
// Two more runs fill the second that is measured, and the clock is read half a second after it:
// 2 runs x 2 x 64 x 64 places x 9 taps x 64 x 64 channels / 1e9 / 1.5 s = 0.4 GFLOP/s.
const works = (name: string, device: string): string =>
  `${name.padEnd(11)} works      0.4 GFLOP/s, ${device}`;

describe("doctor", () => {
  it("says what is here, tries every backend, and which one is taken", async () => {
    const { code, out, err } = await mrcnn("doctor");
    expect({ code, err, out: out.split("\n") }).toEqual({
      code: 0,
      err: "",
      out: [
        system,
        processor,
        works("tensorflow", "8 threads"),
        works("webgpu", "NVIDIA L4"),
        works("wasm", "8 threads"),
        works("cpu", "1 thread"),
        "--backend auto takes webgpu.",
      ],
    });
    expect(here.started).toEqual(["cpu", "tensorflow", "webgpu", "wasm"].map((name) => [name, {}]));
    // One run that is compared and two that are timed, on each of four.
    const own = [
      [[1, 64, 64, 64], 0, 1, "float32", 7],
      [[3, 3, 64, 64], 0, 1, "float32", 8],
      ...Array<unknown>(3).fill([1, "same"]),
    ];
    expect(here.made).toEqual([...own, ...own, ...own, ...own]);
  });

  it("writes all of it as JSON, and leaves no tensor", async () => {
    const json = join(folder, "doctor.json");
    here.bf16 = ["AMX"];
    here.backends["webgpu"] = new Error("no adapter.\nInstall a driver.");
    expect((await mrcnn("doctor", "--json", json)).code).toBe(0);
    const gflops = expect.closeTo((2 * 2 * 64 * 64 * 9 * 64 * 64) / 1e9 / 1.5, 9) as number;
    const text = readFileSync(json, "utf8");
    expect(text).toMatch(/^\{\n {2}"mrcnn".*\}\n$/s);
    expect(JSON.parse(text)).toEqual({
      mrcnn: version(),
      node: process.versions.node,
      tensorflowjs: "4.22.0",
      platform: `${process.platform} ${process.arch}`,
      processor: "A processor",
      processors: 8,
      memoryGb: 16,
      freeMemoryGb: 5,
      bf16: ["AMX"],
      gpus: [],
      backends: [
        { name: "tensorflow", works: true, gflops, device: "8 threads", isGpu: false },
        { name: "webgpu", works: false, problem: "no adapter. Install a driver." },
        { name: "wasm", works: true, gflops, device: "8 threads", isGpu: false },
        { name: "cpu", works: true, gflops, device: "1 thread", isGpu: false },
      ],
      tensors: 0,
    });
  });

  it("says whether bf16 is fast, where that is known", async () => {
    for (const [bf16, line] of [
      [["AMX", "AVX512_BF16"], "bf16 arithmetic: AMX, AVX512_BF16"],
      [[], "bf16 arithmetic: none, so --precision bf16 is not faster here"],
    ] as const) {
      here.bf16 = [...bf16];
      expect((await mrcnn("doctor")).out.split("\n")[2]).toBe(line);
    }
  });

  it("lists the GPUs, and what keeps tensorflow from them", async () => {
    here.gpus = [
      { name: "NVIDIA L4", driver: "550.54.15", memoryMb: 23034, freeMb: 22000, computeCapability: "8.9" },
    ];
    here.setup = { path: "/setup/index.js", folder: "/setup" };
    here.libraries = [
      { name: "libcudart.so.12", problem: "libcudart.so.12: cannot open shared object file: x" },
    ];
    const { out } = await mrcnn("doctor");
    expect(out.split("\n").slice(2, 7)).toEqual([
      "NVIDIA L4, 23034 MB (22000 MB free), compute capability 8.9, driver 550.54.15",
      works("tensorflow", "8 threads"),
      "            TensorFlow 2.9.1 on the CPU (/setup/index.js)",
      "            It can't use the GPU: run `npm run setup:tensorflow -- --gpu`.",
      "            missing: libcudart.so.12",
    ]);
  });

  it("says in JSON what tensorflow is, as far as it loads", async () => {
    const json = join(folder, "tensorflow.json");
    const of = async (): Promise<unknown> => {
      await mrcnn("doctor", "--json", json);
      return (JSON.parse(readFileSync(json, "utf8")) as { backends: { tensorflow: unknown }[] }).backends[0]!
        .tensorflow;
    };
    here.setup = { path: "/other/index.js", folder: "/other" };
    here.usesGpu = true;
    expect(await of()).toEqual({
      path: "/other/index.js",
      folder: "/other",
      version: "2.9.1",
      device: "GPU",
    });
    here.usesGpu = false;
    expect(await of()).toMatchObject({ device: "CPU" });
    here.backends["tensorflow"] = new Error("libtensorflow.so.2: not found");
    here.setup = { path: "/setup/index.js", folder: "/setup" };
    here.libraries = [];
    expect(await of()).toEqual({ path: "/setup/index.js", folder: "/setup", libraries: [] });
  });

  it("passes --verbose on, and knows no processor where the system names none", async () => {
    here.cpus = [];
    const { out } = await mrcnn("doctor", "--verbose");
    expect(out.split("\n")[1]).toBe("unknown, 8 processors, 16 GB (5 GB free)");
    expect(here.started).toEqual(
      ["cpu", "tensorflow", "webgpu", "wasm"].map((name) => [name, { verbose: true }]),
    );
  });

  it("refuses a backend that computes otherwise than the plain one", async () => {
    // 1e-4 of 4 is 0.0004.
    here.backends["wasm"] = { description: "8 threads", isGpu: false, values: [4.0005] };
    here.backends["webgpu"] = { description: "NVIDIA L4", isGpu: true, values: [3.9997] };
    const lines = (await mrcnn("doctor")).out.split("\n");
    expect(lines).toContain(
      "wasm        absent  computes wrongly: a convolution gives 4.0005 where 4 is right. Do not use it here.",
    );
    expect(lines).toContain(works("webgpu", "NVIDIA L4"));
  });

  const missing = new Error("it is not here.");
  it.each<[string, string, Record<string, Stand>, number]>([
    [
      "tensorflow on a GPU before webgpu",
      "--backend auto takes tensorflow.",
      { tensorflow: { description: "on the GPU", isGpu: true, values: [4] } },
      0,
    ],
    [
      "tensorflow before webgpu on a software adapter",
      "--backend auto takes tensorflow.",
      { webgpu: { description: "llvmpipe, which is no GPU", isGpu: false, values: [4] } },
      0,
    ],
    [
      "wasm before webgpu on a software adapter",
      "--backend auto takes wasm.",
      {
        tensorflow: missing,
        webgpu: { description: "llvmpipe, which is no GPU", isGpu: false, values: [4] },
      },
      0,
    ],
    // `auto` never takes these two.
    [
      "none where only cpu and a software adapter work",
      "--backend auto finds none here. These can be named: --backend webgpu or cpu.",
      {
        tensorflow: missing,
        wasm: missing,
        webgpu: { description: "llvmpipe, which is no GPU", isGpu: false, values: [4] },
      },
      1,
    ],
    [
      "none where none works",
      "No backend works here.",
      { tensorflow: missing, wasm: missing, webgpu: missing, cpu: missing },
      1,
    ],
  ])("says that auto takes %s", async (_, line, backends, code) => {
    Object.assign(here.backends, backends);
    const outcome = await mrcnn("doctor");
    expect([outcome.code, outcome.out.split("\n").at(-1)]).toEqual([code, line]);
  });

  it("says of a backend that starts and is not taken what computes in its place", async () => {
    here.backends["tensorflow"] = { description: "8 threads", isGpu: false, values: [4], current: "cpu" };
    const { out } = await mrcnn("doctor");
    expect(out.split("\n")[2]).toBe("tensorflow  absent  does not start: TensorFlow.js stays with cpu.");
  });
});
