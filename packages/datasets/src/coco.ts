import { compareIds, DatasetError, type Bitmap, type Dataset, type GroundTruth, type RawImage, type Sample } from "@mrcnn/core";
import { decodeRle, segmentationToRle } from "@mrcnn/masks";
import type { CocoAnnotation, CocoCategory, CocoImage, CocoJson } from "@mrcnn/masks";

/** How a COCO data set is read. */
export interface CocoDatasetOptions {
  /** What errors call the annotations: usually their file. Default "annotations". */
  readonly name?: string;
  /**
   * What to do about boxes without area (COCO itself has a few): refuse the data set, or leave those
   * objects out and list them in `dropped`. Default "error".
   */
  readonly degenerate?: "error" | "drop";
}

/** A COCO data set: labels number the categories from 1 in the order of their ids. */
export interface CocoDataset extends Dataset {
  /** Sorted by id; label `l` is `categories[l - 1]`. */
  readonly categories: readonly CocoCategory[];
  /** What the annotations say about each image, in the order of `get`. */
  readonly imageInfo: readonly CocoImage[];
  /** Annotations left out because their box has no area. */
  readonly dropped: readonly CocoAnnotation[];
  /** Whether objects have masks. */
  readonly hasMasks: boolean;
  /** The objects of an image without reading the image. */
  groundTruth(index: number): GroundTruth;
}

/**
 * Makes a data set of COCO instance annotations. Masks are rasterised when an image is asked for; images
 * come from `readImage`, in the pixels of the annotations (EXIF orientation not applied, as in COCO).
 * Boxes are clipped to the image.
 *
 * @throws DatasetError at once for a box without area, and when only some objects have a segmentation;
 *   from `get` for an unreadable image or one whose size is not the annotated one. It names the file or id.
 */
export function cocoDataset(
  json: CocoJson,
  readImage: (fileName: string) => Promise<RawImage>,
  { name = "annotations", degenerate = "error" }: CocoDatasetOptions = {},
): CocoDataset {
  const categories = json.categories.toSorted((a, b) => compareIds(a.id, b.id));
  const labelOf = new Map(categories.map(({ id }, i) => [id, i + 1]));
  const imageInfo = json.images;
  const byImage = new Map(imageInfo.map((image) => [image.id, { image, objects: [] as CocoAnnotation[] }]));
  const dropped: CocoAnnotation[] = [];

  for (const annotation of json.annotations) {
    const entry = byImage.get(annotation.image_id);
    if (entry === undefined || !labelOf.has(annotation.category_id)) {
      const missing = entry === undefined ? `image ${annotation.image_id}` : `category ${annotation.category_id}`;
      throw new DatasetError(`${name}: annotation ${annotation.id} refers to ${missing}, which is not listed. Add it or remove the annotation.`);
    }
    const [x1, y1, x2, y2] = clippedBox(annotation, entry.image);
    if (x2 > x1 && y2 > y1) entry.objects.push(annotation);
    else if (degenerate === "drop") dropped.push(annotation);
    else {
      throw new DatasetError(
        `${name}: annotation ${annotation.id}: bbox must have a positive width and height within its image ` +
          `(${entry.image.width}x${entry.image.height}), got [${annotation.bbox.join(", ")}]. ` +
          'Correct it, or leave such objects out with degenerate "drop".',
      );
    }
  }
  const annotations = [...byImage.values()].flatMap(({ objects }) => objects);
  // Sets of boxes often carry empty lists of polygons.
  const isBare = ({ segmentation }: CocoAnnotation): boolean =>
    segmentation === undefined || (!("counts" in segmentation) && segmentation.length === 0);
  const bare = annotations.find(isBare);
  const hasMasks = !annotations.every(isBare);
  if (hasMasks && bare !== undefined) {
    throw new DatasetError(
      `${name}: annotation ${bare.id} has no segmentation while others have. Give every object a mask, or none.`,
    );
  }

  const toMask = (annotation: CocoAnnotation, image: CocoImage): Bitmap => {
    const { height, width, file_name } = image;
    const where = `${name}: annotation ${annotation.id} of ${file_name}`;
    return decodeRle(segmentationToRle(annotation.segmentation!, { height, width }, where));
  };
  const groundTruth = (index: number): GroundTruth => {
    const info = imageInfo[index];
    if (info === undefined) {
      throw new DatasetError(`${name}: index must be within 0..${imageInfo.length - 1}, got ${index}.`);
    }
    const { image, objects } = byImage.get(info.id)!;
    return {
      boxes: Float32Array.from(objects.flatMap((object) => clippedBox(object, image))),
      labels: Int32Array.from(objects, (object) => labelOf.get(object.category_id)!),
      masks: hasMasks ? objects.map((object) => toMask(object, image)) : [],
      isCrowd: Uint8Array.from(objects, (object) => Number(object.iscrowd ?? 0)),
    };
  };
  return {
    length: imageInfo.length,
    classNames: ["background", ...categories.map((category) => category.name)],
    categories,
    imageInfo,
    dropped,
    hasMasks,
    groundTruth,
    async get(index): Promise<Sample> {
      const objects = groundTruth(index);
      const { id, file_name, width, height } = imageInfo[index]!;
      const image = await readImage(file_name);
      if (image.width !== width || image.height !== height) {
        throw new DatasetError(
          `${file_name}: the file has ${image.width}x${image.height} pixels, ${name} says ${width}x${height}. ` +
            (image.width === height && image.height === width
              ? "Data sets are read as stored, without EXIF orientation: store the image upright, or correct the annotations."
              : "Correct the annotations, or replace the image."),
        );
      }
      return { id, name: file_name, image, groundTruth: objects };
    },
  };
}

// Corners within the image.
function clippedBox({ bbox: [x, y, w, h] }: CocoAnnotation, { width, height }: CocoImage): [number, number, number, number] {
  return [Math.max(x, 0), Math.max(y, 0), Math.min(x + w, width), Math.min(y + h, height)];
}
