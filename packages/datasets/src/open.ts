import type { Dataset } from "@mrcnn/core";
import { cocoDatasetFromFiles, type CocoFiles } from "./coco-files.ts";
import type { PictureReviewOptions } from "./image-review.ts";
import { inOrder } from "./in-order.ts";
import { maskFoldersDataset, type MaskFolders } from "./mask-folders.ts";
import { shapesDataset, type ShapesOptions } from "./shapes.ts";

/** Which data set, in plain data: it can stand in a file and be sent to another thread. */
export type DatasetDescription =
  | ({ readonly kind: "coco" } & CocoFiles)
  | ({ readonly kind: "maskFolders" } & MaskFolders)
  | ({ readonly kind: "shapes" } & ShapesOptions);

/**
 * Opens the data set that a description names; `onImage` is told how many of its pictures have been looked at.
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

/** Returns the description of the same data set that is opened without a look at its pictures, for a data set that was opened before. */
export const unread = (description: DatasetDescription): DatasetDescription =>
  description.kind === "shapes" ? description : { ...description, pictures: "unread" };

/**
 * Reads the samples in order, several at a time, until `maxPixels` pixels have been read or all are, so that files that
 * are cut, which only their pixels tell, are found before a long work begins. `onImage` is told how many are done.
 *
 * @returns how many were read, from the first on.
 * @throws what `get` throws.
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
