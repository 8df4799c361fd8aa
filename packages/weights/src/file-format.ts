/** Detects the format of a weights file by its first bytes. */
import { WeightsError } from "@mrcnn/core";

/** Formats of weights files: the container, independent of its content. */
export type WeightsFormat = "safetensors" | "torch" | "pickle" | "hdf5";

const HDF5 = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];
// The pickle of the magic number that files of torch before 1.6 begin with.
const TORCH_LEGACY = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];

const hasAt = (bytes: Uint8Array, at: number, signature: readonly number[]): boolean =>
  signature.every((byte, i) => bytes[at + i] === byte);
const ascii = (text: string): number[] => Array.from(text, (c) => c.charCodeAt(0));

const OTHERS: readonly (readonly [what: string, at: number, signature: readonly number[]])[] = [
  ["a gzip archive; unpack it first", 0, [0x1f, 0x8b]],
  ["an xz archive; unpack it first", 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ["a bzip2 archive; unpack it first", 0, ascii("BZh")],
  ["a zstd archive; unpack it first", 0, [0x28, 0xb5, 0x2f, 0xfd]],
  ["a 7z archive; unpack it first", 0, [0x37, 0x7a, 0xbc, 0xaf]],
  ["a PNG image", 0, [0x89, 0x50, 0x4e, 0x47]],
  ["a JPEG image", 0, [0xff, 0xd8, 0xff]],
  ["a PDF document", 0, ascii("%PDF")],
  ["a GGUF file", 0, ascii("GGUF")],
  ["a TensorFlow Lite file", 4, ascii("TFL3")],
  ["a NumPy array", 0, [0x93, ...ascii("NUMPY")]],
];

/**
 * Detects a file's format by its first bytes.
 *
 * @throws WeightsError that says what the file looks like when it is not a format of weights.
 */
export function formatOf(bytes: Uint8Array, where: string): WeightsFormat {
  if (hasAt(bytes, 0, ascii("PK")) && [0x0403, 0x0605].includes((bytes[3]! << 8) | bytes[2]!)) return "torch";
  // HDF5 may begin after a user block of 512 bytes, or that doubled any number of times.
  for (let at = 0; at + 8 <= bytes.length; at = at === 0 ? 512 : 2 * at)
    if (hasAt(bytes, at, HDF5)) return "hdf5";
  if (hasAt(bytes, 257, ascii("ustar"))) return "torch";
  if (bytes[0] === 0x80 && bytes[1]! <= 5) return hasAt(bytes, 2, TORCH_LEGACY) ? "torch" : "pickle";
  // The header's length and its opening brace; the reader checks the rest.
  if (bytes.length > 8 && bytes[8] === 0x7b && bytes[6] === 0 && bytes[7] === 0) return "safetensors";
  const looks = looksLike(bytes);
  // Protocols 0 and 1 have no signature; they end with a full stop, and weights begin with a mark or a dict.
  if (looks === undefined && isOldPickle(bytes)) return "pickle";
  throw new WeightsError(
    `${where}: a file of weights must be safetensors, a checkpoint of torch (.pth), a pickle of detectron2 (.pkl) or an HDF5 file of Keras (.h5), got ${looks ?? "something unknown"}.`,
  );
}

const isOldPickle = (bytes: Uint8Array): boolean =>
  bytes.at(-1) === 0x2e && (bytes[0] === 0x28 || bytes[0] === 0x7d || bytes[0] === 0x63);

function looksLike(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return "an empty file";
  for (const [what, at, signature] of OTHERS) if (hasAt(bytes, at, signature)) return what;
  if (bytes.every((byte) => byte === 0)) return "a file of zeros: a download that was not finished";
  const text = new TextDecoder("latin1")
    .decode(bytes.subarray(0, 512))
    .replace(/^\u00ef\u00bb\u00bf/, "")
    .trimStart();
  if (text.startsWith("version https://git-lfs"))
    return "a Git LFS pointer: fetch the file itself with `git lfs pull`";
  if (/^<(!doctype html|html|head|body)/i.test(text))
    return "an HTML page: the download gave a page, not the file";
  if (text.startsWith("<")) return "an XML document: perhaps a server's error message";
  if (/^[{[]\s*["[{\]}]/.test(text)) return "a JSON document";
  if (bytes.length < 16) return `a file of ${bytes.length} bytes`;
  if (/^[\t\n\r\x20-\x7e]*$/.test(text) && !isOldPickle(bytes))
    return `a text: ${JSON.stringify(text.slice(0, 40))}`;
  return undefined;
}
