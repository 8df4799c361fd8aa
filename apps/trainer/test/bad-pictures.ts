// Folders of pictures of which some can't be read, in ten ways.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import sharp from "sharp";

/** Noise as an encoded picture, another for every seed. */
function picture(seed: number, encode: (image: sharp.Sharp) => sharp.Sharp): Promise<Buffer> {
  const [width, height] = [72, 56];
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => ((i + seed) * 7919) % 251);
  return encode(sharp(data, { raw: { width, height, channels: 3 } })).toBuffer();
}

const png = (seed: number): Promise<Buffer> => picture(seed, (image) => image.png());
const jpeg = (seed: number): Promise<Buffer> => picture(seed, (image) => image.jpeg());
const cut = (bytes: Buffer): Buffer => bytes.subarray(0, Math.floor(bytes.length * 0.6));
const zeroed = (bytes: Buffer): Buffer =>
  Buffer.from(bytes).fill(0, Math.floor(bytes.length * 0.4), Math.floor(bytes.length * 0.6));

// The header says so, and its checksum is right.
function huge(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed.writeUInt32BE(200_000, 16);
  changed.writeUInt32BE(200_000, 20);
  changed.writeUInt32BE(checksum(changed.subarray(12, 29)), 29);
  return changed;
}

// Newer Nodes have zlib's.
function checksum(bytes: Uint8Array): number {
  if (typeof crc32 === "function") return crc32(bytes);
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let k = 0; k < 8; k++) sum = (sum >>> 1) ^ (sum & 1 ? 0xed_b8_83_20 : 0);
  }
  return ~sum >>> 0;
}

type Make = (path: string, seed: number) => Promise<void> | void;

/** How a picture may be none, by what its name ends in. */
export const badKinds: Readonly<Record<string, Make>> = {
  "cut.jpg": async (path, seed) => writeFileSync(path, cut(await jpeg(seed))),
  "cut.png": async (path, seed) => writeFileSync(path, cut(await png(seed))),
  "empty.jpg": (path) => writeFileSync(path, ""),
  "text.png": (path) => writeFileSync(path, "no image\n"),
  "svg.jpg": (path) => writeFileSync(path, '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
  "huge.png": async (path, seed) => writeFileSync(path, huge(await png(seed))),
  "folder.jpg": (path) => mkdirSync(path),
  "gone.png": (path) => symlinkSync("nowhere.png", path),
  "pipe.jpg": (path) => void execFileSync("mkfifo", [path]),
  "cmyk.jpg": async (path, seed) =>
    writeFileSync(path, cut(await picture(seed, (image) => image.toColourspace("cmyk").jpeg()))),
  "zeros.png": async (path, seed) => writeFileSync(path, zeroed(await png(seed))),
};

const kinds = Object.keys(badKinds).filter((kind) => kind !== "pipe.jpg" || process.platform !== "win32");

/**
 * Makes `good` pictures and `bad` ones, of all kinds in turn and spread among them.
 *
 * @returns the names of both.
 */
export async function mixedFolder(
  folder: string,
  { good, bad }: { readonly good: number; readonly bad: number },
): Promise<{ good: string[]; bad: string[] }> {
  mkdirSync(folder, { recursive: true });
  const names = { good: [] as string[], bad: [] as string[] };
  const number = (n: number): string => String(n).padStart(5, "0");
  for (let k = 0; k < good; k++) {
    const name = `p${number(k)}.${["jpg", "png", "jfif", "jpe"][k % 4]}`;
    if (k < 8) writeFileSync(join(folder, name), await (k % 4 === 1 ? png(k) : jpeg(k)));
    else copyFileSync(join(folder, names.good[k % 8]!), join(folder, name));
    names.good.push(name);
  }
  for (let k = 0; k < bad; k++) {
    const kind = kinds[k % kinds.length]!;
    const name = `p${number(Math.floor(((k + 0.5) * good) / bad))}-${k}-${kind}`;
    await badKinds[kind]!(join(folder, name), k);
    names.bad.push(name);
  }
  return names;
}
