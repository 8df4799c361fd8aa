import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { readImageFile, writeImageFile } from "../src/node.ts";
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
  it("makes grey three equal channels", async () => {
    const file = join(temporaryFolder(), "grey.png");
    await sharp(new Uint8Array([0, 100, 200, 255]), { raw: { width: 2, height: 2, channels: 1 } }).toColourspace("b-w").png().toFile(file);
    expect((await sharp(file).metadata()).channels).toBe(1);
    expect([...(await readImageFile(file)).data]).toEqual([0, 100, 200, 255].flatMap((v) => [v, v, v]));
  });
  it("keeps the upper 8 of 16 bits", async () => {
    const file = join(temporaryFolder(), "deep.png");
    const values = new Uint16Array([0, 0x1234, 0xff00, 0xffff]);
    await sharp(values, { raw: { width: 4, height: 1, channels: 1 } }).toColourspace("grey16").png().toFile(file);
    expect((await sharp(file).metadata()).depth).toBe("ushort");
    expect([...(await readImageFile(file)).data]).toEqual([0, 0x12, 0xff, 0xff].flatMap((v) => [v, v, v]));
  });
  it("lays transparency on white", async () => {
    const file = join(temporaryFolder(), "alpha.png");
    await sharp(new Uint8Array([10, 20, 30, 255, 10, 20, 30, 0]), { raw: { width: 2, height: 1, channels: 4 } }).png().toFile(file);
    expect([...(await readImageFile(file)).data]).toEqual([10, 20, 30, 255, 255, 255]);
  });
  it("expands palettes", async () => {
    const file = join(temporaryFolder(), "palette.png");
    await sharp(rgb.data, { raw: { width: 3, height: 2, channels: 3 } }).png({ palette: true, dither: 0 }).toFile(file);
    expect((await readImageFile(file)).data.length).toBe(18);
  });
  it("applies the EXIF orientation only when asked", async () => {
    const file = join(temporaryFolder(), "turned.jpg");
    await sharp(rgb.data, { raw: { width: 3, height: 2, channels: 3 } }).withMetadata({ orientation: 6 }).jpeg().toFile(file);
    expect(await readImageFile(file)).toMatchObject({ width: 3, height: 2 });
    expect(await readImageFile(file, { orient: true })).toMatchObject({ width: 2, height: 3 });
  });

  it("names a missing file", async () => {
    await expect(readImageFile("/nowhere/a.png")).rejects.toMatchObject({ code: "dataset", message: "/nowhere/a.png: the image is missing." });
  });
  it.each(["png", "jpeg"] as const)("names a truncated %s", async (format) => {
    const file = join(temporaryFolder(), `cut.${format}`);
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 251);
    await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } }).toFormat(format).toFile(file);
    const bytes = await readFile(file);
    await writeFile(file, bytes.subarray(0, bytes.length / 2));
    await expect(readImageFile(file)).rejects.toThrow(`${file}: the image can't be read:`);
    await expect(readImageFile(file)).rejects.toMatchObject({ code: "dataset", cause: expect.any(Error) });
  });
  it("names a file that is no image", async () => {
    const file = join(temporaryFolder(), "text.png");
    await writeFile(file, "not an image");
    await expect(readImageFile(file)).rejects.toThrow(`${file}: the image can't be read:`);
  });
});
