/** Recognition of lossy picture formats by a file's first bytes. */
import { closeSync, openSync, readSync } from "node:fs";

/**
 * Returns the name of a picture file's format if it is lossy: JPEG, AVIF, lossy WebP, TIFF with JPEG inside.
 *
 * @returns undefined for other formats, and for files that are no pictures.
 */
export function lossyFormat(path: string): string | undefined {
  const file = openSync(path, "r");
  try {
    const read = (at: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(file, bytes, 0, length, at));
    };
    const head = read(0, 32);
    const text = head.toString("latin1");
    if (text.startsWith("\xff\xd8\xff")) return "JPEG";
    if (/^....ftyp(avi[fs]|mif1|msf1|he[iv][cmsx])/s.test(text)) return "AVIF or HEIF";
    if (/^RIFF....WEBP/s.test(text)) return webpIsLossy(read) ? "lossy WebP" : undefined;
    if (/^(II\*\0|MM\0\*)/.test(text)) return tiffHasJpeg(head, read) ? "TIFF with JPEG inside" : undefined;
    return undefined;
  } finally {
    closeSync(file);
  }
}

type Read = (at: number, length: number) => Buffer;

// The picture is a chunk "VP8 " (lossy) or "VP8L" (lossless); other chunks may precede it.
function webpIsLossy(read: Read): boolean {
  for (let at = 12, n = 0; n < 64; n++) {
    const chunk = read(at, 8);
    if (chunk.length < 8) return false;
    const name = chunk.toString("latin1", 0, 4);
    if (name === "VP8 ") return true;
    if (name === "VP8L") return false;
    // The frames of an animation are in chunks of their own.
    if (name === "ANMF") at += 24;
    else at += 8 + chunk.readUInt32LE(4) + (chunk.readUInt32LE(4) & 1);
  }
  return false;
}

const COMPRESSION = 259;
const JPEGS = [6, 7];

function tiffHasJpeg(head: Buffer, read: Read): boolean {
  const little = head[0] === 0x49;
  const u16 = (bytes: Buffer, at: number): number =>
    little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
  const start = little ? head.readUInt32LE(4) : head.readUInt32BE(4);
  const count = read(start, 2);
  if (count.length < 2) return false;
  const entries = read(start + 2, 12 * u16(count, 0));
  for (let at = 0; at + 12 <= entries.length; at += 12) {
    if (u16(entries, at) === COMPRESSION) return JPEGS.includes(u16(entries, at + 8));
  }
  return false;
}
