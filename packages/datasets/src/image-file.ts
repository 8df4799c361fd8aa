import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { DatasetError, type RawImage } from "@mrcnn/core";
import sharp from "sharp";

/**
 * Reads an image file (PNG, JPEG, WebP, TIFF, GIF, AVIF) as 8-bit RGB: grey becomes three equal channels,
 * 16 bits their upper 8, transparency lies on white, colour profiles are ignored. With `orient` the EXIF
 * orientation is applied: right for photos to look at, wrong for annotated sets, whose annotations are in
 * the stored pixels. Default false.
 *
 * @throws DatasetError naming the file when it is missing, truncated or no image.
 */
export async function readImageFile(path: string, { orient = false }: { orient?: boolean } = {}): Promise<RawImage> {
  try {
    const file = sharp(path, { failOn: "error", ignoreIcc: true });
    const upright = orient ? file.autoOrient() : file;
    const { data, info } = await upright
      .flatten({ background: "white" })
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    return { height: info.height, width: info.width, data: toRgb(data, info.channels) };
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

// A buffer of its own (never Node's shared pool, which can't be transferred to another thread).
function toRgb(data: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return new Uint8Array(data);
  const rgb = new Uint8Array((data.length / channels) * 3);
  for (let i = 0, o = 0; i < data.length; i += channels) for (let c = 0; c < 3; c++) rgb[o++] = data[i]!;
  return rgb;
}

/** An image whose distinct values are objects: `labels` holds a number per pixel, 0 where all is black. */
export async function readLabelFile(path: string): Promise<{ height: number; width: number; labels: Uint32Array }> {
  try {
    const file = sharp(path, { failOn: "error", ignoreIcc: true });
    const { depth, channels = 3 } = await file.metadata();
    const wide = depth === "ushort" && channels < 3; // 16-bit grey: more than 255 objects
    const pixels = wide ? file.toColourspace("grey16").raw({ depth: "ushort" }) : file.toColourspace("srgb").raw({ depth: "uchar" });
    const { data, info } = await pixels.toBuffer({ resolveWithObject: true });
    const { height, width } = info;
    const values = wide ? new Uint16Array(new Uint8Array(data).buffer) : data;
    const labels = new Uint32Array(height * width);
    for (let i = 0, v = 0; i < labels.length; i++, v += info.channels) {
      labels[i] = info.channels < 3 ? values[v]! : (values[v]! << 16) | (values[v + 1]! << 8) | values[v + 2]!;
    }
    return { height, width, labels };
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** Writes an image as PNG, whole or not at all; folders are made as needed. */
export async function writeImageFile(path: string, image: RawImage): Promise<void> {
  const { data, height, width } = image;
  await writeWhole(path, await sharp(data, { raw: { height, width, channels: 3 } }).png().toBuffer());
}

/** Writes a file under a temporary name, then renames it: nobody sees half a file. */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}.partial`;
  try {
    await writeFile(partial, content);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

function unreadable(path: string, cause: unknown): DatasetError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const missing = /missing|no such file/i.test(reason);
  return new DatasetError(
    missing ? `${path}: the image is missing.` : `${path}: the image can't be read: ${reason}. It may be truncated; replace it.`,
    { cause },
  );
}
