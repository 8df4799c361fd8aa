import { DatasetError } from "@mrcnn/core";
import type { ImageSize, Rle } from "@mrcnn/core";
import { rleFromCounts } from "./rle.ts";

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
  const counts: number[] = [];
  for (let at = 0; at < text.length; ) {
    let value = 0;
    let scale = 1;
    for (let more = true; more; at++) {
      const code = text.charCodeAt(at) - FIRST;
      if (!(code >= 0 && code < 64) || scale > 2 ** 35) {
        const what = at < text.length ? `${JSON.stringify(text[at])} at place ${at}` : "its end in the middle of a number";
        throw new DatasetError(`${where}: counts must be COCO's compressed run lengths, got ${what}.`);
      }
      value += (code & 31) * scale;
      scale *= 32;
      more = (code & MORE) !== 0;
      if (!more && (code & SIGN) !== 0) value -= scale;
    }
    counts.push(counts.length > 2 ? value + counts[counts.length - 2]! : value);
  }
  return rleFromCounts(counts, size, where);
}
