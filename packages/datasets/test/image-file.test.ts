import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { golden } from "@mrcnn/testing";
import { decodeImage, readImageFile, readImageHeader, writeImageFile } from "../src/node.ts";
import { temporaryFolder } from "./folder.ts";

const rgb = { height: 2, width: 3, data: Uint8Array.from({ length: 18 }, (_, i) => i * 14) };

describe("readImageFile", () => {
  it("reads what writeImageFile wrote, and nothing else is left in the folder", async () => {
    const folder = temporaryFolder();
    await writeImageFile(join(folder, "new", "a.png"), rgb);
    expect(await readImageFile(join(folder, "new", "a.png"))).toEqual(rgb);
    expect(await readdir(join(folder, "new"))).toEqual(["a.png"]);
  });
  it("leaves nothing half-written when writing fails", async () => {
    const folder = temporaryFolder();
    await mkdir(join(folder, "taken.png")); // a folder stands where the file should go
    await expect(writeImageFile(join(folder, "taken.png"), rgb)).rejects.toThrow();
    expect(await readdir(folder)).toEqual(["taken.png"]);
  });
  it("reads photos upright, and as stored when told so", async () => {
    const file = join(temporaryFolder(), "turned.jpg");
    await sharp(rgb.data, { raw: { width: 3, height: 2, channels: 3 } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toFile(file);
    expect(await readImageFile(file)).toMatchObject({ width: 2, height: 3 });
    expect(await readImageFile(file, { orient: false })).toMatchObject({ width: 3, height: 2 });
  });

  it("names a missing file", async () => {
    await expect(readImageFile("/nowhere/a.png")).rejects.toMatchObject({
      code: "dataset",
      message: "/nowhere/a.png: the image is missing.",
    });
  });
  it.each(["png", "jpeg"] as const)("names a truncated %s", async (format) => {
    const file = join(temporaryFolder(), `cut.${format}`);
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 251);
    await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
      .toFormat(format)
      .toFile(file);
    const bytes = await readFile(file);
    await writeFile(file, bytes.subarray(0, bytes.length / 2));
    await expect(readImageFile(file)).rejects.toThrow(`${file}: the image can't be read:`);
    await expect(readImageFile(file)).rejects.toMatchObject({ code: "dataset", cause: expect.any(Error) });
  });
  it.each([
    [
      "that is no image",
      "not an image",
      "can't be read: Input file contains unsupported image format. It must be PNG, JPEG, WebP, AVIF, GIF or TIFF; convert it.",
    ],
    ["that is empty", "", "can't be read: it is empty. Replace it."],
    [
      "of another format",
      '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
      "can't be read: it is SVG, in an unsupported image format. It must be",
    ],
  ])("names a file %s", async (_, content, message) => {
    const file = join(temporaryFolder(), "wrong.png");
    await writeFile(file, content);
    await expect(readImageFile(file)).rejects.toThrow(`${file}: the image ${message}`);
    await expect(decodeImage(Buffer.from(content), "wrong.png")).rejects.toThrow(
      `wrong.png: the image ${message.replace("file", "buffer")}`,
    );
  });
  it("names a folder", async () => {
    await expect(readImageFile(temporaryFolder())).rejects.toMatchObject({ code: "dataset" });
  });
});

interface Decoded {
  readonly file: string;
  readonly stored: readonly [width: number, height: number];
  readonly width: number;
  readonly height: number;
  readonly rgb: string;
}
const pillow = golden<{ exact: Record<string, Decoded>; lossy: Record<string, Decoded> }>(
  import.meta.url,
  "images",
);
const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));

describe("decodeImage", () => {
  it.each(Object.entries(pillow.exact))(
    "%s: the pixels that Pillow reads",
    async (name, { file, width, height, rgb: expected, stored }) => {
      const image = await decodeImage(bytesOf(file), name);
      expect(image).toEqual({ width, height, data: bytesOf(expected) });
      expect(await decodeImage(bytesOf(file), name, { orient: false })).toMatchObject({
        width: stored[0],
        height: stored[1],
      });
      const path = join(temporaryFolder(), "image");
      await writeFile(path, bytesOf(file));
      expect(await readImageFile(path)).toEqual(image);
    },
  );
  it("avif: within the rounding of its decoders", async () => {
    const { file, rgb: expected } = pillow.lossy.avif!;
    const { data } = await decodeImage(bytesOf(file), "a.avif");
    const reference = bytesOf(expected);
    expect(data.length).toBe(reference.length);
    expect(Math.max(...data.map((v, i) => Math.abs(v - reference[i]!)))).toBeLessThanOrEqual(3);
  });
  it("gives memory of its own, which can be sent to another thread", async () => {
    const { data } = await decodeImage(bytesOf(pillow.exact.png!.file), "a.png");
    structuredClone(data, { transfer: [data.buffer as ArrayBuffer] });
    expect(data.length).toBe(0);
  });
  it("keeps the upper 8 of 16 bits of grey", async () => {
    const values = new Uint16Array([0, 0x1234, 0xff00, 0xffff]);
    const file = await sharp(values, { raw: { width: 4, height: 1, channels: 1 } })
      .toColourspace("grey16")
      .png()
      .toBuffer();
    expect((await sharp(file).metadata()).depth).toBe("ushort");
    expect([...(await decodeImage(file, "deep.png")).data]).toEqual(
      [0, 0x12, 0xff, 0xff].flatMap((v) => [v, v, v]),
    );
  });

  // A PNG that says it is 60,000 x 60,000: 10.8 GB when decoded.
  const huge = (): Uint8Array => {
    const bytes = bytesOf(pillow.exact.png!.file);
    const view = new DataView(bytes.buffer);
    view.setUint32(16, 60_000);
    view.setUint32(20, 60_000);
    view.setUint32(29, crc(bytes.subarray(12, 29)));
    return bytes;
  };
  it("refuses a huge image by its header", async () => {
    await expect(decodeImage(huge(), "huge.png")).rejects.toThrow(
      "huge.png: the image has 60000x60000 pixels, more than the limit of 178956970 in all, and was not decoded. Make it smaller, or raise `maxPixels`",
    );
    await expect(decodeImage(huge(), "huge.png")).rejects.toMatchObject({ code: "dataset" });
  });
  it("takes its limit from maxPixels", async () => {
    const file = bytesOf(pillow.exact.png!.file); // 7 x 5
    expect((await decodeImage(file, "a.png", { maxPixels: 35 })).data.length).toBe(105);
    await expect(decodeImage(file, "a.png", { maxPixels: 34 })).rejects.toThrow(
      "a.png: the image has 7x5 pixels, more than the limit of 34",
    );
    await expect(decodeImage(file, "a.png", { maxPixels: 0 })).rejects.toThrow(
      "a.png: maxPixels must be at least 1, got 0.",
    );
  });
  it.each(Object.entries({ ...pillow.exact, ...pillow.lossy }))(
    "%s: cut or corrupt, it throws nothing but its own error",
    async (name, { file }) => {
      const whole = bytesOf(file);
      for (const length of [1, 8, 20, whole.length >> 1, whole.length - 20]) {
        const cut = await decodeImage(whole.subarray(0, length), name).catch((error: unknown) => error);
        if (cut instanceof Error)
          expect(cut).toMatchObject({
            code: "dataset",
            message: expect.stringContaining(`${name}: the image`),
          });
        else expect(name.startsWith("animated") || length === whole.length - 20).toBe(true); // the (first) picture may all be there
        const flipped = whole.slice();
        flipped[length]! ^= 0xff;
        const corrupt = await decodeImage(flipped, name).catch((error: unknown) => error);
        if (corrupt instanceof Error)
          expect(corrupt).toMatchObject({ code: "dataset", message: expect.stringContaining(name) });
      }
    },
  );
});

function crc(bytes: Uint8Array): number {
  let value = -1;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

interface TiffOptions {
  readonly bits?: number;
  /** 1: whole numbers, 2: signed, 3: floats. */
  readonly format?: number;
  readonly colour?: boolean;
  readonly data?: Uint8Array;
}

// A little-endian TIFF of one strip without compression.
function tiff(
  width: number,
  height: number,
  bands: number,
  { bits = 8, format = 1, colour = bands >= 3, data }: TiffOptions = {},
): Uint8Array {
  const pixels = data ?? new Uint8Array(width * height * bands * (bits / 8));
  const extra = bands - (colour ? 3 : 1);
  const shorts = (values: readonly number[]): Buffer => Buffer.from(Uint16Array.from(values).buffer);
  const entries: [tag: number, type: number, values: Buffer][] = [];
  const add = (tag: number, values: readonly number[], type = 3): void => {
    if (values.length > 0)
      entries.push([tag, type, type === 3 ? shorts(values) : Buffer.from(Uint32Array.from(values).buffer)]);
  };
  add(256, [width], 4);
  add(257, [height], 4);
  add(
    258,
    Array.from({ length: bands }, () => bits),
  );
  add(259, [1]);
  add(262, [colour ? 2 : 1]);
  add(273, [0], 4);
  add(277, [bands]);
  add(278, [height], 4);
  add(279, [pixels.length], 4);
  add(284, [1]);
  add(
    338,
    Array.from({ length: Math.max(0, extra) }, () => 0),
  );
  add(
    339,
    Array.from({ length: bands }, () => format),
  );
  let end = 8 + 2 + 12 * entries.length + 4;
  const blobs: Buffer[] = [];
  const fields = entries.map(([tag, type, values]) => {
    const field = Buffer.alloc(12);
    field.writeUInt16LE(tag, 0);
    field.writeUInt16LE(type, 2);
    field.writeUInt32LE(values.length / (type === 3 ? 2 : 4), 4);
    if (values.length <= 4) values.copy(field, 8);
    else {
      field.writeUInt32LE(end, 8);
      blobs.push(values);
      end += values.length;
    }
    return { tag, field };
  });
  fields.find(({ tag }) => tag === 273)!.field.writeUInt32LE(end, 8);
  const count = shorts([entries.length]);
  return Buffer.concat([
    Buffer.from("II*\0\x08\0\0\0", "latin1"),
    count,
    ...fields.map(({ field }) => field),
    Buffer.alloc(4),
    ...blobs,
    pixels,
  ]);
}

describe("TIFF files of many bands, or of deep ones", () => {
  it.each([
    [200, {}],
    [7, {}],
    [100, { colour: false }],
    [3, { colour: false }],
    [5, { bits: 16 }],
    [3, { bits: 32 }],
    [3, { bits: 32, format: 3 }],
    [2, { bits: 32, format: 3, colour: false }],
  ])("%d bands, %j: refused by the header, as Pillow can't identify them", async (bands, options) => {
    const bytes = tiff(4, 3, bands, options);
    await expect(decodeImage(bytes, "a.tif").then(() => "read")).rejects.toThrow(
      /^a\.tif: the image has \d+ bands .*, which no rule turns into a picture, and was not decoded\. Choose the bands to see/,
    );
  });
  it("counts their bands where pixels are bounded", async () => {
    const huge = tiff(6000, 6000, 200, { data: new Uint8Array(8) });
    await expect(decodeImage(huge, "a.tif").then(() => "read")).rejects.toThrow(
      "a.tif: the image has 6000x6000 pixels of 200 bands, more than the limit of 178956970 in all, and was not decoded. Make it smaller, or raise `maxPixels`",
    );
    await expect(decodeImage(huge, "a.tif", { maxPixels: 4e9 }).then(() => "read")).rejects.toThrow(
      "200 bands",
    );
  });
  // Pillow 13.0.0's convert("RGB") of the same bytes.
  it.each<[string, number, TiffOptions, number[]]>([
    ["5 bands", 5, { data: Uint8Array.of(69, 128, 183, 163, 7, 1, 2, 3, 4, 5) }, [69, 128, 183, 1, 2, 3]],
    [
      "6 bands",
      6,
      { data: Uint8Array.of(255, 255, 44, 25, 7, 9, 1, 2, 3, 4, 5, 6) },
      [255, 255, 44, 1, 2, 3],
    ],
    [
      "grey of 32-bit floats",
      1,
      { bits: 32, format: 3, colour: false, data: new Uint8Array(Float32Array.of(47.69, 300).buffer) },
      [47, 47, 47, 255, 255, 255],
    ],
    [
      "grey of 32-bit numbers",
      1,
      { bits: 32, format: 2, colour: false, data: new Uint8Array(Int32Array.of(-5, 94).buffer) },
      [0, 0, 0, 94, 94, 94],
    ],
    [
      "16-bit colours",
      3,
      { bits: 16, data: new Uint8Array(Uint16Array.of(17892, 3525, 29276, 255, 256, 65535).buffer) },
      [69, 13, 114, 0, 1, 255],
    ],
  ])("%s: as Pillow", async (_, bands, options, expected) => {
    expect([...(await decodeImage(tiff(2, 1, bands, options), "a.tif")).data]).toEqual(expected);
  });
});

describe("readImageHeader", () => {
  it("says the stored size and the turn, of a damaged picture too", async () => {
    const file = join(temporaryFolder(), "a.jpg");
    const bytes = bytesOf(pillow.exact["jpeg of orientation 6"]!.file);
    await writeFile(file, bytes.subarray(0, bytes.length - 30));
    const [width, height] = pillow.exact["jpeg of orientation 6"]!.stored;
    expect(await readImageHeader(file)).toEqual({ width, height, orientation: 6 });
    await writeFile(file, bytesOf(pillow.exact.png!.file));
    expect(await readImageHeader(file)).toEqual({ width: 7, height: 5, orientation: 1 });
  });
});
