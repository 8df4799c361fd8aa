/** Data sets of one class whose objects are mask images on disk. */
import { readdir } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { DatasetError, type Bitmap, type Dataset, type ImageSize } from "@mrcnn/core";
import { MASK_BYTES_PER_PIXEL, MAX_PIXELS } from "@mrcnn/masks";
import { readImageFile, readImageHeader, readLabelFile, sizeAsRead } from "./image-file.ts";
import type { PictureReviewOptions } from "./image-review.ts";
import { inOrder } from "./in-order.ts";
import { lossyFormat } from "./lossy-format.ts";
import { oneClass } from "./one-class.ts";
import { isForeignPictureName, isPictureName } from "./picture-names.ts";
import { whyNoFile } from "./regular-file.ts";

/** A description of a data set of one class whose objects are mask images on disk, as plain data. */
export type MaskFolders = {
  /** Name of the class. Default "object". */
  readonly className?: string;
  /**
   * How photos with an EXIF orientation are read: as stored, or upright where the masks are upright. Default
   * "stored".
   */
  readonly orientation?: "stored" | "exif";
  /** Largest number of pixels of an image; larger ones are refused. Default 178,956,970. */
  readonly maxPixels?: number;
  /**
   * Whether the headers of images and masks are checked when the data set is opened, or each only when it is
   * read. Default "checked".
   */
  readonly pictures?: "checked" | "unread";
} & (
  | {
      /**
       * Folder of folders, one per image, each with `images/` (one file) and `masks/` (one file per object),
       * as in the Data Science Bowl 2018.
       */
      readonly folder: string;
    }
  | {
      /** Folder of images, as in PennFudan's PNGImages. */
      readonly images: string;
      /**
       * Folder of label images of the same names (`_mask` may follow), in which each value but black is an
       * object, as in PennFudan's PedMasks.
       */
      readonly masks: string;
    }
);

interface Entry {
  readonly name: string;
  readonly image: string;
  readonly masks: readonly string[];
  /** Whether there is one label image for all objects, instead of one image per object. */
  readonly labels: boolean;
}

// Normalized, since macOS writes the same letters in another Unicode form than other systems do.
const stem = (name: string): string => basename(name, extname(name)).normalize();

/**
 * Opens a data set whose objects are mask images. Boxes are those of the masks; empty masks are left out.
 * `onImage` receives the number of images whose headers have been checked.
 *
 * @throws DatasetError naming missing files, pictures that can't be read, masks of another size than their
 * image's, and masks in a lossy format (which changes their values); from `get` for truncated files.
 */
export async function maskFoldersDataset(
  options: MaskFolders,
  { onImage }: Pick<PictureReviewOptions, "onImage"> = {},
): Promise<Dataset> {
  const {
    className = "object",
    orientation = "stored",
    maxPixels = MAX_PIXELS,
    pictures = "checked",
  } = options;
  const entries =
    "folder" in options ? await nested(options.folder) : await parallel(options.images, options.masks);
  if (entries.length === 0) {
    throw new DatasetError(
      `${"folder" in options ? options.folder : options.images}: no images were found. Check the path and the layout.`,
    );
  }
  const look = async ({ image, masks }: Entry): Promise<void> => {
    const size = sizeAsRead(await readImageHeader(image, { maxPixels }), orientation);
    for (const path of masks) {
      assertLossless(path);
      assertSameSize(path, await readImageHeader(path, { maxPixels }), size);
    }
  };
  if (pictures === "checked") await inOrder(entries, look, { onImage });
  return {
    length: entries.length,
    classNames: ["background", className],
    async get(index) {
      const entry = entries[index];
      if (entry === undefined)
        throw new DatasetError(
          `maskFoldersDataset: index must be within 0..${entries.length - 1}, got ${index}.`,
        );
      const image = await readImageFile(entry.image, { orient: orientation === "exif", maxPixels });
      const read = await Promise.all(
        entry.masks.map((path) => readMasks(path, image, { labelled: entry.labels, maxPixels })),
      );
      const masks = read.flat();
      return {
        id: index + 1,
        name: entry.name,
        image,
        groundTruth: oneClass(masks),
      };
    },
  };
}

async function list(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).toSorted();
  } catch (cause) {
    throw new DatasetError(`${folder}: the folder can't be read. Check the path.`, { cause });
  }
}

async function listPictures(folder: string): Promise<string[]> {
  const names = await list(folder);
  const foreign = names.find(isForeignPictureName);
  if (foreign !== undefined)
    throw new DatasetError(
      `${join(folder, foreign)}: pictures of this kind can't be read. Convert it to PNG, or move it away.`,
    );
  return names.filter(isPictureName);
}

async function nested(folder: string): Promise<Entry[]> {
  const names = (await readdir(folder, { withFileTypes: true }).catch(() => list(folder).then(() => [])))
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => entry.name)
    .toSorted();
  return Promise.all(
    names.map(async (name) => {
      const images = await listPictures(join(folder, name, "images"));
      if (images.length !== 1) {
        throw new DatasetError(
          `${join(folder, name, "images")}: must hold one image, got ${images.length}. Leave one.`,
        );
      }
      const masks = await listPictures(join(folder, name, "masks"));
      return {
        name,
        image: join(folder, name, "images", images[0]!),
        masks: masks.map((file) => join(folder, name, "masks", file)),
        labels: false,
      };
    }),
  );
}

async function parallel(images: string, masks: string): Promise<Entry[]> {
  const byStem = new Map<string, string>();
  for (const file of await listPictures(masks)) {
    const key = stem(file).replace(/_mask$/, "");
    const other = byStem.get(key);
    if (other !== undefined)
      throw new DatasetError(`${join(masks, file)}: ${other} is of the same image. Leave one of them.`);
    byStem.set(key, file);
  }
  return (await listPictures(images)).map((file) => {
    const mask = byStem.get(stem(file));
    if (mask === undefined) {
      throw new DatasetError(
        `${join(images, file)}: there is no mask named alike in ${masks}. Add it, or move the image away.`,
      );
    }
    return { name: file, image: join(images, file), masks: [join(masks, mask)], labels: true };
  });
}

async function readMasks(
  path: string,
  image: ImageSize,
  options: { readonly labelled: boolean; readonly maxPixels: number },
): Promise<Bitmap[]> {
  assertLossless(path);
  const read = await readLabelFile(path, options);
  assertSameSize(path, read, image);
  return objectsOf(read, path, options);
}

function assertSameSize(path: string, { width, height }: ImageSize, image: ImageSize): void {
  if (height === image.height && width === image.width) return;
  throw new DatasetError(
    `${path}: the mask has ${width}x${height} pixels, its image ${image.width}x${image.height}. ` +
      (height === image.width && width === image.height ?
        'One of them may be turned: if EXIF turns the photo, choose orientation "exif" or "stored". Else replace one.'
      : "Replace one of them."),
  );
}

// Returns one mask for each value, or one for all that isn't 0, each cropped to its window.
function objectsOf(
  { height, width, labels }: ImageSize & { readonly labels: Uint32Array },
  path: string,
  { labelled, maxPixels }: { readonly labelled: boolean; readonly maxPixels: number },
): Bitmap[] {
  const windows = new Map<number, { left: number; top: number; right: number; bottom: number }>();
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const label = labels[i]!;
      if (label === 0) continue;
      const key = labelled ? label : 1;
      const window = windows.get(key);
      if (window === undefined) windows.set(key, { left: x, top: y, right: x, bottom: y });
      else {
        if (x < window.left) window.left = x;
        if (x > window.right) window.right = x;
        window.bottom = y;
      }
    }
  }
  const ordered = [...windows].toSorted(([a], [b]) => a - b);
  const pixels = ordered.reduce(
    (sum, [, { left, top, right, bottom }]) => sum + (right - left + 1) * (bottom - top + 1),
    0,
  );
  if (pixels > MASK_BYTES_PER_PIXEL * maxPixels) {
    throw new DatasetError(
      `${path}: the mask has ${windows.size} values, whose objects take ${pixels} pixels in all, more than ${MASK_BYTES_PER_PIXEL * maxPixels}. ` +
        "Each value must be one object: is it a photo, or were the values changed by resizing?",
    );
  }
  return ordered.map(([key, window]) => {
    const { left, top } = window;
    const size = { height: window.bottom - top + 1, width: window.right - left + 1 };
    const data = new Uint8Array(size.height * size.width);
    for (let y = 0, i = 0; y < size.height; y++) {
      for (let x = 0, at = (top + y) * width + left; x < size.width; x++, i++, at++)
        data[i] =
          (
            labelled ? labels[at] === key : labels[at] !== 0
          ) ?
            1
          : 0;
    }
    return { size: { height, width }, left, top, ...size, data };
  });
}

function assertLossless(path: string): void {
  const reason = whyNoFile(path);
  if (reason !== undefined) throw new DatasetError(`${path}: the mask can't be read: ${reason}`);
  let format: string | undefined;
  try {
    format = lossyFormat(path);
  } catch (cause) {
    throw new DatasetError(`${path}: the mask can't be read: ${(cause as Error).message}.`, { cause });
  }
  if (format === undefined) return;
  throw new DatasetError(
    `${path}: the mask is ${format}, a format that changes values: pixels near an object's edge would become other objects. ` +
      "Make the masks anew as PNG; converting this file doesn't bring the values back.",
  );
}
