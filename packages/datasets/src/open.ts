/** Opening of data sets from descriptions. */
import type { Dataset } from "@mrcnn/core";
import { cocoDatasetFromFiles, type CocoFiles } from "./coco-files.ts";
import type { PictureReviewOptions } from "./image-review.ts";
import { inOrder } from "./in-order.ts";
import { maskFoldersDataset, type MaskFolders } from "./mask-folders.ts";
import { shapesDataset, type ShapesOptions } from "./shapes.ts";

/** A description of a data set as plain data, which can be stored in a file and sent to another thread. */
export type DatasetDescription =
  | ({ readonly kind: "coco" } & CocoFiles)
  | ({ readonly kind: "maskFolders" } & MaskFolders)
  | ({ readonly kind: "shapes" } & ShapesOptions);

/**
 * Opens the data set of a description; `onImage` receives the number of pictures checked.
 *
 * @throws DatasetError as the data set's own function.
 */
export async function openDataset(
  description: DatasetDescription,
  looking: Pick<PictureReviewOptions, "onImage"> = {},
): Promise<Dataset> {
  switch (description.kind) {
    case "coco":
      return cocoDatasetFromFiles(description, looking);
    case "maskFolders":
      return maskFoldersDataset(description, looking);
    case "shapes":
      return shapesDataset(description);
  }
}

/**
 * Returns the description with which the same data set is opened without checking its pictures, for a data
 * set that was opened before.
 */
export const unread = (description: DatasetDescription): DatasetDescription =>
  description.kind === "shapes" ? description : { ...description, pictures: "unread" };

/**
 * Reads the samples in order, several at a time, until `maxPixels` pixels or all samples have been read. So
 * truncated files, which only reading their pixels reveals, are found before a long run begins. `onImage`
 * receives the number done.
 *
 * @returns the number of samples read, from the first on.
 * @throws whatever `get` throws.
 */
export async function readThrough(
  { length, get }: Pick<Dataset, "length" | "get">,
  { maxPixels, onImage }: { readonly maxPixels: number } & Pick<PictureReviewOptions, "onImage">,
): Promise<number> {
  const enough = new AbortController();
  let pixels = 0;
  const read = await inOrder(
    Array.from({ length }, (_, i) => i),
    async (i) => {
      const { image } = await get(i);
      pixels += image.width * image.height;
      if (pixels >= maxPixels) enough.abort();
    },
    { onImage, signal: enough.signal },
  );
  return read.length;
}
