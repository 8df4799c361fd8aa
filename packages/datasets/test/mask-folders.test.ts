import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { toFullBitmap } from "@mrcnn/masks";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { maskFoldersDataset, writeImageFile } from "../src/node.ts";
import { temporaryFolder } from "./folder.ts";

const grey = async (file: string, width: number, values: readonly number[] | Uint16Array): Promise<void> => {
  const deep = values instanceof Uint16Array;
  const data = deep ? values : Uint8Array.from(values);
  const raw = { width, height: values.length / width, channels: 1 } as const;
  await sharp(data, { raw }).toColourspace(deep ? "grey16" : "b-w").png().toFile(file);
};
const image = { height: 2, width: 3, data: Uint8Array.from({ length: 18 }, (_, i) => i) };

async function nested(): Promise<string> {
  const folder = temporaryFolder();
  for (const name of ["b", "a"]) {
    await writeImageFile(join(folder, name, "images", `${name}.png`), image);
    await mkdir(join(folder, name, "masks"));
  }
  await grey(join(folder, "a", "masks", "1.png"), 3, [255, 0, 0, 255, 0, 0]);
  await grey(join(folder, "a", "masks", "2.png"), 3, [0, 0, 0, 0, 1, 1]);
  await grey(join(folder, "a", "masks", "3.png"), 3, [0, 0, 0, 0, 0, 0]);
  return folder;
}

describe("a folder per image", () => {
  it("reads one mask per file and leaves empty ones out", async () => {
    const dataset = await maskFoldersDataset({ folder: await nested(), className: "nucleus" });
    expect(dataset.classNames).toEqual(["background", "nucleus"]);
    expect(dataset.length).toBe(2);
    const first = await dataset.get(0);
    expect(first).toMatchObject({ id: 1, name: "a", image });
    expect([...first.groundTruth.boxes]).toEqual([0, 0, 1, 2, 1, 1, 3, 2]);
    expect([...first.groundTruth.labels]).toEqual([1, 1]);
    expect(first.groundTruth.masks.map((mask) => [...toFullBitmap(mask)])).toEqual([[1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1]]);
    expect((await dataset.get(1)).groundTruth.labels.length).toBe(0);
  });
  it("names a mask of another size", async () => {
    const folder = await nested();
    const file = join(folder, "b", "masks", "1.png");
    await grey(file, 2, [1, 1, 1, 1]);
    const dataset = await maskFoldersDataset({ folder });
    await expect(dataset.get(1)).rejects.toThrow(`${file}: the mask has 2x2 pixels, its image 3x2. Replace one of them.`);
  });
  it("names what is missing", async () => {
    const folder = await nested();
    await rm(join(folder, "b", "masks"), { recursive: true });
    await expect(maskFoldersDataset({ folder })).rejects.toThrow(`${join(folder, "b", "masks")}: the folder can't be read.`);
    await expect(maskFoldersDataset({ folder: "/nowhere" })).rejects.toThrow("/nowhere: the folder can't be read. Check the path.");
    await expect(maskFoldersDataset({ folder: temporaryFolder() })).rejects.toThrow("no images were found");
  });
});

describe("a label image per image", () => {
  async function parallel(write: (file: string) => Promise<void>): Promise<{ images: string; masks: string }> {
    const folder = temporaryFolder();
    const [images, masks] = [join(folder, "PNGImages"), join(folder, "PedMasks")];
    await writeImageFile(join(images, "one.png"), image);
    await mkdir(masks);
    await write(join(masks, "one_mask.png"));
    return { images, masks };
  }
  const expected = [[0, 0, 0, 1, 0, 0], [1, 1, 0, 0, 0, 0]];

  it.each([
    ["8-bit labels", (file: string) => grey(file, 3, [2, 2, 0, 1, 0, 0])],
    ["16-bit labels", (file: string) => grey(file, 3, Uint16Array.of(600, 600, 0, 300, 0, 0))],
    [
      "colours",
      async (file: string) =>
        writeImageFile(file, { height: 2, width: 3, data: Uint8Array.of(9, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0) }),
    ],
  ])("reads %s", async (_, write) => {
    const dataset = await maskFoldersDataset(await parallel(write));
    const { masks } = (await dataset.get(0)).groundTruth;
    expect(masks.map((mask) => [...toFullBitmap(mask)])).toEqual(expected);
  });
  it("names an image without a mask", async () => {
    const { images, masks } = await parallel((file) => grey(file, 3, [0, 0, 0, 0, 0, 0]));
    await writeImageFile(join(images, "two.png"), image);
    await expect(maskFoldersDataset({ images, masks })).rejects.toThrow(`two.png: there is no mask named alike in ${masks}.`);
  });
});
