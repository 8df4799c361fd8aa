// What a data set is known by when its files have moved, and that it is another when they have not.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import type { DataSource } from "./config.ts";

// Names and sizes of all files below, whose pixels are not read.
async function addFolder(hash: ReturnType<typeof createHash>, folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .toSorted();
  for (const file of files)
    hash.update(JSON.stringify([relative(folder, file).replaceAll("\\", "/"), (await stat(file)).size]));
}

async function addFile(hash: ReturnType<typeof createHash>, file: string): Promise<void> {
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
}

/**
 * Names a data set by its content: the number of its images, and a hash of its annotations (COCO: the file,
 * which names the images; folders: names and sizes of images and masks; shapes: what they are generated
 * from).
 */
export async function dataFingerprint(source: DataSource, images: number): Promise<string> {
  const hash = createHash("sha256");
  switch (source.format) {
    case "coco":
      await addFile(hash, source.annotations!);
      break;
    case "folders":
      for (const folder of [source.folder, source.images, source.masks])
        if (folder !== undefined) await addFolder(hash, folder);
      break;
    case "shapes":
      hash.update(
        JSON.stringify(Object.entries(source.shapes ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1))),
      );
  }
  return `${images}-${hash.digest("hex").slice(0, 16)}`;
}
