/** Reads images in a page, with the same pixels as Node. */
import { ConfigError, DatasetError } from "@mrcnn/core";
import type { RawImage } from "@mrcnn/core";
import { isRawImage } from "./detector.ts";
import { storedPixels } from "./page-pixels.ts";
import type { Rgba } from "./page-pixels.ts";

/** An image in a page: decoded already, a file, a URL, or any element or object that shows one. */
export type PageImage =
  | RawImage
  | ImageData
  | Blob
  | string
  | URL
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | ImageBitmap
  | HTMLVideoElement
  | VideoFrame;

type Drawable = Exclude<CanvasImageSource, SVGImageElement>;

/**
 * Reads an image as 8-bit RGB, turned upright according to its EXIF orientation: the same pixels as Node
 * reads from the same file. Colour profiles are ignored; transparent pixels keep their colour and lose their
 * transparency, where WebGL is available to read them. Of a video the current frame is read.
 *
 * @throws DatasetError when the image is not loaded, can't be decoded, or comes from another origin without
 * CORS.
 */
export async function readPageImage(image: PageImage): Promise<RawImage> {
  if (isRawImage(image)) return image;
  if (isImageData(image)) return toRgb(image);
  if (typeof image === "string" || image instanceof URL)
    return decodeBlob(await fetchBlob(String(image)), String(image));
  if (typeof Blob !== "undefined" && image instanceof Blob)
    return decodeBlob(image, "name" in image ? String(image.name) : "image");
  if ("decode" in image) return readElement(image);
  return toRgb(draw(image as Drawable, sizeOf(image as Drawable)));
}

// Decodes pixels as stored, not as displayed.
const AS_STORED = {
  imageOrientation: "from-image",
  premultiplyAlpha: "none",
  colorSpaceConversion: "none",
} as const;

async function readElement(image: HTMLImageElement): Promise<RawImage> {
  try {
    await image.decode();
  } catch (cause) {
    throw new DatasetError(
      `detect: the image ${image.currentSrc || image.src} can't be decoded. Check that it loads.`,
      { cause },
    );
  }
  const size = sizeOf(image);
  // Drawing the image directly would convert its colours. Not every browser makes bitmaps of every image
  // (SVG).
  const bitmap = await Promise.resolve()
    .then(() => createImageBitmap(image, AS_STORED))
    .catch(() => undefined);
  return bitmap === undefined ? toRgb(draw(image, size)) : readBitmap(bitmap, size);
}

/** Reads a bitmap made by this module, and closes it. */
function readBitmap(bitmap: ImageBitmap, size: { width: number; height: number }): RawImage {
  try {
    const drawn = draw(bitmap, size);
    const isWhole = bitmap.width === size.width && bitmap.height === size.height;
    return toRgb((isWhole && isTransparent(drawn) && storedPixels(bitmap)) || drawn);
  } finally {
    bitmap.close();
  }
}

function isTransparent({ data: rgba }: Rgba): boolean {
  for (let i = 3; i < rgba.length; i += 4) if (rgba[i] !== 255) return true;
  return false;
}

const isImageData = (image: object | string): image is ImageData =>
  typeof image === "object" &&
  "data" in image &&
  image.data instanceof Uint8ClampedArray &&
  "width" in image &&
  "height" in image &&
  image.data.length === 4 * Number(image.width) * Number(image.height);

function sizeOf(image: Drawable): { width: number; height: number } {
  const { naturalWidth, naturalHeight, videoWidth, videoHeight, displayWidth, displayHeight, width, height } =
    image as unknown as Partial<Record<string, number>>;
  const size = {
    width: naturalWidth ?? videoWidth ?? displayWidth ?? width,
    height: naturalHeight ?? videoHeight ?? displayHeight ?? height,
  };
  if (typeof size.width !== "number" || typeof size.height !== "number") {
    throw new ConfigError(
      "detect: the image must be { data: RGB bytes, width, height }, a Blob, a URL, an image, canvas or video element, an ImageBitmap, ImageData or VideoFrame.",
    );
  }
  if (!(size.width > 0 && size.height > 0))
    throw new DatasetError(
      "detect: the image has no pixels. Wait until it has loaded (a video: until it plays).",
    );
  return { width: size.width, height: size.height };
}

async function fetchBlob(url: string): Promise<Blob> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new DatasetError(
      `${url}: the image can't be fetched (${(cause as Error).message}). From another origin its server must allow it (CORS).`,
      { cause },
    );
  }
  if (!response.ok)
    throw new DatasetError(
      `${url}: the image can't be fetched: the server answers ${response.status}. Check the URL.`,
    );
  return response.blob();
}

async function decodeBlob(blob: Blob, name: string): Promise<RawImage> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, AS_STORED);
  } catch (cause) {
    throw new DatasetError(
      `${name}: the image can't be decoded (${(cause as Error).message}). It may be truncated, or of a format that this browser does not know.`,
      { cause },
    );
  }
  return readBitmap(bitmap, bitmap);
}

function draw(image: Drawable, { width, height }: { width: number; height: number }): ImageData {
  const canvas =
    typeof OffscreenCanvas === "undefined" ?
      Object.assign(document.createElement("canvas"), { width, height })
    : new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", {
    willReadFrequently: true,
  }) as OffscreenCanvasRenderingContext2D | null;
  if (context === null)
    throw new DatasetError(
      `detect: the browser gives no canvas of ${width} x ${height}. Make the image smaller.`,
    );
  context.drawImage(image, 0, 0, width, height);
  try {
    return context.getImageData(0, 0, width, height);
  } catch (cause) {
    throw new DatasetError(
      "detect: the image is from another origin, whose pixels a page may not read. Its server must allow it (CORS), and an <img> needs crossorigin.",
      { cause },
    );
  }
}

function toRgb({ data: rgba, width, height }: Rgba): RawImage {
  const data = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    data[to++] = rgba[from]!;
    data[to++] = rgba[from + 1]!;
    data[to++] = rgba[from + 2]!;
  }
  return { data, width, height };
}
