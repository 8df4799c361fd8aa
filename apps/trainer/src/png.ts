/** PNG files for reports. */
import type { RawImage } from "@mrcnn/core";
import sharp from "sharp";

/** An image as the bytes of a PNG file. */
export async function encodePng({ data, width, height }: RawImage): Promise<Uint8Array> {
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}
