// The catalog's models: listed, downloaded once, and held against the files that are given for them.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { createRandom } from "@mrcnn/core";
import type { RawImage } from "@mrcnn/core";
import { writeImageFile } from "@mrcnn/datasets/node";
import { cachedPath, catalog, catalogEntry } from "@mrcnn/mask-rcnn";
import { createMaskRcnn, maskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnnOptions } from "@mrcnn/model";
import { toArrays, toTorch, writeSafetensors } from "@mrcnn/weights";
import { setBackend } from "@tensorflow/tfjs";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { mrcnn, temporaryFolder } from "./command.ts";
import type { Outcome } from "./command.ts";

const folder = temporaryFolder();
const photo = join(folder, "photo.png");
const random = createRandom(3);
const noise: RawImage = {
  width: 80,
  height: 60,
  data: Uint8Array.from({ length: 80 * 60 * 3 }, () => random.int(256)),
};

/** A narrow network of `classes` classes, saved as torch would. */
async function theirs(
  name: string,
  classes: number,
  options: Omit<MaskRcnnOptions, "classes"> = {},
): Promise<string> {
  const { backbone, ...rest } = options;
  const names = Array.from({ length: classes }, (_, i) => `c${i}`);
  const narrow = {
    backbone: { width: 8, ...backbone },
    fpn: { channels: 8 },
    box: { representation: 16 },
    maskHead: { layers: [8], channels: 8 },
  } as const;
  const model = createMaskRcnn(maskRcnnConfig({ classes: names, ...narrow, ...rest }), createRandom(1));
  const file = join(folder, name);
  writeFileSync(file, writeSafetensors(toTorch(await toArrays(model.variables))));
  model.dispose();
  return file;
}

const detect = (...args: string[]): Promise<Outcome> =>
  mrcnn(
    "detect",
    photo,
    "--backend",
    "cpu",
    "--min-size",
    "64",
    "--max-size",
    "96",
    "--score-threshold",
    "0.001",
    "--max-detections",
    "20",
    "--cache",
    join(folder, "cache"),
    ...args,
  );

beforeAll(async () => {
  await writeImageFile(photo, noise);
  await setBackend("cpu");
});

describe("mrcnn models", () => {
  it("lists them all, with what is known of each", async () => {
    const json = join(folder, "models.json");
    const entry = catalogEntry("matterport/mask_rcnn_coco");
    const cache = join(folder, "list-cache");
    const path = cachedPath(entry.url, { cacheDir: cache });
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "");
    const { code, out } = await mrcnn("models", "--cache", cache, "--json", json);
    expect(code).toBe(0);
    const lines = out.split("\n");
    expect(lines).toHaveLength(catalog.length + 1);
    expect(lines[1]).toMatch(/^nuclei +mrcnn +\d+\.\d +\d+\.\d +- +9 MB +yes +Apache-2\.0$/);
    expect(lines[2]).toMatch(/^maskrcnn_resnet50_fpn +torchvision +37\.9 +34\.6 +- +178 MB +no +none stated/);
    expect(lines.at(-1)).toMatch(
      /^matterport\/mask_rcnn_coco +matterport +34\.7 +29\.6 +- +258 MB +yes +MIT/,
    );
    const listed = JSON.parse(readFileSync(json, "utf8")) as {
      name: string;
      cached: boolean;
      classes: object[];
    }[];
    expect(listed.map(({ name }) => name)).toEqual(catalog.map(({ name }) => name));
    expect(listed.filter(({ cached }) => cached).map(({ name }) => name)).toEqual([
      "nuclei",
      "matterport/mask_rcnn_coco",
    ]);
    expect(listed[1]!.classes[16]).toEqual({ id: 17, name: "cat" });
  });
});

describe("a model of the catalog with a file of one's own", () => {
  it("gives COCO's categories when there are as many classes", async () => {
    const json = join(folder, "found.json");
    const { code, err } = await detect(
      "--model",
      "maskrcnn_resnet50_fpn",
      "--weights",
      await theirs("coco.safetensors", 90),
      "--json",
      json,
    );
    expect(err).not.toContain("error");
    expect(code).toBe(0);
    const { categories } = catalogEntry("maskrcnn_resnet50_fpn");
    const found = JSON.parse(readFileSync(json, "utf8")) as { category_id: number; category_name: string }[];
    expect(found.length).toBeGreaterThan(0);
    for (const { category_id, category_name } of found)
      expect(categories[category_id - 1]).toEqual({ id: category_id, name: category_name });
  });

  it("counts classes where there are others", async () => {
    const json = join(folder, "found-3.json");
    await detect(
      "--model",
      "maskrcnn_resnet50_fpn",
      "--weights",
      await theirs("three.safetensors", 3),
      "--json",
      json,
    );
    const found = JSON.parse(readFileSync(json, "utf8")) as { category_id: number; category_name: string }[];
    expect(found.length).toBeGreaterThan(0);
    for (const { category_id, category_name } of found) expect(category_name).toBe(`class ${category_id}`);
  });

  it.each<[string, string, Omit<MaskRcnnOptions, "classes">, RegExp]>([
    [
      "another library's",
      "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x",
      {},
      /^error: .*w\.safetensors: these are weights of torchvision, but COCO-InstanceSegmentation\/mask_rcnn_R_50_FPN_3x is detectron2's\. Name a model of torchvision/,
    ],
    [
      "a Faster R-CNN",
      "maskrcnn_resnet50_fpn",
      { mask: false },
      /^error: .*has a mask head; these weights are of a network with no mask head/,
    ],
    [
      "another depth",
      "maskrcnn_resnet50_fpn",
      { backbone: { depth: 18 } },
      /^error: .*has ResNet-50; these weights are of a network with ResNet-18/,
    ],
  ])("refuses %s", async (_, model, options, message) => {
    const { code, err } = await detect(
      "--model",
      model,
      "--weights",
      await theirs("w.safetensors", 90, options),
    );
    expect(code).toBe(1);
    expect(err.split("\n").at(-1)).toMatch(message);
  });
});

describe("a file that is the catalog's own", () => {
  it("is known by its checksum: nothing of it is guessed, and its classes have names", async () => {
    const file = await theirs("published.pth", 90);
    const guessed = await detect("--model", file);
    expect(guessed.err).toContain("does not say, so this is assumed");
    expect(guessed.err).toContain("has no names for its 90 classes");
    const entry = catalogEntry("maskrcnn_resnet50_fpn");
    const { checksum } = entry;
    const json = join(folder, "published.json");
    try {
      Object.assign(entry, {
        checksum: {
          algorithm: "sha256",
          prefix: createHash("sha256").update(readFileSync(file)).digest("hex").slice(0, 8),
        },
      });
      const { code, err } = await detect("--model", file, "--json", json);
      expect({ code, err: err.split("\n").filter((line) => !line.startsWith("Backend")) }).toEqual({
        code: 0,
        err: [`${file} is maskrcnn_resnet50_fpn of the catalog, by its checksum.`],
      });
    } finally {
      Object.assign(entry, { checksum });
    }
    const found = JSON.parse(readFileSync(json, "utf8")) as { category_name: string }[];
    expect(found.length).toBeGreaterThan(0);
    for (const { category_name } of found)
      expect(entry.categories.map(({ name }) => name)).toContain(category_name);
  });
  it("and options that would do nothing are refused", async () => {
    const file = await theirs("own.pth", 3);
    const words =
      "--redownload: the weights are a file that is here, and nothing is downloaded. Leave it out.";
    for (const args of [
      ["--model", file],
      ["--model", "maskrcnn_resnet50_fpn", "--weights", file],
    ]) {
      expect(await detect(...args, "--redownload")).toMatchObject({
        code: 2,
        err: expect.stringContaining(words),
      });
    }
    expect(await detect("--model", file, "--recursive")).toMatchObject({
      code: 2,
      err: expect.stringContaining("--recursive: no folder is given to look into. Leave it out."),
    });
    expect(await detect("--model", file, "--classes", folder)).toMatchObject({
      code: 1,
      err: expect.stringContaining(
        `--classes ${folder}: is a folder. Name a file of one name a line, or give names with commas between.`,
      ),
    });
  });
});

describe("a model of the catalog", () => {
  const wrong = Buffer.from("not what it should be, ".repeat(50_000));
  let content: Buffer = wrong;
  const asked: string[] = [];
  let cut = Infinity;
  const server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.range ?? "whole"}`);
    const from = Number(/\d+/.exec(request.headers.range ?? "0")![0]);
    response.writeHead(from > 0 ? 206 : 200, {
      "content-length": content.length - from,
      etag: '"1"',
      ...(from > 0 && { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
    });
    if (cut < Infinity)
      response.write(content.subarray(from, from + cut), () => setTimeout(() => response.destroy(), 20));
    else response.end(content.subarray(from));
  });
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
  afterAll(() => void server.close());
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.unstubAllEnvs();
    asked.length = 0;
    cut = Infinity;
    content = wrong;
  });

  /** Sends every request to the server here. */
  function redirect(): void {
    for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"]) vi.stubEnv(name, "");
    const { fetch } = globalThis;
    vi.stubGlobal("fetch", (url: string, init: RequestInit) =>
      fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${new URL(url).pathname}`, init),
    );
  }

  it("is downloaded with progress, and refused when it is not what was published", async () => {
    redirect();
    const { code, err, out } = await detect("--model", "fasterrcnn_resnet50_fpn");
    expect(code).toBe(1);
    expect(out).toBe("");
    expect(err).toContain("Downloading the weights of fasterrcnn_resnet50_fpn (1 MB).");
    expect(err).toContain(
      `its sha256 must begin with 258fb6c6, got ${createHash("sha256").update(content).digest("hex").slice(0, 8)}`,
    );
    expect(asked).toEqual(["/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth whole"]);
    expect(
      existsSync(
        cachedPath(catalogEntry("fasterrcnn_resnet50_fpn").url, { cacheDir: join(folder, "cache") }),
      ),
    ).toBe(false);
  });

  it("goes on where it was cut", async () => {
    redirect();
    cut = 400_000;
    const { err } = await detect("--model", "COCO-Detection/faster_rcnn_R_50_FPN_1x");
    expect(err).toContain("its md5 must begin with b275ba");
    expect(asked.length).toBeGreaterThan(2);
    expect(asked.slice(1).every((line) => / bytes=\d+-$/.test(line))).toBe(true);
  });

  it("keeps what has come when Ctrl-C stops it", async () => {
    redirect();
    cut = 300_000;
    const name = "keypointrcnn_resnet50_fpn";
    const stop = setInterval(() => asked.length > 0 && process.emit("SIGINT"), 5);
    const { code, err } = await detect("--model", name).finally(() => clearInterval(stop));
    expect(code).toBe(130);
    expect(err).toContain("Stopping the download; what has come is kept.");
    expect(err).not.toContain("error");
    expect(existsSync(cachedPath(catalogEntry(name).url, { cacheDir: join(folder, "cache") }))).toBe(false);
  });

  it("whose hash nobody publishes is not kept when it is no weights", async () => {
    redirect();
    const { err } = await detect("--model", "matterport/mask_rcnn_coco");
    expect(err).toMatch(/error: .*mask_rcnn_coco-.*\.h5: a file of weights must be/);
    expect(
      existsSync(
        cachedPath(catalogEntry("matterport/mask_rcnn_coco").url, { cacheDir: join(folder, "cache") }),
      ),
    ).toBe(false);
  });

  it("whose hash nobody publishes is kept with its own, which is said, and must stay that one", async () => {
    redirect();
    const config = maskRcnnConfig({
      classes: Array.from({ length: 80 }, (_, i) => `c${i}`),
      numerics: "matterport",
      backbone: { depth: 101, width: 8 },
      fpn: { channels: 8 },
      box: { representation: 16 },
      maskHead: { layers: [8], channels: 8 },
    });
    const model = createMaskRcnn(config, createRandom(1));
    content = Buffer.from(
      writeSafetensors(await toArrays(model.variables), {
        format: "mrcnn",
        numerics: "matterport",
        norm: "frozen_batch_norm",
        config: JSON.stringify(config),
      }),
    );
    model.dispose();
    const name = "matterport/mask_rcnn_coco";
    const sha256 = createHash("sha256").update(content).digest("hex");
    const first = await detect("--model", name);
    expect(first.err).toContain(
      `${name}: its source publishes no checksum; the SHA-256 of this first download, ${sha256}, is kept and looked at on every use.`,
    );
    expect(first.code).toBe(0);
    expect((await detect("--model", name)).err).not.toContain("SHA-256");
    expect(asked).toHaveLength(1);
    // The file in the cache is damaged, and what is there now is another.
    const path = cachedPath(catalogEntry(name).url, { cacheDir: join(folder, "cache") });
    writeFileSync(path, content.subarray(9));
    content = wrong;
    const then = await detect("--model", name);
    expect(then.code).toBe(1);
    expect(then.err).toMatch(
      new RegExp(
        `error: .*its sha256 must be that of the first download, ${sha256}, got [0-9a-f]{64}\\. .*redownload`,
      ),
    );
  });

  it("is not downloaded with --offline", async () => {
    redirect();
    expect(await detect("--model", "maskrcnn_resnet50_fpn", "--offline")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/error: .*is not in the cache .*offline/),
    });
    expect(await detect("--model", "maskrcnn_resnet50_fpn", "--offline", "--redownload")).toMatchObject({
      code: 2,
    });
    expect(asked).toEqual([]);
  });
});
