import { memory } from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { coco90 } from "../src/coco.ts";
import { toFound } from "../src/found.ts";
import { loadMaskRcnn } from "../src/load-page.ts";
import { sendFile, serve } from "./file-server.ts";
import { narrowFile, narrowModel, noise } from "./narrow.ts";

const settings = { minSize: 64, maxSize: 96, scoreThreshold: 0.001, maxDetections: 4 } as const;
const small = { ...settings, backend: "current" } as const;
const image = noise(80, 60);
let bytes: Uint8Array<ArrayBuffer>;
let expected: object;

beforeAll(async () => {
  const model = narrowModel(90, { backbone: { eps: 0 } });
  bytes = new Uint8Array(await narrowFile(model));
  const [found] = await model.detect([image], settings);
  expected = toFound(found!, coco90, []);
  model.dispose();
});
afterEach(() => vi.unstubAllGlobals());

describe("loadMaskRcnn in a page", () => {
  it("finds what the model itself finds, from bytes, files and URLs", async () => {
    const before = memory().numTensors;
    const server = await serve((request, response) => sendFile(request, response, bytes));
    vi.stubGlobal("document", { baseURI: `${server.url}/app/index.html` });
    for (const weights of [
      bytes,
      bytes.buffer,
      new Blob([bytes]),
      new File([bytes], "w.safetensors"),
      `${server.url}/w.safetensors`,
      "models/w.safetensors",
    ]) {
      const model = await loadMaskRcnn({ ...small, weights, model: "maskrcnn_resnet50_fpn" });
      expect(await model.detect(image)).toEqual(expected);
      model.dispose();
      await expect(model.detect(image)).rejects.toThrow("disposed");
    }
    expect(server.requests.map(({ url }) => url)).toEqual(["/w.safetensors", "/app/models/w.safetensors"]);
    expect(memory().numTensors).toBe(before);
  });

  it("keeps what has come of a download that fails, and what the first one was", async () => {
    const kept = new Map<string, Response>();
    const cache = {
      match: async (url: string) => kept.get(url)?.clone(),
      put: async (url: string, response: Response) => void kept.set(url, response),
      delete: async (url: string) => kept.delete(url),
    };
    vi.stubGlobal("caches", { open: async () => cache });
    let now = bytes;
    const server = await serve((request, response, count) =>
      count === 1 ?
        response.writeHead(403).end()
      : sendFile(request, response, now, { etag: `"${now.length}"`, cut: count === 0 ? 5000 : Infinity }),
    );
    const options = {
      ...small,
      weights: `${server.url}/w.safetensors`,
      model: "maskrcnn_resnet50_fpn",
      backoffMs: 5,
    };
    await expect(loadMaskRcnn(options)).rejects.toThrow("answers 403");
    expect([...kept.keys()]).toEqual([`${options.weights}?mrcnn-part`]);
    (await loadMaskRcnn(options)).dispose();
    expect(server.requests.at(-1)!.range).toMatch(/^bytes=\d+-$/);
    const { headers } = kept.get(options.weights)!;
    kept.set(options.weights, new Response(new Uint8Array(9), { headers }));
    now = new Uint8Array(100);
    for (let n = 0; n < 2; n++)
      await expect(loadMaskRcnn(options)).rejects.toThrow("that of the first download");
  });

  it("tells a misspelled name from a URL, and names the file", async () => {
    vi.stubGlobal("document", { baseURI: "http://127.0.0.1/" });
    await expect(loadMaskRcnn({ ...small, weights: "maskrcnn_resnet50_fnp" })).rejects.toThrow(
      'Did you mean "maskrcnn_resnet50_fpn"?',
    );
    await expect(loadMaskRcnn({ ...small, weights: new File(["text"], "notes.txt") })).rejects.toThrow(
      /^notes\.txt: /,
    );
    await expect(loadMaskRcnn({ ...small, weights: bytes, wasmPath: "/wasm/" })).rejects.toThrow(
      'loadMaskRcnn: wasmPath has no effect with backend "current"',
    );
    await expect(loadMaskRcnn({ ...small, weights: bytes, cacheDir: "cache" } as never)).rejects.toThrow(
      "loadMaskRcnn: cacheDir is not an option here. Node has it",
    );
    await expect(loadMaskRcnn({ ...small, weights: new Blob([bytes]), redownload: true })).rejects.toThrow(
      "loadMaskRcnn: redownload has no effect with weights that are here",
    );
    await expect(loadMaskRcnn({ ...small, weights: bytes, scoreTreshold: 1 } as never)).rejects.toThrow(
      'Did you mean "scoreThreshold"?',
    );
    await expect(loadMaskRcnn({ ...small, weights: bytes, backend: "webgl" as never })).rejects.toThrow(
      'backend must be "auto", "webgpu", "wasm", "cpu" or "current", got "webgl"',
    );
  });
});
