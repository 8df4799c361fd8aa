/** Recognition, by its first bytes, of a file that was expected to be JSON but isn't. */

const CONVERT = "Export the data as COCO JSON";

// Bytes that files of each kind begin with.
const MAGIC: readonly (readonly [start: string, what: string])[] = [
  ["\x1f\x8b", "it is compressed with gzip. Unpack it (gunzip)"],
  ["PK\x03\x04", "it is a zip archive. Unpack it (unzip)"],
  ["BZh", "it is compressed with bzip2. Unpack it (bunzip2)"],
  ["\xfd7zXZ", "it is compressed with xz. Unpack it (unxz)"],
  ["\x28\xb5\x2f\xfd", "it is compressed with zstd. Unpack it (unzstd)"],
  ["7z\xbc\xaf", "it is a 7z archive. Unpack it"],
  ["Rar!", "it is a rar archive. Unpack it"],
  ["\x89PNG", "it is a picture (PNG)"],
  ["\xff\xd8\xff", "it is a picture (JPEG)"],
  ["II*\0", "it is a picture (TIFF)"],
  ["\x89HDF", "it is an HDF5 file"],
  ["PAR1", "it is a Parquet file"],
  ["SQLite format 3", "it is a SQLite database"],
  ["%PDF", "it is a PDF file"],
  ["\x80\x02", "it is a Python pickle"],
  ["\x80\x03", "it is a Python pickle"],
  ["\x80\x04", "it is a Python pickle"],
  ["\x80\x05", "it is a Python pickle"],
  ["version https://git-lfs", "it is a pointer of Git LFS, not the file itself. Get it with `git lfs pull`"],
];

// Patterns of text, the most specific first.
const TEXTS: readonly (readonly [pattern: RegExp, what: string])[] = [
  [
    /^\s*(<!doctype html|<html)/i,
    "it is a web page, not the file: a download may have ended at a sign-in or an error page. Download it again",
  ],
  [
    /^\s*<(\?xml[^>]*\?>\s*)?(<!--[\s\S]*?-->\s*)?<?annotation>/,
    `it is XML of Pascal VOC (one file for each image). ${CONVERT}`,
  ],
  [
    /^\s*(<\?xml[^>]*\?>\s*)?(<!--[\s\S]*?-->\s*)?<annotations\b/,
    `it is XML of CVAT. Export from CVAT as "COCO 1.0"`,
  ],
  [
    /^\s*(<\?xml[^>]*\?>\s*)?(<!--[\s\S]*?-->\s*)?<annotation\b/,
    `it is XML of Pascal VOC (one file for each image). ${CONVERT}`,
  ],
  [/^\s*<[?!\w]/, `it is XML. ${CONVERT}`],
  [
    /^(\s*\d+([ \t]+-?[\d.]+(e-?\d+)?){4,}[ \t]*(\r?\n|$))+/,
    `it is YOLO's text (a class and numbers in each line). ${CONVERT}`,
  ],
  [
    /^[^\n{}[\]":]*\b(filename|image_path|image_id|ImageID)\b[^\n{}[\]]*[,;\t][^\n]*\n/i,
    `it is a table (CSV). ${CONVERT}`,
  ],
  [/^(#[^\n]*\n|---\s*\n|\s*\n)*[A-Za-z_]\w*:(\s|$)/, "it is YAML. Convert it to JSON"],
  [/^\s*\{[^\n]*\}[ \t]*\r?\n\s*\{/, "it is JSON lines, a value in each line. One file must hold one value"],
];

/**
 * Returns a sentence that says what a file without JSON is and what to do; undefined when its first bytes
 * don't tell.
 */
export function whatFile(head: Uint8Array): string | undefined {
  const bytes = Array.from(head.subarray(0, 32), (byte) => String.fromCharCode(byte)).join("");
  const magic = MAGIC.find(([start]) => bytes.startsWith(start));
  if (magic !== undefined) return `${magic[1]}.`;
  const wide =
    head[1] === 0 || (head[0] === 0xff && head[1] === 0xfe) ? "utf-16le"
    : head[0] === 0 || head[0] === 0xfe ? "utf-16be"
    : "utf-8";
  const text = new TextDecoder(wide).decode(head);
  const found = TEXTS.find(([pattern]) => pattern.test(text));
  return found === undefined ? undefined : `${found[1]}.`;
}
