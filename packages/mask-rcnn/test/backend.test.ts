// Which backend is chosen, and that a GPU's loss is noticed. In a page: page.test.ts.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startWasm } from "@mrcnn/backend-wasm";
import { webgpuBackend } from "@mrcnn/backend-webgpu";
import { startWebgpu } from "@mrcnn/backend-webgpu/node";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { backendState } from "../../../tools/setup/backends.mjs";
import { loadMaskRcnn } from "../src/load-node.ts";
import { loadMaskRcnn as loadInPage } from "../src/load-page.ts";
import { narrowFile, narrowModel, noise } from "./narrow.ts";

const small = { minSize: 64, maxSize: 96, scoreThreshold: 0.001, maxDetections: 4 };
const image = noise(80, 60);
let weights: Uint8Array;

beforeAll(async () => {
  await startWasm();
  const model = narrowModel(90, { backbone: { eps: 0 } });
  weights = await narrowFile(model);
  model.dispose();
  vi.stubEnv("MRCNN_TENSORFLOW", mkdtempSync(join(tmpdir(), "mrcnn-none-")));
});
afterEach(() => vi.unstubAllGlobals());

describe("auto", () => {
  const choice = async (load: typeof loadInPage): Promise<string> => {
    const model = await load({ weights, ...small });
    model.dispose();
    return model.backend;
  };

  it("is a GPU in Node, else WebAssembly", async () => {
    const gpu = await startWebgpu({ software: false }).catch(() => undefined);
    expect(await choice(loadMaskRcnn as typeof loadInPage)).toBe(gpu === undefined ? "wasm" : "webgpu");
  });

  it.each<[string, object | undefined]>([
    ["without WebGPU", undefined],
    ["without an adapter", { requestAdapter: async () => null }],
    [
      "with a program in place of a GPU",
      {
        requestAdapter: async () => ({
          info: { vendor: "google", architecture: "swiftshader" },
          features: new Set(),
          requestDevice: () => expect.unreachable(),
        }),
      },
    ],
    [
      "whose GPU gives no device",
      {
        requestAdapter: async () => ({
          info: { vendor: "nvidia" },
          features: new Set(),
          limits: {},
          requestDevice: () => Promise.reject(new Error("blocked")),
        }),
      },
    ],
    ["whose GPU process is gone", { requestAdapter: () => Promise.reject(new Error("gone")) }],
  ])("is WebAssembly in a page %s", async (_, gpu) => {
    vi.stubGlobal("navigator", { hardwareConcurrency: 1, ...(gpu && { gpu }) });
    expect(await choice(loadInPage)).toBe("wasm");
  });
});

describe.skipIf(!backendState("webgpu").available)("webgpu in Node", () => {
  const load = { ...small, backend: "webgpu" } as const;

  it("finds what plain JavaScript finds, with several models on one device", async () => {
    const plain = await loadMaskRcnn({ ...small, weights, backend: "cpu" });
    const expected = await plain.detect(image);
    plain.dispose();
    const [one, other] = await Promise.all([
      loadMaskRcnn({ ...load, weights }),
      loadMaskRcnn({ ...load, weights }),
    ]);
    expect([one.backend, other.backend]).toEqual(["webgpu", "webgpu"]);
    for (const model of [one, other]) {
      const { objects } = await model.detect(image);
      expect(objects.map(({ label }) => label)).toEqual(expected.objects.map(({ label }) => label));
      for (const [i, { box }] of objects.entries()) {
        for (const side of ["x", "y", "width", "height"] as const)
          expect(Math.abs(box[side] - expected.objects[i]!.box[side])).toBeLessThan(0.01);
      }
    }
    one.dispose();
    other.dispose();
  });

  it("rejects when the device is lost, and works again once the model is loaded again", async () => {
    const lost = await loadMaskRcnn({ ...load, weights });
    const expected = await lost.detect(image);
    webgpuBackend().device.destroy();
    const refusal = { code: "backend", message: expect.stringMatching(/lost.*load the model again/i) };
    for (let i = 0; i < 2; i++) await expect(lost.detect(image)).rejects.toMatchObject(refusal);
    const model = await loadMaskRcnn({ ...load, weights });
    await expect(lost.detect(image)).rejects.toMatchObject(refusal);
    lost.dispose();
    expect(await model.detect(image)).toEqual(expected);
    model.dispose();
  });
});
