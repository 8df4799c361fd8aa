import { DatasetError } from "@mrcnn/core";
import type { ImageSize, Rle } from "@mrcnn/core";
import { checkSize, notTheImage } from "./rle.ts";

// COCO's text: each count is a signed number in groups of 5 bits, low first, one character (48 + bits)
// each, bit 32 = "more follow". From the fourth on, a count is written less the one two before it.
const FIRST = 48;
const MORE = 32;
const SIGN = 16;

/** A mask in COCO's compressed text form (`counts` of pycocotools, as a string). */
export function rleToString(rle: Rle): string {
  const codes: string[] = [];
  rle.counts.forEach((count, i) => {
    let value = i > 2 ? count - rle.counts[i - 2]! : count;
    for (let more = true; more; ) {
      const bits = value & 31;
      value = Math.floor(value / 32);
      more = (bits & SIGN) !== 0 ? value !== -1 : value !== 0;
      codes.push(String.fromCharCode(FIRST + bits + (more ? MORE : 0)));
    }
  });
  return codes.join("");
}

/**
 * Reads COCO's compressed text form. `where` names the file or annotation in errors.
 *
 * @throws DatasetError when the text is cut or foreign, or doesn't add up to the image.
 */
export function rleFromString(text: string, size: ImageSize, where = "rleFromString"): Rle {
  checkSize(size, where);
  const counts = new Uint32Array(text.length);
  return { size: { height: size.height, width: size.width }, counts: counts.slice(0, readCounts(text, size, counts, where)) };
}

/**
 * Reads the counts of COCO's compressed text into `out`, which has room for as many as the text has
 * characters. @returns how many there are.
 *
 * @throws DatasetError when the text is cut or foreign, a count is negative, or they don't add up to the image.
 */
export function readCounts(text: string, { height, width }: ImageSize, out: Uint32Array, where: string): number {
  const { length } = text;
  let n = 0;
  let sum = 0;
  for (let at = 0; at < length; n++) {
    let value = 0;
    let shift = 0;
    let code = MORE;
    for (; (code & MORE) !== 0; at++, shift += 5) {
      code = at < length ? text.charCodeAt(at) - FIRST : -1;
      if (code < 0 || code > 63 || shift > 35) {
        const what = at < length ? `${JSON.stringify(text[at])} at place ${at}` : "its end in the middle of a number";
        throw new DatasetError(`${where}: counts must be COCO's compressed run lengths, got ${what}.`);
      }
      // Of 32 bits and more, numbers are no longer whole to a processor.
      if (shift < 25) value |= (code & 31) << shift;
      else value += (code & 31) * 2 ** shift;
    }
    if ((code & SIGN) !== 0) value = shift < 31 ? value | (-1 << shift) : value - 2 ** shift;
    if (n > 2) value += out[n - 2]!;
    if (value < 0 || value > 0xffffffff) throw new DatasetError(`${where}: counts must be whole numbers >= 0, got ${value} at place ${n}.`);
    out[n] = value;
    sum += value;
  }
  if (sum !== height * width) throw notTheImage(sum, { height, width }, where);
  return n;
}
