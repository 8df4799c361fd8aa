// Which files lose values, by bytes laid out as the formats' specifications say.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lossyFormat } from "../src/lossy-format.ts";
import { temporaryFolder } from "./folder.ts";

const of = (...parts: (string | readonly number[] | Buffer)[]): string | undefined => {
  const file = join(temporaryFolder(), "file");
  writeFileSync(
    file,
    Buffer.concat(
      parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part))),
    ),
  );
  return lossyFormat(file);
};
const u32 = (value: number, isLittle = true): Buffer => {
  const bytes = Buffer.alloc(4);
  if (isLittle) bytes.writeUInt32LE(value);
  else bytes.writeUInt32BE(value);
  return bytes;
};
const u16 = (value: number, isLittle = true): Buffer => {
  const bytes = Buffer.alloc(2);
  if (isLittle) bytes.writeUInt16LE(value);
  else bytes.writeUInt16BE(value);
  return bytes;
};

test("by the first bytes: JPEG, AVIF, HEIC; nothing of PNG, text and empty files", () => {
  expect(of("\xff\xd8\xff\xe0")).toBe("JPEG");
  for (const brand of [
    "avif",
    "avis",
    "mif1",
    "msf1",
    "heic",
    "heix",
    "heim",
    "heis",
    "hevc",
    "hevx",
    "hevm",
    "hevs",
  ])
    expect(of(u32(24), `ftyp${brand}`)).toBe("AVIF or HEIF");
  for (const bytes of [
    "\x89PNG\r\n\x1a\n",
    "text",
    "",
    "\xff\xd8",
    " \xff\xd8\xff",
    "xftypavif",
    "\0\0\0\x18ftypisom",
    "RIFF",
    "RIFF\0\0\0\0WAVEVP8 ",
  ])
    expect(of(bytes), JSON.stringify(bytes)).toBeUndefined();
});

const webp = (...chunks: (string | Buffer)[]): string | undefined => of("RIFF", u32(1000), "WEBP", ...chunks);
test("of WebP the chunk with the picture, after others, whose odd lengths are padded, and in the frames of an animation", () => {
  expect(webp("VP8 ", u32(10))).toBe("lossy WebP");
  expect(webp("VP8L", u32(10))).toBeUndefined();
  expect(webp("VP8X", u32(10), "0123456789", "VP8 ", u32(1))).toBe("lossy WebP");
  expect(webp("ICCP", u32(3), "abc\0", "VP8 ", u32(1))).toBe("lossy WebP");
  expect(webp("ICCP", u32(3), "abc\0", "VP8L", u32(1), "x\0", "VP8 ", u32(1))).toBeUndefined();
  expect(webp("VP8X", u32(2), "..", "ANMF", u32(40), "0123456789abcdef", "VP8 ", u32(1))).toBe("lossy WebP");
  expect(webp("VP8X", u32(2), "..", "ANMF", u32(40), "0123456789abcdef", "VP8L", u32(1))).toBeUndefined();
  // Cut, or chunks without end.
  expect(webp("VP8X", u32(2), "..", "VP8")).toBeUndefined();
  expect(webp(...Array.from({ length: 63 }, () => ["JUNK", u32(0)]).flat(), "VP8 ", u32(1))).toBe(
    "lossy WebP",
  );
  expect(webp(...Array.from({ length: 64 }, () => ["JUNK", u32(0)]).flat(), "VP8 ", u32(1))).toBeUndefined();
});

const tiff = (isLittle: boolean, compression: number, { before = 1, gap = 0 } = {}): string | undefined =>
  of(
    isLittle ? "II*\0" : "MM\0*",
    u32(8 + gap, isLittle),
    Buffer.alloc(gap),
    u16(before + 1, isLittle),
    ...Array.from({ length: before }, (_, i) => [
      u16(254 + i, isLittle),
      u16(3, isLittle),
      u32(1, isLittle),
      u16(7, isLittle),
      u16(0, isLittle),
    ]).flat(),
    u16(259, isLittle),
    u16(3, isLittle),
    u32(1, isLittle),
    u16(compression, isLittle),
    u16(0, isLittle),
  );
test.each([[true], [false]])(
  "of TIFF the compression of its first picture, in both orders of bytes (little: %s)",
  (isLittle) => {
    for (const compression of [6, 7]) {
      for (const layout of [{}, { before: 3 }, { gap: 100 }, { before: 0 }])
        expect(tiff(isLittle, compression, layout)).toBe("TIFF with JPEG inside");
    }
    for (const compression of [1, 5, 8, 32773, 0x0700]) expect(tiff(isLittle, compression)).toBeUndefined();
  },
);
test("of a TIFF that is cut nothing", () => {
  expect(of("II*\0", u32(8))).toBeUndefined();
  expect(of("II*\0", u32(8), u16(2), u16(259))).toBeUndefined();
  expect(of("II*\0", u32(8), u16(0))).toBeUndefined();
});
