import { chmodSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { bf16Instructions, codeFor, cudaLibraries, nvidiaGpus } from "../src/hardware.ts";
import { temporaryFolder } from "./command.ts";

const folder = temporaryFolder();
const path = process.env.PATH;
afterEach(() => void (process.env.PATH = path));

/** A program that writes `text`, to stdout or stderr. */
function program(name: string, text: string, to: "stdout" | "stderr" = "stdout"): void {
  writeFileSync(join(folder, name), `#!${process.execPath}\nprocess.${to}.write(${JSON.stringify(text)});\n`);
  chmodSync(join(folder, name), 0o755);
}

describe("bf16Instructions", () => {
  const of = (line: string): string[] | undefined => {
    writeFileSync(join(folder, "cpuinfo"), `processor\t: 0\n${line}\n\n`);
    return bf16Instructions(join(folder, "cpuinfo"));
  };
  it("are read from the processor's flags", () => {
    expect(of("flags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_tile")).toEqual(["AMX", "AVX512_BF16"]);
    expect(of("flags\t\t: fpu avx2 avx512f")).toEqual([]);
    expect(of("Features\t: fp asimd bf16")).toEqual(["BF16"]);
    expect(of("model name\t: unheard of")).toBeUndefined();
    expect(bf16Instructions(join(folder, "none"))).toBeUndefined();
  });
});

describe.skipIf(process.platform === "win32")("nvidiaGpus", () => {
  it("are those that nvidia-smi lists", async () => {
    program(
      "nvidia-smi",
      "NVIDIA H100 80GB HBM3, 550.54.15, 81559, 80994, 9.0\nNVIDIA GeForce RTX 4090, 550.54.15, 24564, 1200, 8.9\n",
    );
    process.env.PATH = folder + delimiter + path;
    expect(await nvidiaGpus()).toEqual([
      {
        name: "NVIDIA H100 80GB HBM3",
        driver: "550.54.15",
        memoryMb: 81559,
        freeMb: 80994,
        computeCapability: "9.0",
      },
      {
        name: "NVIDIA GeForce RTX 4090",
        driver: "550.54.15",
        memoryMb: 24564,
        freeMb: 1200,
        computeCapability: "8.9",
      },
    ]);
  });
  it("are asked for in the order in which they are read", async () => {
    writeFileSync(
      join(folder, "nvidia-smi"),
      `#!${process.execPath}\nconst fields = process.argv[2].split("=")[1].split(",");\n` +
        `const values = { name: "NVIDIA L4", driver_version: "550.54.15", "memory.total": "23034", "memory.free": "22000", compute_cap: "8.9" };\n` +
        `if (process.argv[3] === "--format=csv,noheader,nounits") console.log(fields.map((field) => values[field]).join(", "));\n`,
    );
    process.env.PATH = folder + delimiter + path;
    expect(await nvidiaGpus()).toEqual([
      { name: "NVIDIA L4", driver: "550.54.15", memoryMb: 23034, freeMb: 22000, computeCapability: "8.9" },
    ]);
  });
  it("are none where its driver does not answer", async () => {
    program("nvidia-smi", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n");
    process.env.PATH = folder + delimiter + path;
    expect(await nvidiaGpus()).toEqual([]);
  });
});

describe("codeFor", () => {
  const built = ["sm_60", "sm_70", "sm_80", "sm_89", "compute_90"];
  it.each([
    ["5.2", "none"],
    ["6.1", "ready"], // sm_60 runs on every 6.x
    ["7.5", "ready"],
    ["8.6", "ready"],
    ["8.9", "ready"],
    ["9.0", "compiled first"],
    ["12.0", "compiled first"],
  ])("a GPU of %s: %s", (capability, how) => expect(codeFor(capability, built)).toBe(how));
  it("is none for GPUs later than all there is", () =>
    expect(codeFor("9.0", ["sm_80", "sm_86"])).toBe("none"));
  it("needs a minor version that is not later", () => expect(codeFor("8.0", ["sm_86"])).toBe("none"));
  it("is ready on the very generation, and compiled first from code for it or an earlier one", () => {
    expect(codeFor("8.0", ["sm_80"])).toBe("ready");
    expect(codeFor("8.6", ["compute_86"])).toBe("compiled first");
    expect(codeFor("8.6", ["compute_87"])).toBe("none");
    expect(codeFor("8.6", ["compute_90"])).toBe("none");
  });
});

describe.skipIf(process.platform === "win32")("cudaLibraries", () => {
  it("are those that TensorFlow tried to open, with why it could not", async () => {
    program(
      "cuda-libraries",
      "I0000 00:00:1795620351.476873    4458 port.cc:153] oneDNN custom operations are on.\n" +
        "I0000 00:00:1795620351.479226    4458 dso_loader.cc:144] Could not load dynamic library 'libcuda.so.1'; dlerror: libcuda.so.1: cannot open shared object file: No such file or directory\n" +
        "I0000 00:00:1795620428.525217    4760 dso_loader.cc:133] Successfully opened dynamic library libcudart.so.12\n",
      "stderr",
    );
    expect(await cudaLibraries(folder)).toEqual([
      {
        name: "libcuda.so.1",
        problem: "libcuda.so.1: cannot open shared object file: No such file or directory",
      },
      { name: "libcudart.so.12" },
    ]);
    expect(await cudaLibraries(join(folder, "none"))).toBeUndefined();
  });
});
