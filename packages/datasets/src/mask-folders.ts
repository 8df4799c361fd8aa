import { readdir } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { DatasetError, type Bitmap, type Dataset, type ImageSize } from "@mrcnn/core";
import { bitmapFromFull } from "@mrcnn/masks";
import { readImageFile, readLabelFile } from "./image-file.ts";
import { oneClass } from "./one-class.ts";

/** Objects as mask images on disk, of one class; plain data. */
export type MaskFolders = {
  /** Name of the one class. Default "object". */
  readonly className?: string;
} & (
  | {
      /** A folder of folders, one per image, each with `images/` (one file) and `masks/` (one file per object), as in the Data Science Bowl 2018. */
      readonly folder: string;
    }
  | {
      /** A folder of images, as in PennFudan's PNGImages. */
      readonly images: string;
      /** A folder of label images named alike (`_mask` may follow), in which each value but black is an object, as in PennFudan's PedMasks. */
      readonly masks: string;
    }
);

interface Entry {
  readonly name: string;
  readonly image: string;
  readonly masks: readonly string[];
  /** One label image for all objects, instead of one image per object. */
  readonly labels: boolean;
}

const isImage = (name: string): boolean => /\.(png|jpe?g|tiff?|webp|avif|bmp|gif)$/i.test(name);
const stem = (name: string): string => basename(name, extname(name));

/**
 * Opens a data set whose objects are mask images. Boxes are those of the masks; empty masks are left out.
 *
 * @throws DatasetError naming what is missing, and from `get` for unreadable files or masks of another size.
 */
export async function maskFoldersDataset(options: MaskFolders): Promise<Dataset> {
  const { className = "object" } = options;
  const entries = "folder" in options ? await nested(options.folder) : await parallel(options.images, options.masks);
  if (entries.length === 0) {
    throw new DatasetError(`${"folder" in options ? options.folder : options.images}: no images were found. Check the path and the layout.`);
  }
  return {
    length: entries.length,
    classNames: ["background", className],
    async get(index) {
      const entry = entries[index];
      if (entry === undefined) throw new DatasetError(`maskFoldersDataset: index must be within 0..${entries.length - 1}, got ${index}.`);
      const image = await readImageFile(entry.image, { orient: false });
      const read = await Promise.all(entry.masks.map((path) => readMasks(path, image, entry.labels)));
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

async function nested(folder: string): Promise<Entry[]> {
  const names = (await readdir(folder, { withFileTypes: true }).catch(() => list(folder).then(() => [])))
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted();
  return Promise.all(
    names.map(async (name) => {
      const images = (await list(join(folder, name, "images"))).filter(isImage);
      if (images.length !== 1) {
        throw new DatasetError(`${join(folder, name, "images")}: must hold one image, got ${images.length}. Leave one.`);
      }
      const masks = (await list(join(folder, name, "masks"))).filter(isImage);
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
  const byStem = new Map((await list(masks)).filter(isImage).map((file) => [stem(file).replace(/_mask$/, ""), file]));
  return (await list(images)).filter(isImage).map((file) => {
    const mask = byStem.get(stem(file));
    if (mask === undefined) {
      throw new DatasetError(`${join(images, file)}: there is no mask named alike in ${masks}. Add it, or move the image away.`);
    }
    return { name: file, image: join(images, file), masks: [join(masks, mask)], labels: true };
  });
}

async function readMasks(path: string, image: ImageSize, labelled: boolean): Promise<Bitmap[]> {
  const { height, width, labels } = await readLabelFile(path);
  if (height !== image.height || width !== image.width) {
    throw new DatasetError(
      `${path}: the mask has ${width}x${height} pixels, its image ${image.width}x${image.height}. Replace one of them.`,
    );
  }
  const values = labelled ? [...new Set(labels)].filter((value) => value !== 0).toSorted((a, b) => a - b) : [undefined];
  return values
    .map((value) => bitmapFromFull(Uint8Array.from(labels, (l) => ((value === undefined ? l !== 0 : l === value) ? 1 : 0)), { height, width }))
    .filter((mask) => mask.data.includes(1));
}
