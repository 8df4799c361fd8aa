// Runs where an adapter is; the suites of the ops run there too.
import { backendState } from "../../../tools/setup/backends.mjs";
import { getBackend, matMul, memory, ones, tensor1d, zeros } from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs";
import { describe, expect, it } from "vitest";
import { webgpuBackend } from "../src/index.ts";
import { startWebgpu as startInPage } from "../src/start.ts";
import { startWebgpu } from "../src/node.ts";

it("says what to do where a browser has no WebGPU", async () => {
  await expect(startInPage()).rejects.toThrow(
    'startWebgpu: this browser has no WebGPU here. Use a current Chrome, Edge, Safari or Firefox over https (or localhost), or backend "wasm".',
  );
});

describe.skipIf(!backendState("webgpu").available)("startWebgpu in Node", () => {
  it("refuses a limit that can't be meant, and an adapter that is not here", async () => {
    await expect(startWebgpu({ memoryLimitMb: 0 })).rejects.toThrow(
      "startWebgpu: memoryLimitMb must be a number above 0, got 0.",
    );
    await expect(startWebgpu({ adapter: "no such GPU", software: false })).rejects.toThrow(
      'startWebgpu: adapter must be part of the name of one that is here, got "no such GPU".',
    );
  });

  it("makes webgpu the current backend, and counts what moves", async () => {
    const { description } = await startWebgpu();
    expect(description).not.toBe("");
    expect(getBackend()).toBe("webgpu");
    const backend = webgpuBackend();
    backend.resetTraffic();
    const [a, b] = [ones([64, 64]), ones([64, 64])];
    const product = matMul(a as never, b as never);
    expect(new Set(await product.data())).toEqual(new Set([64]));
    expect(backend.traffic.readbacks).toBe(1);
    expect(backend.traffic.bytesRead).toBe(4 * 64 * 64);
    expect(backend.traffic.dispatches).toBeGreaterThanOrEqual(1);
    for (const tensor of [a, b, product]) tensor.dispose();
  });

  it("holds no more than its limit, gives back what is unused, and names the limit and the settings that help", async () => {
    await startWebgpu({ memoryLimitMb: 4 });
    const backend = webgpuBackend();
    // Of ever other sizes, 2 MB together at once, 40 MB in all.
    for (let i = 0; i < 20; i++) {
      const x = tensor1d(new Float32Array(500_000 + 5_000 * i));
      backend.uploadToGPU(x.dataId);
      x.dispose();
    }
    expect(backend.peakBytes).toBeLessThanOrEqual(4 * 2 ** 20);
    const tensors = memory().numTensors;
    const big = zeros([2_000_000]);
    expect(() => backend.uploadToGPU(big.dataId)).toThrow(
      /webgpu: \d+ MB of GPU memory are needed, and the limit is 4 MB\. Use smaller images .* or raise memoryLimitMb/,
    );
    big.dispose();
    expect(memory().numTensors).toBe(tensors);
  });

  it("reports a device that is lost instead of answering, and starts anew", async () => {
    await startWebgpu();
    const x = tensor1d([1, 2, 3]);
    const backend = webgpuBackend();
    backend.uploadToGPU(x.dataId);
    backend.device.destroy();
    await expect(x.data()).rejects.toThrow(/webgpu: .*lost.*[Ll]oad the model again/);
    await startWebgpu();
    const y = tensor1d([4, 5]);
    webgpuBackend().uploadToGPU(y.dataId);
    expect([...(await y.data())]).toEqual([4, 5]);
  });
});
