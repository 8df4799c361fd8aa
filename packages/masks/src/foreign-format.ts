/** Recognition of JSON in formats other than COCO's. */
import { isRecord } from "@mrcnn/core";

type Loose = Readonly<Record<string, unknown>>;
const has = (value: unknown, ...keys: readonly string[]): boolean =>
  isRecord(value) && keys.every((key) => key in value);
const firstOf = (list: unknown): unknown => (Array.isArray(list) ? list[0] : undefined);
const someValue = (value: Loose): unknown => {
  for (const key in value) return value[key];
  return undefined;
};
const EXPORT = "Export the data as COCO JSON.";

/**
 * Describes a JSON value that was expected to be COCO annotations but is in another known format, with
 * advice; returns undefined for what looks like COCO annotations, and for unknown formats.
 */
export function foreignAnnotations(value: unknown): string | undefined {
  if (has(value, "images", "annotations")) {
    const first = firstOf((value as Loose).annotations);
    if (has(first, "segments_info"))
      return "they are COCO's panoptic annotations (segments_info), whose masks are in PNG files. Give an instances file, or convert them with panopticapi.";
    if (has(first, "caption") && !has(first, "bbox"))
      return "they are COCO's captions, which have no objects. Give an instances file.";
    return undefined;
  }
  if (Array.isArray(value)) {
    const first: unknown = value[0];
    if (has(first, "image_id", "category_id"))
      return "it is a list of COCO results or annotations, not a COCO annotation object. Give the annotation file with images, annotations and categories; results go with --results.";
    if (has(first, "data", "annotations") || has(first, "data", "completions"))
      return 'it is an export of Label Studio. Export it there as "COCO".';
    if (has(first, "image", "annotations")) return `it is in CreateML's format. ${EXPORT}`;
    if (has(first, "name", "labels")) return `it is in BDD100K's format. ${EXPORT}`;
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  if (has(value, "shapes", "imagePath"))
    return "it is a file of LabelMe, of one image. Convert them all with labelme's labelme2coco.py.";
  if (has(value, "_via_img_metadata") || has(value, "_via_settings"))
    return 'it is a project of VIA (VGG Image Annotator). Choose "Export Annotations (COCO format)" there.';
  if (has(value, "project", "file", "metadata")) return `it is a project of VIA 3. ${EXPORT}`;
  const some = someValue(value);
  if (has(some, "filename", "regions"))
    return 'it is in the format of VIA (VGG Image Annotator). Choose "Export Annotations (COCO format)" there.';
  if (
    typeof value.type === "string" &&
    /^(FeatureCollection|Feature|GeometryCollection|Polygon|MultiPolygon)$/.test(value.type)
  ) {
    return "it is GeoJSON, in coordinates of the earth. Convert it to COCO JSON in pixels of the images.";
  }
  if (has(value, "imgHeight", "imgWidth", "objects"))
    return `it is a file of Cityscapes, of one image. ${EXPORT}`;
  if (has(value, "size", "objects")) return `it is a file of Supervisely, of one image. ${EXPORT}`;
  if (has(value, "categories", "items"))
    return "it is in Datumaro's format. Convert it with `datum convert -f coco_instances`.";
  if (has(value, "training", "data") || has(value, "optimizer", "data"))
    return "it is a training config. Give the annotations.";
  return undefined;
}

/**
 * Describes a JSON value that was expected to be a list of COCO results but is in another known format, with
 * advice; returns undefined for unknown formats.
 */
export function foreignResults(value: unknown): string | undefined {
  if (has(value, "images", "annotations"))
    return "it is an annotation file. Give it with --annotations, and the list of results with --results.";
  if (has(value, "bbox") || has(value, "segm") || has(value, "keypoints"))
    return "it holds the figures of an evaluation, not the results that were evaluated.";
  if (isRecord(value) && Array.isArray(value.annotations))
    return "it is an object with annotations, not a list of results. Write the list alone.";
  return foreignAnnotations(value);
}
