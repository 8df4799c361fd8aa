/** COCO's compressed text form of run lengths, as pycocotools. */
import { DatasetError } from "@mrcnn/core";
import type { ImageSize, Rle } from "@mrcnn/core";
import { rleFromCounts } from "./rle.ts";

// COCO's text: each count is a signed number in groups of 5 bits, low first, one character (48 + bits) each,
// bit 32 = "more follow". From the fourth on, a count is written as its difference from the one two before
// it.
const FIRST = 48;
const MORE = 32;
const SIGN = 16;

// Longer argument lists may overflow the stack.
const MOST_ARGUMENTS = 4096;

/** Returns a mask in COCO's compressed text form (`counts` of pycocotools, as a string). */
export function rleToString({ counts }: Rle): string {
  let text = "";
  let codes: number[] = [];
  for (let i = 0; i < counts.length; i++) {
    let value = i > 2 ? counts[i]! - counts[i - 2]! : counts[i]!;
    for (let more = true; more;) {
      const bits = value & 31;
      value = Math.floor(value / 32);
      more = (bits & SIGN) !== 0 ? value !== -1 : value !== 0;
      codes.push(FIRST + bits + (more ? MORE : 0));
    }
    if (codes.length > MOST_ARGUMENTS) {
      text += String.fromCharCode(...codes);
      codes = [];
    }
  }
  return text + String.fromCharCode(...codes);
}

/**
 * Reads COCO's compressed text form. `where` names the file or annotation in errors.
 *
 * @throws DatasetError when the text is cut or of another format, or the counts don't add up to the image.
 */
export function rleFromString(text: string, size: ImageSize, where = "rleFromString"): Rle {
  const counts = new Uint32Array(text.length);
  return rleFromCounts(
    counts.subarray(0, readCounts(new TextEncoder().encode(text), counts, where)),
    size,
    where,
  );
}

/**
 * Reads the counts of COCO's compressed text, in bytes, into `out`, which has room for one per byte. Doesn't
 * check whether they add up to an image.
 *
 * @returns the number of counts.
 * @throws DatasetError when the text is cut or of another format, or a count is negative.
 */
export function readCounts(text: Uint8Array, out: Uint32Array, where: string): number {
  const { length } = text;
  let n = 0;
  for (let at = 0; at < length; n++) {
    const first = text[at]! - FIRST;
    let value: number;
    // Most counts have one character; shifting left and back extends the sign.
    if (first >= 0 && first < MORE) {
      value = (first << 27) >> 27;
      at++;
    } else {
      value = 0;
      let shift = 0;
      let code = MORE;
      for (; (code & MORE) !== 0; at++, shift += 5) {
        code = at < length ? text[at]! - FIRST : -1;
        if (code < 0 || code > 63 || shift > 35) {
          const what =
            at < length ?
              `${JSON.stringify(String.fromCharCode(text[at]!))} at place ${at}`
            : "its end in the middle of a number";
          throw new DatasetError(`${where}: counts must be COCO's compressed run lengths, got ${what}.`);
        }
        // From 32 bits on, whole numbers are doubles.
        value = shift < 25 ? value | ((code & 31) << shift) : value + (code & 31) * 2 ** shift;
      }
      if ((code & SIGN) !== 0) value = shift < 31 ? value | (-1 << shift) : value - 2 ** shift;
    }
    if (n > 2) value += out[n - 2]!;
    if (value < 0 || value > 0xffffffff)
      throw new DatasetError(`${where}: counts must be whole numbers >= 0, got ${value} at place ${n}.`);
    out[n] = value;
  }
  return n;
}
