import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { nucleiDataset } from "@mrcnn/datasets";
import type { NucleiOptions } from "@mrcnn/datasets";
import { readImageFile } from "@mrcnn/datasets/node";
import { parseMaskRcnnConfig } from "@mrcnn/model";
import { readSafetensors, readSafetensorsMetadata } from "@mrcnn/weights";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { nuclei, nucleiSamples, nucleiWeights } from "../src/index.ts";

describe("the weights", () => {
  const bytes = readFileSync(nucleiWeights());
  it("are the file that is described", () => {
    expect(bytes.length).toBe(nuclei.bytes);
    expect(bytes.length).toBeLessThanOrEqual(12e6);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(nuclei.sha256);
    expect(
      [...readSafetensors(bytes, "weights").values()].reduce((sum, { data }) => sum + data.length, 0),
    ).toBe(nuclei.parameters);
  });
  it("say themselves what they are, and nothing of where they were made", () => {
    const metadata = readSafetensorsMetadata(bytes, "weights");
    expect(metadata).toMatchObject({
      format: "mrcnn",
      source: "mrcnn",
      dtype: "float16",
      norm: "group_norm",
    });
    expect(JSON.parse(metadata["categories"]!)).toEqual(nuclei.categories);
    const config = parseMaskRcnnConfig(JSON.parse(metadata["config"]!), "config");
    const { model } = JSON.parse(
      readFileSync(new URL("../../../configs/nuclei.json", import.meta.url), "utf8"),
    ) as { model: object };
    expect(config).toEqual(
      parseMaskRcnnConfig(
        { ...model, classes: nuclei.categories.map(({ name }) => name) },
        "configs/nuclei.json",
      ),
    );
    expect(Object.values(metadata).join()).not.toMatch(/\/(tmp|home|work|Users)\//);
  });
});

describe("the samples", () => {
  const made = JSON.parse(readFileSync(new URL("../samples/samples.json", import.meta.url), "utf8")) as {
    file: string;
    options: Omit<NucleiOptions, "count">;
  }[];
  it("are those that are listed, and small", () => {
    expect(nucleiSamples().map(({ name, url }) => [name, basename(url.pathname)])).toEqual(
      made.map(({ file }) => [basename(file, ".webp"), file]),
    );
    expect(nucleiSamples().reduce((sum, { url }) => sum + readFileSync(url).length, 0)).toBeLessThan(300_000);
  });
  it.each(made)("$file is what the generator draws", async ({ file, options }) => {
    const { image } = await nucleiDataset({ count: 1, ...options }).get(0);
    const read = await readImageFile(
      fileURLToPath(nucleiSamples().find(({ url }) => url.pathname.endsWith(file))!.url),
    );
    expect([read.height, read.width]).toEqual([image.height, image.width]);
    // WebP loses noise.
    const off =
      Array.from(image.data, (value, i) => Math.abs(value - read.data[i]!)).reduce((a, b) => a + b, 0) /
      image.data.length;
    expect(off).toBeLessThan(8);
  });
});
