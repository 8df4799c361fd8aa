import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { readCocoAnnotations, readJsonFile } from "../src/node.ts";
import { temporaryFolder } from "./folder.ts";

const file = (content: string | Uint8Array): string => {
  const path = join(temporaryFolder(), "a.json");
  writeFileSync(path, content);
  return path;
};

describe("readJsonFile", () => {
  const long = JSON.stringify({
    images: Array.from({ length: 5000 }, (_, id) => ({
      id,
      file_name: `ü${id}.png`,
      box: [id, id / 7, -1e-9 * id],
    })),
    next: "7706992903151817197",
  });
  const withLarge = long.replace('"7706992903151817197"', "7706992903151817197");
  it("reads the same whole and piece by piece", async () => {
    const path = file(withLarge);
    const value = await readJsonFile(path);
    expect(value).toEqual({ ...(JSON.parse(long) as object), next: 7706992903151817197n });
    expect(await readJsonFile(path, { streamAbove: 0 })).toEqual(value);
  });
  it("names the file, the line and the value, either way", async () => {
    const path = file(`${withLarge.slice(0, -1)},\n"more":[1,}`);
    for (const streamAbove of [0, 2 ** 24]) {
      await expect(readJsonFile(path, { streamAbove })).rejects.toMatchObject({
        code: "dataset",
        message: `${path}: the file must be a readable JSON file: line 2, column 11 (more[1]): a comma stands before "}". Correct or replace the file.`,
      });
    }
  });
  it("bounds what its values take", async () => {
    const path = file(`[${"{},".repeat(100_000)}{}]`);
    await expect(readJsonFile(path, { streamAbove: 0, maxBytes: 1e6 })).rejects.toThrow(
      /a\.json: .* more memory than there is for them \(0\.0 GB\)\. Give Node more \(NODE_OPTIONS=--max-old-space-size=MEGABYTES\), or divide the file\./,
    );
  });
});

describe("readCocoAnnotations", () => {
  const folder = temporaryFolder;
  it.each<[string, string | Uint8Array, string]>([
    [
      "an empty file",
      "",
      "annotations must be a readable JSON file: line 1, column 1: it is empty. Correct or replace the file.",
    ],
    [
      "gzip",
      gzipSync("{}"),
      "annotations must be a readable JSON file: it is compressed with gzip. Unpack it (gunzip).",
    ],
    [
      "a web page",
      "<html>",
      "it is a web page, not the file: a download may have ended at a sign-in or an error page. Download it again.",
    ],
    [
      "XML",
      "<annotation></annotation>",
      "it is XML of Pascal VOC (one file for each image). Export the data as COCO JSON.",
    ],
    [
      "LabelMe",
      '{"shapes":[],"imagePath":"a.jpg"}',
      "annotations must be COCO JSON, and it is a file of LabelMe, of one image.",
    ],
    [
      "results",
      '[{"image_id":1,"category_id":1,"score":1,"bbox":[1,1,1,1]}]',
      "annotations must be COCO JSON, and it is a list of COCO results or annotations",
    ],
  ])("names %s", async (_, content, message) => {
    const path = file(content);
    await expect(readCocoAnnotations(path)).rejects.toThrow(message);
    await expect(readCocoAnnotations(path)).rejects.toThrow(`${path}: `);
  });
  it("waits for no pipe and no device", async () => {
    const fifo = join(folder(), "fifo.json");
    execFileSync("mkfifo", [fifo]);
    for (const path of [fifo, "/dev/zero"])
      await expect(readCocoAnnotations(path)).rejects.toThrow(
        /annotations must be a readable JSON file: it is a (pipe|device), not a regular file/,
      );
    await expect(readCocoAnnotations(folder())).rejects.toThrow("it is a folder. Name a file.");
  });
  it("names the annotation of a NaN", async () => {
    const path = file(
      '{"images":[{"id":1,"width":9,"height":9,"file_name":"a.png"}],"categories":[{"id":1,"name":"a"}],"annotations":[{"id":7,"image_id":1,"category_id":1,"bbox":[1,NaN,3,4]}]}',
    );
    await expect(readCocoAnnotations(path)).rejects.toThrow(
      /a\.json: annotation 7.*: bbox .*got \[1,NaN,3,4\]/,
    );
  });
});
