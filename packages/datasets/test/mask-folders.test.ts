import { execFileSync } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "@mrcnn/core";
import { toFullBitmap } from "@mrcnn/masks";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { maskFoldersDataset, writeImageFile } from "../src/node.ts";
import { temporaryFolder } from "./folder.ts";

const grey = async (file: string, width: number, values: readonly number[] | Uint16Array): Promise<void> => {
  const deep = values instanceof Uint16Array;
  const data = deep ? values : Uint8Array.from(values);
  const raw = { width, height: values.length / width, channels: 1 } as const;
  await sharp(data, { raw })
    .toColourspace(deep ? "grey16" : "b-w")
    .png()
    .toFile(file);
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
    expect(first.groundTruth.masks.map((mask) => [...toFullBitmap(mask)])).toEqual([
      [1, 0, 0, 1, 0, 0],
      [0, 0, 0, 0, 1, 1],
    ]);
    expect((await dataset.get(1)).groundTruth.labels.length).toBe(0);
  });
  it("names a mask of another size", async () => {
    const folder = await nested();
    const file = join(folder, "b", "masks", "1.png");
    await grey(file, 2, [1, 1, 1, 1]);
    const message = `${file}: the mask has 2x2 pixels, its image 3x2. Replace one of them.`;
    await expect(maskFoldersDataset({ folder })).rejects.toThrow(message);
    await expect((await maskFoldersDataset({ folder, pictures: "unread" })).get(1)).rejects.toThrow(message);
  });
  it("names an image and a mask whose headers can't be read, the first in order, when opened", async () => {
    const folder = await nested();
    const told: number[] = [];
    await maskFoldersDataset({ folder }, { onImage: (done) => told.push(done) });
    expect(told).toEqual([1, 2]);
    await writeFile(join(folder, "b", "images", "b.png"), "text");
    await expect(maskFoldersDataset({ folder })).rejects.toThrow(
      `${join(folder, "b", "images", "b.png")}: the image can't be read`,
    );
    await writeFile(join(folder, "a", "masks", "2.png"), "text");
    await expect(maskFoldersDataset({ folder })).rejects.toThrow(
      `${join(folder, "a", "masks", "2.png")}: the image can't be read`,
    );
  });
  it('calls the class "object" by default, and refuses an index out of range', async () => {
    const dataset = await maskFoldersDataset({ folder: await nested() });
    expect(dataset.classNames).toEqual(["background", "object"]);
    await expect(dataset.get(2)).rejects.toThrow("maskFoldersDataset: index must be within 0..1, got 2.");
    await expect(dataset.get(-1)).rejects.toThrow("got -1.");
  });
  it.each([0, 2])("names a folder of %d images where one should be", async (count) => {
    const folder = await nested();
    const images = join(folder, "b", "images");
    if (count === 0) await rm(join(images, "b.png"));
    else await writeImageFile(join(images, "c.png"), image);
    await expect(maskFoldersDataset({ folder })).rejects.toThrow(
      `${images}: must hold one image, got ${count}. Leave one.`,
    );
  });
  it("names a mask that is cut, a pipe and an image above the limit", async () => {
    const folder = await nested();
    const mask = join(folder, "a", "masks", "1.png");
    await writeFile(mask, "");
    await expect(maskFoldersDataset({ folder })).rejects.toThrow(`${mask}: the `);
    await expect((await maskFoldersDataset({ folder, pictures: "unread" })).get(0)).rejects.toThrow(mask);
    await rm(mask);
    execFileSync("mkfifo", [mask]);
    await expect(maskFoldersDataset({ folder })).rejects.toThrow(`${mask}: the mask can't be read: `);
    await rm(mask);
    await expect(maskFoldersDataset({ folder, maxPixels: 5 })).rejects.toThrow(
      "a.png: the image has 3x2 pixels, more than the limit of 5",
    );
    await expect(
      (await maskFoldersDataset({ folder, maxPixels: 5, pictures: "unread" })).get(0),
    ).rejects.toThrow("more than the limit of 5");
    expect(await maskFoldersDataset({ folder, maxPixels: 6 })).toMatchObject({ length: 2 });
  });
  it("reads photos that EXIF turns as stored, or upright, as asked, and says so where a mask fits the other way", async () => {
    const folder = temporaryFolder();
    for (const name of ["images", "masks"]) await mkdir(join(folder, "a", name), { recursive: true });
    const photo = join(folder, "a", "images", "a.jpg");
    const pixels = (): sharp.Sharp => sharp(image.data, { raw: { width: 3, height: 2, channels: 3 } });
    for (const turn of [5, 6, 8]) {
      await pixels().withMetadata({ orientation: turn }).jpeg().toFile(photo);
      const mask = join(folder, "a", "masks", "1.png");
      await grey(mask, 2, [1, 0, 0, 0, 0, 0]); // 2 wide, 3 high: upright
      const upright = await (await maskFoldersDataset({ folder, orientation: "exif" })).get(0);
      expect([upright.image.width, upright.image.height, [...upright.groundTruth.boxes]]).toEqual([
        2,
        3,
        [0, 0, 1, 1],
      ]);
      const message = `${mask}: the mask has 2x3 pixels, its image 3x2. One of them may be turned: if EXIF turns the photo, choose orientation "exif" or "stored".`;
      await expect(maskFoldersDataset({ folder })).rejects.toThrow(message);
      await expect((await maskFoldersDataset({ folder, pictures: "unread" })).get(0)).rejects.toThrow(
        message,
      );
      await grey(mask, 3, [1, 0, 0, 0, 0, 0]);
      const stored = await (await maskFoldersDataset({ folder })).get(0);
      expect([stored.image.width, stored.image.height]).toEqual([3, 2]);
      await expect(maskFoldersDataset({ folder, orientation: "exif" })).rejects.toThrow(
        "the mask has 3x2 pixels, its image 2x3. One of them may be turned",
      );
    }
    await pixels().withMetadata({ orientation: 3 }).jpeg().toFile(photo); // upside down: its size stays
    expect((await (await maskFoldersDataset({ folder, orientation: "exif" })).get(0)).image).toMatchObject({
      width: 3,
      height: 2,
    });
  });
  it("names what is missing", async () => {
    const folder = await nested();
    await rm(join(folder, "b", "masks"), { recursive: true });
    await expect(maskFoldersDataset({ folder })).rejects.toThrow(
      `${join(folder, "b", "masks")}: the folder can't be read.`,
    );
    await expect(maskFoldersDataset({ folder: "/nowhere" })).rejects.toThrow(
      "/nowhere: the folder can't be read. Check the path.",
    );
    await expect(maskFoldersDataset({ folder: temporaryFolder() })).rejects.toThrow("no images were found");
  });
});

describe("a label image per image", () => {
  async function parallel(
    write: (file: string) => Promise<void>,
  ): Promise<{ images: string; masks: string }> {
    const folder = temporaryFolder();
    const [images, masks] = [join(folder, "PNGImages"), join(folder, "PedMasks")];
    await writeImageFile(join(images, "one.png"), image);
    await mkdir(masks);
    await write(join(masks, "one_mask.png"));
    return { images, masks };
  }
  const expected = [
    [0, 0, 0, 1, 0, 0],
    [1, 1, 0, 0, 0, 0],
  ];

  it.each([
    ["8-bit labels", (file: string) => grey(file, 3, [2, 2, 0, 1, 0, 0])],
    ["16-bit labels", (file: string) => grey(file, 3, Uint16Array.of(600, 600, 0, 300, 0, 0))],
    [
      "colours",
      async (file: string) =>
        writeImageFile(file, {
          height: 2,
          width: 3,
          data: Uint8Array.of(9, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0),
        }),
    ],
  ])("reads %s", async (_, write) => {
    const dataset = await maskFoldersDataset(await parallel(write));
    const { masks } = (await dataset.get(0)).groundTruth;
    expect(masks.map((mask) => [...toFullBitmap(mask)])).toEqual(expected);
  });
  it("cuts each label's mask out of a larger image, in the order of their values", async () => {
    const random = createRandom(4);
    const [height, width] = [17, 23];
    // Rectangles over one another: some labels come in several pieces, with rows and columns between.
    const labels = new Uint8Array(height * width);
    for (let k = 1; k <= 9; k++) {
      const [top, left, h, w] = [random.int(12), random.int(16), 2 + random.int(5), 2 + random.int(7)];
      for (let y = top; y < top + h; y++) labels.fill(k % 6, y * width + left, y * width + left + w);
    }
    const folder = temporaryFolder();
    await writeImageFile(join(folder, "i", "a.png"), {
      height,
      width,
      data: new Uint8Array(height * width * 3),
    });
    await mkdir(join(folder, "m"));
    await grey(join(folder, "m", "a.png"), width, [...labels]);
    const { masks, boxes } = (
      await (await maskFoldersDataset({ images: join(folder, "i"), masks: join(folder, "m") })).get(0)
    ).groundTruth;
    const values = [...new Set(labels)].filter((value) => value !== 0).toSorted((a, b) => a - b);
    expect(masks.map((mask) => [...toFullBitmap(mask)])).toEqual(
      values.map((value) => [...labels].map((label) => Number(label === value))),
    );
    values.forEach((value, k) => {
      const at = [...labels.keys()].filter((i) => labels[i] === value);
      const [xs, ys] = [at.map((i) => i % width), at.map((i) => Math.floor(i / width))];
      const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs) + 1, Math.max(...ys) + 1];
      expect([...boxes.subarray(4 * k, 4 * k + 4)]).toEqual(box);
      expect(
        [masks[k]!.left, masks[k]!.top, masks[k]!.width, masks[k]!.height],
        "no larger than its object",
      ).toEqual([box[0], box[1], box[2]! - box[0]!, box[3]! - box[1]!]);
    });
  });
  it("takes _mask off the end of a name only", async () => {
    const folder = temporaryFolder();
    await writeImageFile(join(folder, "i", "a_mask_1.png"), image);
    await mkdir(join(folder, "m"));
    await grey(join(folder, "m", "a_mask_1_mask.png"), 3, [0, 0, 0, 1, 0, 0]);
    expect(await maskFoldersDataset({ images: join(folder, "i"), masks: join(folder, "m") })).toMatchObject({
      length: 1,
    });
  });
  it("names a folder without images", async () => {
    const { images, masks } = await parallel((file) => grey(file, 3, [0, 0, 0, 0, 0, 0]));
    await rm(join(images, "one.png"));
    await expect(maskFoldersDataset({ images, masks })).rejects.toThrow(
      `${images}: no images were found. Check the path and the layout.`,
    );
  });
  it("names an image without a mask", async () => {
    const { images, masks } = await parallel((file) => grey(file, 3, [0, 0, 0, 0, 0, 0]));
    await writeImageFile(join(images, "two.png"), image);
    await expect(maskFoldersDataset({ images, masks })).rejects.toThrow(
      `two.png: there is no mask named alike in ${masks}.`,
    );
  });
});

describe("masks in a lossy format", () => {
  const noise = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (i * 7919) % 251);
  const picture = (): sharp.Sharp => sharp(noise, { raw: { width: 32, height: 32, channels: 3 } });
  async function withMask(name: string, bytes: Buffer): Promise<Promise<unknown>> {
    const folder = temporaryFolder();
    await mkdir(join(folder, "images"));
    await mkdir(join(folder, "masks"));
    await picture()
      .png()
      .toFile(join(folder, "images", "a.png"));
    await writeFile(join(folder, "masks", name), bytes);
    return maskFoldersDataset({ images: join(folder, "images"), masks: join(folder, "masks") });
  }
  it.each([
    ["a.jpg", "JPEG", () => picture().jpeg().toBuffer()],
    ["a.png", "JPEG", () => picture().jpeg().toBuffer()], // whatever its name says
    ["a.webp", "lossy WebP", () => picture().webp().toBuffer()],
    ["a.avif", "AVIF or HEIF", () => picture().avif().toBuffer()],
    ["a_mask.tif", "TIFF with JPEG inside", () => picture().tiff({ compression: "jpeg" }).toBuffer()],
    [
      "a.tif",
      "TIFF with JPEG inside",
      () => picture().tiff({ compression: "jpeg", bigtiff: false, tile: true }).toBuffer(),
    ],
  ])("%s: %s is refused when opened", async (name, format, make) => {
    await expect(withMask(name, await make())).rejects.toThrow(
      new RegExp(
        `${name}: the mask is ${format}, a format that changes values: pixels near an object's edge would become other objects. Make the masks anew as PNG`,
      ),
    );
  });
  it.each([
    ["a.png", () => picture().png().toBuffer()],
    ["a.webp", () => picture().webp({ lossless: true }).toBuffer()],
    ["a.webp", () => picture().ensureAlpha(0.5).webp({ lossless: true }).toBuffer()],
    ["a.tif", () => picture().tiff({ compression: "lzw" }).toBuffer()],
    ["a.gif", () => picture().gif().toBuffer()],
  ])("%s keeps its values", async (name, make) =>
    expect(await withMask(name, await make())).toMatchObject({ length: 1 }),
  );
  it("a mask folder of an image, too", async () => {
    const folder = await nested();
    await picture()
      .jpeg()
      .toFile(join(folder, "b", "masks", "1.jpg"));
    await expect(maskFoldersDataset({ folder })).rejects.toThrow(
      `${join(folder, "b", "masks", "1.jpg")}: the mask is JPEG`,
    );
  });
});

describe("folders with other files", () => {
  it("passes over hidden names, and names pictures that can't be read and masks of one image", async () => {
    const folder = await nested();
    await writeFile(join(folder, "a", "images", "._a.png"), "");
    await mkdir(join(folder, ".cache"));
    expect((await maskFoldersDataset({ folder })).length).toBe(2);
    await writeFile(join(folder, "a", "masks", "4.bmp"), "");
    await expect(maskFoldersDataset({ folder })).rejects.toThrow(
      "4.bmp: pictures of this kind can't be read. Convert it to PNG",
    );
    const masks = join(folder, "a", "masks");
    await rm(join(masks, "4.bmp"));
    await grey(join(masks, "1_mask.png"), 3, [0, 0, 0, 0, 0, 0]);
    await expect(maskFoldersDataset({ images: join(folder, "a", "images"), masks })).rejects.toThrow(
      /1_mask.png: 1.png is of the same image|1.png: 1_mask.png is of the same image/,
    );
  });
  it("finds the mask of an image whose letters are in another Unicode form", async () => {
    const folder = temporaryFolder();
    await writeImageFile(join(folder, "i", "u\u0308.png"), image);
    await mkdir(join(folder, "m"));
    await grey(join(folder, "m", "\u00fc.png"), 3, [0, 0, 0, 1, 0, 0]);
    expect(
      (await (await maskFoldersDataset({ images: join(folder, "i"), masks: join(folder, "m") })).get(0))
        .groundTruth.masks,
    ).toHaveLength(1);
  });
  it("refuses a label image of noise before its objects fill the memory", async () => {
    const folder = temporaryFolder();
    const side = 640;
    const random = createRandom(1);
    const noise = Uint8Array.from({ length: side * side * 3 }, () => random.int(256));
    await writeImageFile(join(folder, "i", "a.png"), { height: side, width: side, data: noise });
    await writeImageFile(join(folder, "m", "a.png"), {
      height: side,
      width: side,
      data: noise.map((v, i) => (i % 3 === 0 ? 0 : v & 63)),
    });
    const dataset = await maskFoldersDataset({ images: join(folder, "i"), masks: join(folder, "m") });
    await expect(dataset.get(0).then(() => "read")).rejects.toThrow(
      /a\.png: the mask has \d+ values, whose objects take \d+ pixels in all, more than 536870910/,
    );
  });
});
