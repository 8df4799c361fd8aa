/** Draws detections and ground truth into images. */
import { assertLength, ConfigError } from "@mrcnn/core";
import type { Bitmap, Detections, GroundTruth, Keypoints, RawImage } from "@mrcnn/core";
import { decodeRle } from "@mrcnn/masks";
import { blend, canvasOf, drawText, fillRect, strokeRect, textSize } from "./canvas.ts";
import type { Canvas } from "./canvas.ts";
import { inkOn, instanceColor, shade } from "./color.ts";
import type { Color } from "./color.ts";
import { drawKeypoints } from "./keypoints.ts";
import type { KeypointStyle } from "./keypoints.ts";

/** Options for drawing objects. */
export interface DrawOptions {
  /** Class names by label; index 0 is the background. */
  readonly classNames: readonly string[];
  /** Opacity of the masks' filling, 0 to 1. Default 0.45. */
  readonly maskOpacity?: number;
  readonly showBoxes?: boolean;
  /** Shows a tag on each object. Default true for up to 40 objects: more tags than that hide the image. */
  readonly showLabels?: boolean;
  /**
   * Enlarges the image by a whole factor first, so that lines and labels stay fine on small images. Default
   * 1.
   */
  readonly scale?: number;
}

/** Options for drawing detections. */
export interface OverlayOptions extends DrawOptions {
  /** Lowest score of the detections that are drawn. Default 0.5. */
  readonly scoreThreshold?: number;
  /** Options for drawing keypoints, where there are any. */
  readonly keypoints?: KeypointStyle;
}

interface Instance {
  readonly box: readonly number[];
  readonly mask: Bitmap | undefined;
  readonly text: string;
  readonly color: Color;
  /** All objects' keypoints, and the index of this object among them. */
  readonly keypoints?: { readonly of: Keypoints; readonly index: number };
}

const MOST_LABELS = 40;

/**
 * Draws detections into a copy of an image: translucent masks with a dark contour, boxes, and tags with class
 * and score, each object in a colour of its own, and keypoints with the limbs between them; small objects
 * over large ones. The image itself is not changed.
 *
 * @throws ShapeError when the length of the image's data differs from its size, or the keypoints don't belong
 * to the boxes; ConfigError for an option out of range.
 */
export function drawOverlay(image: RawImage, detections: Detections, options: OverlayOptions): RawImage {
  const { scoreThreshold = 0.5, classNames } = options;
  const { keypoints } = detections;
  if (keypoints !== undefined) {
    const shown = detections.scores.length * keypoints.count;
    assertLength(keypoints.points, 3 * shown, "drawOverlay", "keypoints.points");
    assertLength(keypoints.scores, shown, "drawOverlay", "keypoints.scores");
  }
  const instances: Instance[] = [];
  detections.scores.forEach((score, i) => {
    if (score < scoreThreshold) return;
    const rle = detections.masks?.[i];
    instances.push({
      box: [...detections.boxes.subarray(4 * i, 4 * i + 4)],
      mask: rle === undefined ? undefined : decodeRle(rle),
      text: `${nameOf(detections.labels[i]!, classNames)} ${score.toFixed(2)}`,
      color: instanceColor(instances.length),
      ...(keypoints === undefined ? {} : { keypoints: { of: keypoints, index: i } }),
    });
  });
  return drawInstances(image, instances, options, "drawOverlay");
}

/** Draws ground truth into a copy of an image as `drawOverlay` draws detections; crowds are marked. */
export function drawGroundTruth(image: RawImage, groundTruth: GroundTruth, options: DrawOptions): RawImage {
  const instances = Array.from(groundTruth.labels, (label, i): Instance => {
    const crowd = groundTruth.isCrowd[i] === 1 ? " (crowd)" : "";
    return {
      box: [...groundTruth.boxes.subarray(4 * i, 4 * i + 4)],
      mask: groundTruth.masks[i],
      text: nameOf(label, options.classNames) + crowd,
      color: instanceColor(i),
    };
  });
  return drawInstances(image, instances, options, "drawGroundTruth");
}

const nameOf = (label: number, classNames: readonly string[]): string =>
  classNames[label] ?? `class ${label}`;

function drawInstances(
  image: RawImage,
  instances: readonly Instance[],
  options: Omit<OverlayOptions, "scoreThreshold">,
  where: string,
): RawImage {
  const {
    maskOpacity = 0.45,
    showBoxes = true,
    showLabels = instances.length <= MOST_LABELS,
    scale = 1,
  } = options;
  assertLength(image.data, image.width * image.height * 3, where, "image.data");
  if (!(maskOpacity >= 0 && maskOpacity <= 1))
    throw new ConfigError(`${where}: maskOpacity must be from 0 to 1, got ${maskOpacity}.`);
  if (!Number.isInteger(scale) || scale < 1)
    throw new ConfigError(`${where}: scale must be a whole number from 1, got ${scale}.`);
  const canvas = canvasOf(image, scale);
  const side = Math.min(canvas.width, canvas.height);
  const line = Math.max(1, Math.round(side / 350));
  const dot = Math.max(1, 0.5 + side / 500);

  const area = ({ box }: Instance): number => (box[2]! - box[0]!) * (box[3]! - box[1]!);
  const largestFirst = instances.toSorted((a, b) => area(b) - area(a));
  for (const { mask, color } of largestFirst)
    if (mask !== undefined) drawMask(canvas, mask, scale, color, maskOpacity, line);
  const placed = largestFirst.map((instance) => {
    const [x1, y1, x2, y2] = instance.box.map((v) => Math.round(v * scale)) as [
      number,
      number,
      number,
      number,
    ];
    return { ...instance, corners: [x1, y1, Math.max(x2, x1 + 1), Math.max(y2, y1 + 1)] as const };
  });
  if (showBoxes) for (const { corners, color } of placed) strokeRect(canvas, ...corners, line, color);
  for (const instance of placed) {
    const { keypoints } = instance;
    if (keypoints !== undefined)
      drawKeypoints(canvas, keypoints.of, keypoints.index, {
        ...options.keypoints,
        scale,
        line,
        size: Math.sqrt(area(instance)) * scale,
      });
  }
  if (showLabels) drawTags(canvas, placed, dot);
  return canvas;
}

function drawMask(
  canvas: Canvas,
  mask: Bitmap,
  scale: number,
  color: Color,
  opacity: number,
  line: number,
): void {
  const dark = shade(color, 0.55);
  const inside = (x: number, y: number): boolean => {
    const u = Math.floor(x / scale) - mask.left;
    const v = Math.floor(y / scale) - mask.top;
    return u >= 0 && v >= 0 && u < mask.width && v < mask.height && mask.data[v * mask.width + u] !== 0;
  };
  const right = Math.min(canvas.width, (mask.left + mask.width) * scale);
  const bottom = Math.min(canvas.height, (mask.top + mask.height) * scale);
  for (let y = mask.top * scale; y < bottom; y++) {
    for (let x = mask.left * scale; x < right; x++) {
      if (!inside(x, y)) continue;
      let edge = false;
      for (let k = 1; k <= line && !edge; k++)
        edge = !inside(x - k, y) || !inside(x + k, y) || !inside(x, y - k) || !inside(x, y + k);
      if (edge) blend(canvas, x, y, dark, 0.9);
      else blend(canvas, x, y, color, opacity);
    }
  }
}

interface Tagged {
  readonly corners: readonly [number, number, number, number];
  readonly text: string;
  readonly color: Color;
}

// Places tags above their box, else inside its top, else below it, where no other tag is; always inside the
// image.
function drawTags(canvas: Canvas, instances: readonly Tagged[], dot: number): void {
  const margin = Math.max(1, Math.round(dot * 1.5));
  const taken: [number, number, number, number][] = [];
  for (const { corners, text, color } of instances) {
    const [x1, y1, , y2] = corners;
    const size = textSize(text, dot);
    const width = size.width + 2 * margin;
    const height = size.height + 2 * margin - Math.floor(dot / 2);
    const fit = (x: number, y: number): [number, number, number, number] => {
      const left = Math.max(0, Math.min(x, canvas.width - width));
      const top = Math.max(0, Math.min(y, canvas.height - height));
      return [left, top, left + width, top + height];
    };
    const places = [fit(x1, y1 - height), fit(x1, y1), fit(x1, y2), fit(x1, y2 - height)];
    const free = places.find((p) =>
      taken.every((t) => p[2] <= t[0] || t[2] <= p[0] || p[3] <= t[1] || t[3] <= p[1]),
    );
    const [left, top, right, bottom] = free ?? places[0]!;
    taken.push([left, top, right, bottom]);
    fillRect(canvas, left, top, right, bottom, color);
    drawText(canvas, text, left + margin, top + margin, dot, inkOn(color));
  }
}
