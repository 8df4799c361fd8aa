/** Data sets from parsed COCO annotations. */
import {
  compareIds,
  DatasetError,
  quote,
  type Bitmap,
  type CocoId,
  type Dataset,
  type GroundTruth,
  type RawImage,
  type Sample,
} from "@mrcnn/core";
import { decodeRle, errorOf, reviewCoco, rleToBox, segmentationToRle } from "@mrcnn/masks";
import type {
  CocoAnnotation,
  CocoBox,
  CocoCategory,
  CocoFinding,
  CocoImage,
  CocoJson,
  CocoReviewOptions,
} from "@mrcnn/masks";

/** Options of reading a COCO data set. */
export interface CocoDatasetOptions extends Pick<
  CocoReviewOptions,
  "purpose" | "boxes" | "masks" | "degenerate" | "emptyCategories" | "maxPixels" | "advice"
> {
  /** Name of the annotations in errors, usually their file's. Default "annotations". */
  readonly name?: string;
  /** How `readImage` reads photos with an EXIF orientation; used in messages. Default "stored". */
  readonly orientation?: "stored" | "exif";
}

/** A COCO data set, whose labels number the categories from 1 in the order of their ids. */
export interface CocoDataset extends Dataset {
  /** Categories sorted by id; label `l` is `categories[l - 1]`. */
  readonly categories: readonly CocoCategory[];
  /** The annotations used, without what was left out. */
  readonly json: CocoJson;
  /** The annotations' entry of each image, in the order of `get`. */
  readonly imageInfo: readonly CocoImage[];
  /** Annotations dropped by `degenerate: "drop"`. */
  readonly dropped: readonly CocoAnnotation[];
  /** Ids of the categories without objects. */
  readonly emptyCategories: readonly CocoId[];
  /** Oddities of the annotations that are no errors. */
  readonly notes: readonly CocoFinding[];
  /** Whether all objects have masks. */
  readonly hasMasks: boolean;
  /** Returns the objects of an image without reading the image. */
  groundTruth(index: number): GroundTruth;
}

/**
 * Creates a data set from parsed COCO annotations, which are reviewed by `reviewCoco` of @mrcnn/masks. Masks
 * are rasterised when an image is read; images come from `readImage`, in the pixels of the annotations (those
 * stored, without EXIF's orientation, as in COCO, unless `readImage` and `orientation` say otherwise). Boxes
 * are clipped to the image; for evaluation, `get` leaves out objects of which nothing remains.
 *
 * @throws DatasetError at once for errors in the annotations; from `get` for an image that can't be read or
 * has another size than annotated. It names the file or id.
 */
export function cocoDataset(
  json: CocoJson,
  readImage: (fileName: string) => Promise<RawImage>,
  { name = "annotations", orientation = "stored", ...options }: CocoDatasetOptions = {},
): CocoDataset {
  const review = reviewCoco(json, name, { ...options, images: "needed" });
  const error = errorOf(review.findings, name);
  if (error !== undefined) throw error;
  const { hasMasks, dropped, emptyCategories } = review;
  const categories = review.json.categories.toSorted((a, b) => compareIds(a.id, b.id));
  const labelOf = new Map(categories.map(({ id }, i) => [id, i + 1]));
  const imageInfo = review.json.images;
  const byImage = new Map(imageInfo.map((image) => [image.id, { image, objects: [] as CocoAnnotation[] }]));
  for (const written of review.json.annotations) {
    const { image, objects } = byImage.get(written.image_id)!;
    const annotation =
      options.boxes === "unneeded" ? { ...written, bbox: maskBox(written, image, name) } : written;
    const [x1, y1, x2, y2] = clippedBox(annotation, image);
    if (x2 > x1 && y2 > y1) objects.push(annotation);
  }

  const toMask = (annotation: CocoAnnotation, image: CocoImage): Bitmap => {
    const { height, width, file_name } = image;
    const where = `${name}: annotation ${quote(annotation.id)} of ${file_name}`;
    return decodeRle(segmentationToRle(annotation.segmentation!, { height, width }, where));
  };
  const infoOf = (index: number): CocoImage => {
    const info = imageInfo[index];
    if (info === undefined)
      throw new DatasetError(`${name}: index must be within 0..${imageInfo.length - 1}, got ${index}.`);
    return info;
  };
  const groundTruth = (index: number): GroundTruth => {
    const { image, objects } = byImage.get(infoOf(index).id)!;
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
    json: review.json,
    imageInfo,
    dropped,
    emptyCategories,
    notes: review.findings,
    hasMasks,
    groundTruth,
    async get(index): Promise<Sample> {
      const { id, file_name, width, height } = infoOf(index);
      const image = await readImage(file_name);
      if (image.width !== width || image.height !== height) {
        const isTurned = image.width === height && image.height === width;
        const other =
          orientation === "stored" ?
            'as they are stored; if EXIF says that this one is turned, and it was annotated upright, choose orientation "exif"'
          : 'upright, as EXIF says; if this one was annotated as it is stored, choose orientation "stored"';
        throw new DatasetError(
          `${file_name}: the file has ${image.width}x${image.height} pixels, ${name} says ${width}x${height}. ` +
            (isTurned ?
              `Photos are read ${other}. Else correct the annotations.`
            : "Correct the annotations, or replace the image."),
        );
      }
      return { id, name: file_name, image, groundTruth: groundTruth(index) };
    },
  };
}

// Where boxes are not needed they may be missing, so the mask's box is used.
const maskBox = ({ id, segmentation }: CocoAnnotation, image: CocoImage, name: string): CocoBox =>
  rleToBox(segmentationToRle(segmentation!, image, `${name}: annotation ${quote(id)} of ${image.file_name}`));

// Returns the corners of the box clipped to the image.
function clippedBox(
  { bbox: [x, y, w, h] }: CocoAnnotation,
  { width, height }: CocoImage,
): [number, number, number, number] {
  return [Math.max(x, 0), Math.max(y, 0), Math.min(x + w, width), Math.min(y + h, height)];
}
