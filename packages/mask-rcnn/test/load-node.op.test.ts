import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { memory } from "@tensorflow/tfjs-core";
import { writeImageFile } from "@mrcnn/datasets/node";
import { toArrays, toTorch, writeShards } from "@mrcnn/weights";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cachedPath } from "../src/cache-folder.ts";
import { catalogEntry } from "../src/catalog.ts";
import { fileInCatalog, isCached } from "../src/download.ts";
import { toFound } from "../src/found.ts";
import { cocoKeypoints } from "../src/coco.ts";
import { loadMaskRcnn, readWeightsFile } from "../src/load-node.ts";
import { narrowFile, narrowModel, noise } from "./narrow.ts";
import { sendFile, serve } from "./file-server.ts";

const folder = mkdtempSync(join(tmpdir(), "mrcnn-load-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const settings = { minSize: 64, maxSize: 96, scoreThreshold: 0.001, maxDetections: 4 } as const;
const small = { ...settings, backend: "current" } as const;
const image = noise(80, 60);
const photo = join(folder, "photo.png");
const path = join(folder, "w.safetensors");
// As many classes as torchvision's models of COCO have are not COCO's for that.
const unnamed = Array.from({ length: 90 }, (_, i) => ({ id: i + 1, name: `class ${i + 1}` }));
let bytes: Uint8Array;
let expected: object;

beforeAll(async () => {
  await writeImageFile(photo, image);
  // torchvision's detectors with frozen batch norm have eps 0, which a file can't say.
  const model = narrowModel(90, { backbone: { eps: 0 } });
  bytes = await narrowFile(model);
  writeFileSync(path, bytes);
  const [found] = await model.detect([image], settings);
  expected = toFound(found!, unnamed, []);
  model.dispose();
});

describe("loadMaskRcnn", () => {
  it("finds what the model itself finds, from bytes, paths and URLs, in images of any kind", async () => {
    const before = memory().numTensors;
    const server = await serve((request, response) => sendFile(request, response, bytes));
    const cacheDir = join(folder, "cache");
    for (const weights of [
      bytes,
      bytes.slice().buffer,
      path,
      pathToFileURL(path),
      `${server.url}/w.safetensors`,
      `${server.url}/w.safetensors`,
    ] as const) {
      const model = await loadMaskRcnn({
        ...small,
        weights,
        ...(typeof weights === "string" && weights.startsWith("http") && { cacheDir }),
      });
      expect(await model.detect(image)).toEqual(expected);
      expect(model.categories).toEqual(unnamed);
      model.dispose();
      model.dispose();
      await expect(model.detect(image)).rejects.toThrow("the detector has been disposed");
    }
    expect(server.requests).toHaveLength(1);
    const { readFileSync } = await import("node:fs");
    const model = await loadMaskRcnn({ ...small, weights: path });
    const all = await Promise.all([
      model.detect(photo),
      model.detect(pathToFileURL(photo)),
      model.detect(readFileSync(photo)),
      model.detect(new Uint8Array(readFileSync(photo)).buffer),
    ]);
    for (const found of all) expect(found).toEqual(expected);
    expect((await model.detect(image, { maxDetections: 2 })).objects).toEqual(
      (expected as { objects: unknown[] }).objects.slice(0, 2),
    );
    await expect(model.detect(join(folder, "none.png"))).rejects.toThrow(/none\.png/);
    await expect(model.detect({ ...image, data: new Uint8Array(80 * 60 * 4) })).rejects.toThrow(/RGB bytes/);
    model.dispose();
    await model.detect(image).catch(() => {});
    expect(memory().numTensors).toBe(before);
  });

  it("knows a file that is the catalog's by its checksum, whatever its name, and takes none of this project's own formats for one", async () => {
    const file = join(folder, "renamed.pt");
    writeFileSync(file, bytes);
    const [entry, other] = [
      catalogEntry("maskrcnn_resnet50_fpn"),
      catalogEntry("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x"),
    ];
    const before = [entry.checksum, other.checksum];
    const guessed = await loadMaskRcnn({ ...small, weights: file });
    expect(guessed.assumed).toContain("backbone.eps=0");
    expect(guessed.categories).toEqual(unnamed);
    guessed.dispose();
    try {
      Object.assign(entry, {
        checksum: {
          algorithm: "sha256",
          prefix: createHash("sha256").update(bytes).digest("hex").slice(0, 8),
        },
      });
      const known = await loadMaskRcnn({ ...small, weights: file });
      expect(known.assumed).toEqual([]);
      expect(known.categories).toEqual(entry.categories);
      known.dispose();
      expect(await fileInCatalog(path)).toBeUndefined();
      // detectron2 publishes md5.
      Object.assign(entry, { checksum: before[0] });
      Object.assign(other, {
        checksum: { algorithm: "md5", prefix: createHash("md5").update(bytes).digest("hex").slice(0, 6) },
      });
      expect(await fileInCatalog(file)).toBe(other);
    } finally {
      Object.assign(entry, { checksum: before[0] });
      Object.assign(other, { checksum: before[1] });
    }
    expect(await fileInCatalog(file)).toBeUndefined();
  });

  it("reads shards by their index, from a folder or a server", async () => {
    const model = narrowModel(90, { backbone: { eps: 0 } });
    const { index, shards } = writeShards(await toArrays(model.variables), 100_000, {
      name: "w",
      metadata: { format: "mrcnn", numerics: "torchvision", norm: "frozen_batch_norm" },
    });
    model.dispose();
    expect(shards.length).toBeGreaterThan(2);
    const files = new Map<string, Uint8Array>([
      ["w.safetensors.index.json", Buffer.from(JSON.stringify(index))],
      ...shards.map(({ file, bytes: own }) => [file, own] as const),
    ]);
    for (const [name, content] of files) writeFileSync(join(folder, name), content);
    const server = await serve((request, response) =>
      sendFile(request, response, files.get(request.url!.slice("/models/".length))!),
    );
    for (const weights of [
      join(folder, "w.safetensors.index.json"),
      `${server.url}/models/w.safetensors.index.json`,
    ]) {
      const loaded = await loadMaskRcnn({
        ...small,
        weights,
        ...(weights.startsWith("http") && { cacheDir: join(folder, "cache") }),
      });
      expect(await loaded.detect(image)).toEqual(expected);
      loaded.dispose();
    }
    expect(server.requests).toHaveLength(files.size);
  });

  it("takes what a file says of its numerics, and of its pixels", async () => {
    const model = narrowModel(2);
    const load = async (metadata: Record<string, string>) => {
      const loaded = await loadMaskRcnn({
        weights: await narrowFile(model, metadata),
        classes: ["a", "b"],
        ...small,
      });
      const { config } = loaded.model;
      loaded.dispose();
      return config;
    };
    expect((await load({})).backbone.eps).toBe(0);
    // As `mrcnn train` writes it: no library's.
    expect((await load({ numerics: "" })).backbone.eps).toBe(1e-5);
    const { numerics, image, backbone } = await load({
      numerics: "detectron2",
      pixel_mean: "[102.9801,115.9465,122.7717]",
      pixel_std: "[1,1,1]",
    });
    expect([numerics, image.mean, image.channelOrder, backbone.eps]).toEqual([
      "detectron2",
      [102.9801, 115.9465, 122.7717],
      "bgr",
      1e-5,
    ]);
    expect((await load({ numerics: "detectron2" })).image.mean).toEqual([103.53, 116.28, 123.675]);
    await expect(load({ numerics: "detectron2", pixel_mean: "no numbers" })).rejects.toThrow(
      "its metadata's pixel_mean must be JSON",
    );
    model.dispose();
  });

  it("tells shards in torch's layout by their names, as a single file", async () => {
    const model = narrowModel(2);
    const { index, shards } = writeShards(toTorch(await toArrays(model.variables)), 100_000, {
      name: "torch",
    });
    for (const { file, bytes: own } of shards) writeFileSync(join(folder, file), own);
    const at = join(folder, "torch.safetensors.index.json");
    writeFileSync(at, JSON.stringify(index));
    const { source, norm, arrays } = await readWeightsFile(at);
    expect([source, norm]).toEqual(["torchvision", "frozen_batch_norm"]);
    const stem = model.variables.get("backbone.body.conv1.weight")!;
    expect(arrays.get("backbone.body.conv1.weight")!.shape).toEqual(stem.shape);
    expect([...arrays.get("backbone.body.conv1.weight")!.data]).toEqual([...(await stem.data())]);
    model.dispose();
  });

  it("names classes and keypoints", async () => {
    const keypoints = narrowModel(1, { mask: false, keypoints: cocoKeypoints, backbone: { eps: 0 } });
    const loaded = await loadMaskRcnn({
      ...small,
      weights: await narrowFile(keypoints),
      model: "keypointrcnn_resnet50_fpn",
    });
    const { objects } = await loaded.detect(image);
    expect(objects[0]).toMatchObject({ label: 1, categoryId: 1, name: "person" });
    expect(objects[0]!.keypoints!.map(({ name }) => name)).toEqual(cocoKeypoints);
    loaded.dispose();
    keypoints.dispose();
    const own = narrowModel(2);
    const file = await narrowFile(own);
    own.dispose();
    const named = await loadMaskRcnn({ ...small, weights: file, classes: ["cell", "nucleus"] });
    expect(named.categories).toEqual([
      { id: 1, name: "cell" },
      { id: 2, name: "nucleus" },
    ]);
    named.dispose();
    const plain = await loadMaskRcnn({ ...small, weights: file, model: "maskrcnn_resnet50_fpn" });
    expect(plain.categories.map(({ name }) => name)).toEqual(["class 1", "class 2"]);
    plain.dispose();
    await expect(loadMaskRcnn({ ...small, weights: file, classes: ["cell"] })).rejects.toThrow(
      "the weights tell 2 classes apart, 1 names were given",
    );
  });

  it.each<[string, string, object, Record<string, string>, string]>([
    [
      "another library's",
      "maskrcnn_resnet50_fpn",
      {},
      { numerics: "detectron2" },
      "these are weights of detectron2, but maskrcnn_resnet50_fpn is torchvision's. Name a model of detectron2",
    ],
    [
      "without masks",
      "maskrcnn_resnet50_fpn",
      { mask: false },
      {},
      "maskrcnn_resnet50_fpn has a mask head; these weights are of a network with no mask head",
    ],
    [
      "with masks",
      "fasterrcnn_resnet50_fpn",
      {},
      {},
      "fasterrcnn_resnet50_fpn has no mask head; these weights are of a network with a mask head",
    ],
    [
      "of another depth",
      "maskrcnn_resnet50_fpn",
      { backbone: { depth: 101 } },
      {},
      "has ResNet-50; these weights are of a network with ResNet-101",
    ],
    [
      "of the first version",
      "maskrcnn_resnet50_fpn_v2",
      {},
      {},
      "has 2 RPN convolutions; these weights are of a network with 1 RPN convolution",
    ],
    [
      "without a pyramid",
      "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x",
      { numerics: "detectron2", architecture: "dc5" },
      { numerics: "detectron2" },
      "has FPN; these weights are of a network with DC5",
    ],
  ])("refuses weights %s where %s is named", async (_, model, options, metadata, message) => {
    const before = memory().numTensors;
    const other = narrowModel(90, options);
    const file = await narrowFile(other, metadata);
    other.dispose();
    await expect(loadMaskRcnn({ ...small, weights: file, model })).rejects.toThrow(message);
    expect(memory().numTensors).toBe(before);
  });

  it("keeps nothing that turns out to be no weights", async () => {
    const server = await serve((request, response) =>
      sendFile(request, response, Buffer.from("not weights, but long enough to be some")),
    );
    const cacheDir = join(folder, "cache");
    const url = `${server.url}/bad.pth`;
    await expect(loadMaskRcnn({ ...small, weights: url, cacheDir })).rejects.toThrow(/must be safetensors/);
    expect(await isCached(url, { cacheDir })).toBe(false);
    expect(cachedPath(url, { cacheDir })).toMatch(/bad-/);
  });

  it("says what a name should have been", async () => {
    await expect(loadMaskRcnn({ ...small, weights: "maskrcnn_resnet50_fnp" })).rejects.toThrow(
      'weights must be a name of the catalog, a URL, or the path of a file, got "maskrcnn_resnet50_fnp". Did you mean "maskrcnn_resnet50_fpn"?',
    );
    await expect(
      loadMaskRcnn({
        ...small,
        weights: "fasterrcnn_resnet50_fpn",
        offline: true,
        cacheDir: join(folder, "empty"),
      }),
    ).rejects.toThrow(/is not in the cache/);
    await expect(loadMaskRcnn({ ...small, weights: bytes, model: "maskrcnn" })).rejects.toThrow(
      "maskrcnn is not in the catalog",
    );
    await expect(loadMaskRcnn({ ...small, weights: bytes, backend: "gpu" as never })).rejects.toThrow(
      'backend must be "auto", "tensorflow", "webgpu", "wasm", "cpu" or "current", got "gpu"',
    );
  });

  it.each<[object, string]>([
    [{ wieghts: bytes }, 'wieghts is not an option here. Did you mean "weights"?'],
    [{ scoreTreshold: 0.5 }, 'scoreTreshold is not an option here. Did you mean "scoreThreshold"?'],
    [{ wasmPath: "/wasm/" }, "wasmPath is not an option here. Pages have it"],
    [{ scoreThreshold: 1.5 }, "scoreThreshold must be a number from 0 to 1, got 1.5"],
    [{ scoreThreshold: "0.5" }, 'scoreThreshold must be a number from 0 to 1, got "0.5"'],
    [{ scoreThreshold: NaN }, "scoreThreshold must be a number from 0 to 1, got NaN"],
    [{ maxDetections: 0 }, "maxDetections must be a whole number from 1 to 10000, got 0"],
    [{ minSize: 64.5 }, "minSize must be a whole number from 1 to 1000000, got 64.5"],
    [{ minSize: 128, maxSize: 96 }, "minSize must be at most maxSize, got 128 and 96"],
    [{ classes: "person" }, 'classes must be a list of names, label 1 first, got "person"'],
    [{ classes: [1, 2] }, "classes must be a list of names, label 1 first, got [1,2]"],
    [{ config: "model.json" }, 'config must be a part of a model\'s config, got "model.json"'],
    [{ redownload: 1 }, "redownload must be true or false, got 1"],
    [{ onProgress: "yes" }, 'onProgress must be a function, got "yes"'],
    [{ offline: true, redownload: true }, "offline and redownload exclude each other"],
    [{ redownload: true }, "redownload has no effect with weights that are here"],
    [{ cacheDir: "cache" }, "cacheDir has no effect with weights that are here"],
  ])("refuses options that are unknown, impossible or idle: %j", async (options, message) => {
    await expect(loadMaskRcnn({ weights: path, backend: "current", ...options } as never)).rejects.toThrow(
      `loadMaskRcnn: ${message}`,
    );
  });

  it("refuses a model beside weights of the catalog, and what is no options at all", async () => {
    await expect(loadMaskRcnn({ weights: "nuclei", model: "nuclei" })).rejects.toThrow(
      'loadMaskRcnn: model has no effect beside weights that the catalog names ("nuclei")',
    );
    await expect(loadMaskRcnn("nuclei" as never)).rejects.toThrow(
      'loadMaskRcnn: options must be an object, got "nuclei"',
    );
    await expect(loadMaskRcnn({} as never)).rejects.toThrow(
      "loadMaskRcnn: weights must be a name of the catalog, a place or bytes, got undefined",
    );
  });

  it("refuses options of detect likewise, and goes on", async () => {
    const model = await loadMaskRcnn({ ...small, weights: path });
    await expect(model.detect(image, { treshold: 0.5 } as never)).rejects.toThrow(
      "detect: treshold is not an option here. ",
    );
    await expect(model.detect(image, { maxDetection: 5 } as never)).rejects.toThrow(
      'detect: maxDetection is not an option here. Did you mean "maxDetections"?',
    );
    await expect(model.detect(image, { scoreThreshold: -0.1 })).rejects.toThrow(
      "detect: scoreThreshold must be a number from 0 to 1, got -0.1",
    );
    await expect(model.detect(image, { minSize: 200 })).rejects.toThrow(
      "detect: minSize must be at most maxSize, got 200 and 96",
    );
    await expect(model.detect(image, [] as never)).rejects.toThrow(
      "detect: options must be an object, got []",
    );
    expect(await model.detect(image, { scoreThreshold: undefined })).toEqual(expected);
    model.dispose();
  });
});
