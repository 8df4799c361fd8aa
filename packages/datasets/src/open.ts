import type { Dataset } from "@mrcnn/core";
import { cocoDatasetFromFiles, type CocoFiles } from "./coco-files.ts";
import { maskFoldersDataset, type MaskFolders } from "./mask-folders.ts";
import { shapesDataset, type ShapesOptions } from "./shapes.ts";

/** Which data set, in plain data: it can stand in a file and be sent to another thread. */
export type DatasetDescription =
  | ({ readonly kind: "coco" } & CocoFiles)
  | ({ readonly kind: "maskFolders" } & MaskFolders)
  | ({ readonly kind: "shapes" } & ShapesOptions);

/**
 * Opens the data set that a description names.
 *
 * @throws DatasetError as the data set's own function.
 */
export async function openDataset(description: DatasetDescription): Promise<Dataset> {
  switch (description.kind) {
    case "coco":
      return cocoDatasetFromFiles(description);
    case "maskFolders":
      return maskFoldersDataset(description);
    case "shapes":
      return shapesDataset(description);
  }
}
