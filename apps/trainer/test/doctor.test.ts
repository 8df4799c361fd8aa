import { describe, expect, it } from "vitest";
import { describeTensorflow } from "../src/commands/doctor.ts";

const path = "/app/node_modules/@tensorflow/tfjs-node/dist/index.js";
const gpu = {
  name: "NVIDIA L4",
  driver: "550.54.15",
  memoryMb: 23034,
  freeMb: 22000,
  computeCapability: "8.9",
};
const cuda = {
  version: "12.5.1",
  cudnn: "9",
  capabilities: ["sm_60", "sm_70", "sm_80", "sm_89", "compute_90"],
};
const libraries = ["libcuda.so.1", "libcudart.so.12", "libcusparse.so.12", "libcudnn.so.9"].map((name) => ({
  name,
}));

describe("doctor, of backend tensorflow", () => {
  it("says where it computes", () => {
    expect(describeTensorflow({ path, folder: "/app/", version: "2.9.1", device: "CPU" }, [])).toEqual([
      `TensorFlow 2.9.1 on the CPU (${path})`,
    ]);
    expect(
      describeTensorflow(
        { path, folder: "/x/", how: "addon built", version: "2.21.0", device: "GPU", cuda, libraries },
        [gpu],
      ),
    ).toEqual([
      "TensorFlow 2.21.0 on the GPU (addon built)",
      "built for CUDA 12.5.1, cuDNN 9 and GPUs of sm_60, sm_70, sm_80, sm_89, compute_90",
    ]);
  });

  it("says how to use a GPU that is here", () => {
    expect(describeTensorflow({ path, folder: "/app/", version: "2.9.1", device: "CPU" }, [gpu])).toContain(
      "It can't use the GPU: run `npm run setup:tensorflow -- --gpu`.",
    );
  });

  it("names what is missing, and why it can't be opened where that is not plain", () => {
    const notFound = (name: string): { name: string; problem: string } => ({
      name,
      problem: `${name}: cannot open shared object file: No such file or directory`,
    });
    const lines = (missing: { name: string; problem: string }[]): string[] =>
      describeTensorflow(
        { path, folder: "/x/", cuda, libraries: [...libraries.slice(2), ...missing] },
        [],
      ).slice(1);
    expect(lines([notFound("libcuda.so.1")])).toEqual([
      "missing: libcuda.so.1, NVIDIA's driver",
      "For a GPU install NVIDIA's driver.",
    ]);
    const dependency = {
      name: "libcusparse.so.12",
      problem: "libnvJitLink.so.12: cannot open shared object file: No such file or directory",
    };
    expect(lines([notFound("libcudart.so.12"), dependency])).toEqual([
      "missing: libcudart.so.12",
      "missing: libcusparse.so.12 (libnvJitLink.so.12: cannot open shared object file: No such file or directory)",
      "`npm run setup:tensorflow -- --gpu --cuda` fetches the CUDA libraries that are missing.",
    ]);
  });

  it("says when the GPU is one that TensorFlow has no code for, or must compile it", () => {
    const of = (computeCapability: string): string[] =>
      describeTensorflow({ path, folder: "/x/", cuda, libraries }, [{ ...gpu, computeCapability }]).slice(1);
    expect(of("8.9")).toEqual([]);
    expect(of("5.2")).toEqual(["It has no code for NVIDIA L4 (compute capability 5.2)."]);
    expect(of("12.0")).toEqual([
      "Its code is compiled for NVIDIA L4 (compute capability 12.0) at the first start, which takes minutes.",
    ]);
  });
});
