/** Reading and writing of image files, with Pillow's pixels. */
import { stat } from "node:fs/promises";
import { ConfigError, DatasetError, type ImageSize, type RawImage } from "@mrcnn/core";
import { MAX_PIXELS } from "@mrcnn/masks";
import sharp from "sharp";
import { writeOutput } from "./output-file.ts";
import { whyNoFile } from "./regular-file.ts";

/** Options of decoding an image. */
export interface DecodeImageOptions {
  /**
   * Whether the image is turned upright by its EXIF orientation, which is right for photos; data sets use
   * false, as their annotations are in the stored pixels. (AVIF stores the orientation in the picture itself,
   * so it is always applied.) Default true.
   */
  readonly orient?: boolean;
  /**
   * Largest number of pixels (width times height, and a quarter more for each band above four); larger images
   * are refused before anything is decoded. Default 178,956,970, where Pillow stops too: 0.5 GB as RGB.
   */
  readonly maxPixels?: number;
}

/** The header of an image file. */
export interface ImageHeader extends ImageSize {
  /** EXIF's orientation of the stored picture, 2 to 8 when it is turned or mirrored; 1 when it is upright. */
  readonly orientation: number;
}

/** Returns the size of an image when it is read as stored, or upright by its EXIF orientation. */
export const sizeAsRead = (
  { width, height, orientation }: ImageHeader,
  which: "stored" | "exif",
): ImageSize => (which === "exif" && orientation >= 5 ? { width: height, height: width } : { width, height });

const FORMATS = new Set(["png", "jpeg", "webp", "heif", "gif", "tiff"]);
// The most bands that each kind of picture may have, transparency included. Pillow knows no more: further
// bands are measurements whose meaning is unknown.
const MOST_BANDS: Readonly<Record<string, number>> = {
  "b-w": 2,
  grey16: 2,
  srgb: 6,
  rgb: 6,
  rgb16: 4,
  cmyk: 5,
  lab: 4,
};

/**
 * Reads an image file as `decodeImage` decodes its bytes.
 *
 * @throws DatasetError naming the file when it is missing, and as `decodeImage`.
 */
export async function readImageFile(path: string, options: DecodeImageOptions = {}): Promise<RawImage> {
  return decode(path, path, options);
}

/**
 * Reads the header of an image file; the picture itself may be damaged.
 *
 * @throws DatasetError naming the file when it is missing, no image, or larger than `maxPixels`.
 */
export async function readImageHeader(
  path: string,
  { maxPixels = MAX_PIXELS }: Pick<DecodeImageOptions, "maxPixels"> = {},
): Promise<ImageHeader> {
  const { meta } = await open(path, path, maxPixels);
  return { height: meta.height, width: meta.width, orientation: meta.orientation ?? 1 };
}

/**
 * Decodes the bytes of an image file (PNG, JPEG, WebP, AVIF, GIF, TIFF) as 8-bit RGB, with the pixels of
 * Pillow's `Image.open(...).convert("RGB")`: grey becomes three equal channels; transparency is dropped and
 * the colour beneath kept; CMYK is (255 - ink) (255 - black) / 255; colour profiles are ignored; of an
 * animation the first frame is read. Sixteen bits keep their upper eight, as with OpenCV (Pillow does so for
 * colour, but clips grey at 255). `name` is the image's name in errors.
 *
 * Deviations: the lossy colours of AVIF may differ by a few levels, as its decoders differ; transparent
 * pixels of a GIF are black.
 *
 * @throws DatasetError naming the image when it is empty, cut, corrupt, no image, or larger than `maxPixels`.
 */
export async function decodeImage(
  bytes: Uint8Array,
  name: string,
  options: DecodeImageOptions = {},
): Promise<RawImage> {
  return decode(bytes, name, options);
}

async function decode(
  input: string | Uint8Array,
  name: string,
  { orient = true, maxPixels = MAX_PIXELS }: DecodeImageOptions,
): Promise<RawImage> {
  if (!(maxPixels >= 1)) throw new ConfigError(`${name}: maxPixels must be at least 1, got ${maxPixels}.`);
  const { file, isCmyk } = await open(input, name, maxPixels);
  try {
    const upright = orient ? file.autoOrient() : file;
    const pixels =
      isCmyk ?
        upright.pipelineColourspace("cmyk").toColourspace("cmyk")
      : upright.removeAlpha().toColourspace("srgb");
    const { data, info } = await pixels.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    return {
      height: info.height,
      width: info.width,
      data: isCmyk ? cmykToRgb(data, info.channels) : ownMemory(data),
    };
  } catch (cause) {
    throw unreadable(name, cause);
  }
}

// Opens an image; its header alone decides whether the rest is decoded.
async function open(
  input: string | Uint8Array,
  name: string,
  maxPixels: number,
): Promise<{ file: sharp.Sharp; meta: sharp.Metadata; isCmyk: boolean }> {
  const options = { failOn: "error", ignoreIcc: true, limitInputPixels: false } as const;
  let meta: sharp.Metadata;
  let file: sharp.Sharp;
  const noFile = typeof input === "string" ? whyNoFile(input) : undefined;
  if (noFile !== undefined)
    throw new DatasetError(
      `${name}: the image ${noFile.startsWith("it does not exist") ? "is missing." : `can't be read: ${noFile}`}`,
    );
  try {
    meta = await sharp(input, options).metadata();
    file = sharp(input, options);
  } catch (cause) {
    const isEmpty = typeof input === "string" && (await stat(input).catch(() => undefined))?.size === 0;
    throw unreadable(name, isEmpty ? new Error("Input buffer is empty", { cause }) : cause);
  }
  const { format, width, height, space, channels = 3, depth } = meta;
  if (!FORMATS.has(format))
    throw unreadable(name, new Error(`it is ${format.toUpperCase()}, in an unsupported image format`));
  if (width * height * Math.max(1, channels / 4) > maxPixels) {
    throw new DatasetError(
      `${name}: the image has ${width}x${height} pixels${channels > 4 ? ` of ${channels} bands` : ""}, more than the limit of ${maxPixels} in all, and was not decoded. ` +
        "Make it smaller, or raise `maxPixels` if there is the memory: three bytes per pixel, and as many again to work with.",
    );
  }
  const most = MOST_BANDS[space] ?? 0;
  const deep = !["uchar", "ushort", "short"].includes(depth) && channels > 1;
  if (channels > most || deep) {
    const what = deep ? `${channels} bands of type ${depth}` : `${channels} bands (colour space ${space})`;
    throw new DatasetError(
      `${name}: the image has ${what}, which no rule turns into a picture, and was not decoded. ` +
        "Choose the bands to see, one (grey) or three (red, green, blue) of 8 or 16 bits, and write them to a file of their own.",
    );
  }
  return { file, meta, isCmyk: space === "cmyk" };
}

// Pictures of at least this many bytes are not copied once more.
const LARGE = 2 ** 26;

// A copy that can be transferred to another thread, which neither Node's shared pool nor sharp's memory can.
const ownMemory = (data: Uint8Array): Uint8Array => (data.byteLength < LARGE ? new Uint8Array(data) : data);

// libvips would apply a CMYK profile of its own; Pillow and OpenCV multiply, Pillow with this rounding.
function cmykToRgb(data: Uint8Array, channels: number): Uint8Array {
  const rgb = new Uint8Array((data.length / channels) * 3);
  for (let i = 0, o = 0; i < data.length; i += channels) {
    const light = 255 - data[i + 3]!;
    for (let c = 0; c < 3; c++) {
      const product = data[i + c]! * light + 128;
      rgb[o++] = Math.max(0, light - (((product >> 8) + product) >> 8));
    }
  }
  return rgb;
}

/**
 * Reads an image whose distinct values are objects: `labels` holds a number per pixel, 0 where all channels
 * are black.
 */
export async function readLabelFile(
  path: string,
  { maxPixels = MAX_PIXELS }: Pick<DecodeImageOptions, "maxPixels"> = {},
): Promise<{ height: number; width: number; labels: Uint32Array }> {
  const { file, meta } = await open(path, path, maxPixels);
  try {
    const { depth, channels = 3 } = meta;
    const wide = depth === "ushort" && channels < 3; // 16-bit grey: more than 255 objects
    const pixels =
      wide ?
        file.toColourspace("grey16").raw({ depth: "ushort" })
      : file.toColourspace("srgb").raw({ depth: "uchar" });
    const { data, info } = await pixels.toBuffer({ resolveWithObject: true });
    const { height, width } = info;
    const values = wide ? new Uint16Array(new Uint8Array(data).buffer) : data;
    const labels = new Uint32Array(height * width);
    for (let i = 0, v = 0; i < labels.length; i++, v += info.channels) {
      labels[i] =
        info.channels < 3 ? values[v]! : (values[v]! << 16) | (values[v + 1]! << 8) | values[v + 2]!;
    }
    return { height, width, labels };
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/**
 * Writes an image as PNG, or lossily as WebP where the name ends in .webp; completely or not at all. Creates
 * missing folders.
 */
export async function writeImageFile(path: string, image: RawImage): Promise<void> {
  const { data, height, width } = image;
  const pixels = sharp(data, { raw: { height, width, channels: 3 } });
  await writeOutput(path, await (/\.webp$/i.test(path) ? pixels.webp() : pixels.png()).toBuffer());
}

function unreadable(name: string, cause: unknown): DatasetError {
  const reason = (cause instanceof Error ? cause.message : String(cause))
    .trim()
    .replaceAll(/\s*\n\s*/g, "; ");
  if (/^input file is missing|no such file/i.test(reason))
    return new DatasetError(`${name}: the image is missing.`, { cause });
  if (/input buffer is empty/i.test(reason))
    return new DatasetError(`${name}: the image can't be read: it is empty. Replace it.`, { cause });
  const advice =
    /unsupported image format/i.test(reason) ?
      "It must be PNG, JPEG, WebP, AVIF, GIF or TIFF; convert it."
    : "It may be truncated; replace it.";
  return new DatasetError(`${name}: the image can't be read: ${reason}. ${advice}`, { cause });
}
