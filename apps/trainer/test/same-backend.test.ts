// The library, the command and the page choose the same backend on the same machine.
import { beforeEach, describe, expect, it, vi } from "vitest";
import { chooseBackend as ofCommand } from "../src/backend.ts";
import { chooseBackend as ofPage } from "../../web/src/backends.ts";
import { startBackend as ofLibrary } from "../../../packages/mask-rcnn/src/start-backend-node.ts";

const here = vi.hoisted(() => ({ tensorflow: "absent", webgpu: "absent", current: "" }));
vi.mock("@mrcnn/backend-cuda", async (original) => ({
  ...(await original<object>()),
  tensorflowAvailable: () => here.tensorflow !== "absent",
  loadTensorflow: async () => {
    if (here.tensorflow === "broken") throw new Error("the addon does not load");
  },
  registerCudaKernels: () => {},
}));
vi.mock("@mrcnn/backend-webgpu/node", () => ({
  startWebgpu: async ({ software = true }: { software?: boolean }) => {
    if (here.webgpu === "absent" || here.webgpu === "broken" || (here.webgpu === "software" && !software))
      throw new Error("no GPU");
    here.current = "webgpu";
    return { description: "an adapter", isSoftware: here.webgpu === "software" };
  },
}));
vi.mock("@mrcnn/backend-wasm", () => ({
  startWasm: async () => {
    here.current = "wasm";
    return 2;
  },
}));
const engine = vi.hoisted(() => ({
  enableProdMode: () => {},
  setBackend: async (name: string) => {
    here.current = name;
    return true;
  },
  getBackend: () => here.current,
  backend: () => ({ isUsingGpuDevice: here.tensorflow === "gpu" }),
  ready: async () => {},
}));
vi.mock("@tensorflow/tfjs", () => engine);
vi.mock("@tensorflow/tfjs-core", async (original) => ({ ...(await original<object>()), ...engine }));

beforeEach(() => vi.unstubAllGlobals());

const tensorflows = ["absent", "broken", "cpu", "gpu"] as const;
const adapters = ["absent", "broken", "software", "gpu"] as const;
const machines = tensorflows.flatMap((tensorflow) => adapters.map((webgpu) => [tensorflow, webgpu] as const));
// The GPU is right, wherever it is; native TensorFlow's is the faster one; else native code before WebAssembly.
const expected = (tensorflow: string, webgpu: string): string =>
  tensorflow === "gpu" ? "tensorflow"
  : webgpu === "gpu" ? "webgpu"
  : tensorflow === "cpu" ? "tensorflow"
  : "wasm";

describe.each(machines)("with tensorflow %s and WebGPU %s", (tensorflow, webgpu) => {
  beforeEach(() => Object.assign(here, { tensorflow, webgpu, current: "" }));

  it("library and command agree", async () => {
    const name = expected(tensorflow, webgpu);
    expect(await ofLibrary("auto")).toBe(name);
    here.current = "";
    const said: string[] = [];
    const terminal = { out: () => {}, note: (line: string) => void said.push(line), interactive: false };
    expect(await ofCommand({ backend: "auto" }, terminal)).toBe(name);
    expect(said).toEqual([expect.stringMatching(new RegExp(`^Backend: ${name}, `))]);
  });

  it("the page does, as far as a browser has backends", async () => {
    const info =
      webgpu === "software" ? { vendor: "google", architecture: "swiftshader" } : { vendor: "nvidia" };
    const requestAdapter = async (): Promise<object | null> => {
      if (webgpu === "broken") throw new Error("gone");
      return { info, features: new Set() };
    };
    vi.stubGlobal("navigator", { ...(webgpu !== "absent" && { gpu: { requestAdapter } }) });
    expect(await ofPage("auto")).toBe(expected("absent", webgpu));
  });
});
