// Writes PNG files with whatever chunks a test wants.
import { deflateSync, gzipSync } from "node:zlib";

// gzip's checksum is PNG's, and stands eight bytes before the end.
const crc32 = (bytes: Uint8Array): number => gzipSync(bytes).subarray(-8).readUInt32LE();

const chunk = (type: string, data: Uint8Array): Buffer => {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc32(body), body.length + 4);
  return whole;
};

/** 8-bit RGB or RGBA pixels as a PNG file, with other chunks before them. */
export function png(
  pixels: Uint8Array,
  {
    width,
    height,
    chunks = {},
  }: { width: number; height: number; chunks?: Readonly<Record<string, Uint8Array>> },
): Uint8Array<ArrayBuffer> {
  const channels = pixels.length / (width * height);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([8, channels === 4 ? 6 : 2], 8);
  const rows = Array.from({ length: height }, (_, y) =>
    Buffer.concat([Buffer.of(0), pixels.subarray(y * width * channels, (y + 1) * width * channels)]),
  );
  return new Uint8Array(
    Buffer.concat([
      Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
      chunk("IHDR", header),
      ...Object.entries(chunks).map(([type, data]) => chunk(type, data)),
      chunk("IDAT", deflateSync(Buffer.concat(rows))),
      chunk("IEND", Buffer.alloc(0)),
    ]),
  );
}
