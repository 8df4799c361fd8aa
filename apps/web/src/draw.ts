/** Draws detections on a canvas. */
import type { Detections } from "@mrcnn/core";
import { instanceColor } from "@mrcnn/visualize";
import type { Outlines } from "./outlines.ts";
import type { Found, KeypointInfo } from "./protocol.ts";

/** The parts of the detections to draw. */
export interface View {
  readonly masks: boolean;
  readonly boxes: boolean;
  readonly labels: boolean;
  /** Objects to draw, as indices into the detections. */
  readonly shown: readonly number[];
  readonly selected?: number | undefined;
  readonly hovered?: number | undefined;
}

/** Options for drawing beside the detections. */
export interface DrawOptions {
  /** Canvas pixels per image pixel. */
  readonly scale: number;
  /** Canvas pixels per CSS pixel, so that lines and letters are equally thick on every screen. */
  readonly density: number;
  /** Class names: that of label `l` at `l - 1`. */
  readonly names: readonly string[];
  readonly keypoints?: KeypointInfo | undefined;
}

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

const FONT = "600 12px system-ui, sans-serif";
const TAG = 18;
// More tags than this hide the image.
const MOST_TAGS = 40;
const LIMBS = { left: "#46e06a", right: "#ff9a2e", middle: "#4aa8ff" };

/** Returns an object's colour in CSS notation. */
export function colorOf(index: number, opacity = 1): string {
  const [r, g, b] = instanceColor(index);
  return `rgb(${r} ${g} ${b} / ${opacity})`;
}

// Returns black or white, whichever is easier to read on the colour.
function inkOf(index: number): string {
  const [r, g, b] = instanceColor(index);
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#000" : "#fff";
}

const paths = new WeakMap<Outlines, Path2D>();

/** Returns a mask's outline as a path, in the image's pixels. */
export function pathOf(outlines: Outlines): Path2D {
  const known = paths.get(outlines);
  if (known !== undefined) return known;
  const path = new Path2D();
  const { points, starts } = outlines;
  for (let ring = 0; ring + 1 < starts.length; ring++) {
    for (let i = starts[ring]!; i < starts[ring + 1]!; i++) {
      if (i === starts[ring]) path.moveTo(points[2 * i]!, points[2 * i + 1]!);
      else path.lineTo(points[2 * i]!, points[2 * i + 1]!);
    }
    path.closePath();
  }
  paths.set(outlines, path);
  return path;
}

const areaOf = (boxes: Float32Array, i: number): number =>
  (boxes[4 * i + 2]! - boxes[4 * i]!) * (boxes[4 * i + 3]! - boxes[4 * i + 1]!);

/** Sorts objects by size, the largest first, so that small ones are drawn on top. */
export const largestFirst = ({ boxes }: Detections, objects: readonly number[]): number[] =>
  objects.toSorted((a, b) => areaOf(boxes, b) - areaOf(boxes, a));

/**
 * Draws detections over an image that is already drawn. The context is in the image's pixels, its origin at
 * the image's corner.
 */
export function drawFound(
  context: Context,
  { detections, outlines }: Found,
  view: View,
  { scale, density, names, keypoints }: DrawOptions,
): void {
  const thin = density / scale;
  const { boxes, labels, scores } = detections;
  const order = largestFirst(detections, view.shown);
  const isMuted = (i: number): boolean => view.selected !== undefined && view.selected !== i;
  const isLit = (i: number): boolean => i === view.selected || i === view.hovered;
  context.save();
  context.lineJoin = "round";
  if (view.masks) {
    for (const i of order) {
      const outline = outlines[i];
      if (outline === undefined) continue;
      const path = pathOf(outline);
      context.fillStyle = colorOf(
        i,
        isLit(i) ? 0.6
        : isMuted(i) ? 0.14
        : 0.4,
      );
      context.fill(path);
      context.strokeStyle = colorOf(i, isMuted(i) ? 0.5 : 1);
      context.lineWidth = thin * (isLit(i) ? 2.5 : 1.5);
      context.stroke(path);
    }
  }
  if (view.boxes || outlines.length === 0) {
    for (const i of order) {
      const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      context.strokeStyle = colorOf(i, isMuted(i) ? 0.4 : 1);
      context.lineWidth = thin * (isLit(i) ? 2.5 : 1.5);
      context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
  }
  if (keypoints !== undefined && detections.keypoints !== undefined)
    for (const i of order)
      if (!isMuted(i)) drawSkeleton(context, detections.keypoints, i, { keypoints, thin });
  const tagged = (view.labels && order.length <= MOST_TAGS ? order : order.filter(isLit)).toSorted(
    (a, b) => Number(isLit(b)) - Number(isLit(a)) || a - b,
  );
  if (tagged.length > 0)
    drawTags(
      context,
      tagged.map((i) => ({
        i,
        text: `${names[labels[i]! - 1] ?? `class ${labels[i]}`} ${scores[i]!.toFixed(2)}`,
        isMuted: isMuted(i),
      })),
      { boxes, thin },
    );
  context.restore();
}

interface Tag {
  readonly i: number;
  readonly text: string;
  readonly isMuted: boolean;
}

type Rectangle = readonly [x1: number, y1: number, x2: number, y2: number];

// Places tags above their box, else inside its top, else below it, else inside its bottom, where no other tag
// is; tags without a free place are left out.
function drawTags(
  context: Context,
  tags: readonly Tag[],
  { boxes, thin }: { boxes: Float32Array; thin: number },
): void {
  context.font = FONT;
  context.textBaseline = "middle";
  const origin = context.getTransform();
  const unit = thin * origin.a;
  const [right, bottom] = [context.canvas.width / unit, context.canvas.height / unit];
  const taken: Rectangle[] = [];
  context.save();
  for (const [nth, { i, text, isMuted }] of tags.entries()) {
    const width = context.measureText(text).width + 10;
    const [left, top, low] = [
      (boxes[4 * i]! * origin.a + origin.e) / unit,
      (boxes[4 * i + 1]! * origin.d + origin.f) / unit,
      (boxes[4 * i + 3]! * origin.d + origin.f) / unit,
    ];
    const fit = (y: number): Rectangle => {
      const x = Math.max(0, Math.min(left, right - width));
      const at = Math.max(0, Math.min(y, bottom - TAG));
      return [x, at, x + width, at + TAG];
    };
    const place = [top - TAG, top, low, low - TAG]
      .map(fit)
      .find((p) => taken.every((t) => p[2] <= t[0] || t[2] <= p[0] || p[3] <= t[1] || t[3] <= p[1]));
    if (place === undefined && nth > 0) continue;
    const [x, y] = place ?? fit(top - TAG);
    taken.push([x, y, x + width, y + TAG]);
    context.setTransform(unit, 0, 0, unit, 0, 0);
    context.globalAlpha = isMuted ? 0.35 : 1;
    context.fillStyle = colorOf(i);
    context.beginPath();
    context.roundRect(x, y, width, TAG, 4);
    context.fill();
    context.fillStyle = inkOf(i);
    context.fillText(text, x + 5, y + 9.5);
  }
  context.restore();
}

function drawSkeleton(
  context: Context,
  { count, points, scores }: NonNullable<Detections["keypoints"]>,
  i: number,
  { keypoints: { names, skeleton, threshold }, thin }: { keypoints: KeypointInfo; thin: number },
): void {
  const side = (k: number): "left" | "right" | "middle" =>
    (/^(left|right)/.exec(names[k] ?? "")?.[1] as "left" | "right" | undefined) ?? "middle";
  const at = (k: number): readonly [number, number] => [
    points[3 * (i * count + k)]!,
    points[3 * (i * count + k) + 1]!,
  ];
  const isShown = (k: number): boolean => scores[i * count + k]! >= threshold;
  context.lineCap = "round";
  for (const [a, b] of skeleton) {
    if (!isShown(a) || !isShown(b)) continue;
    context.beginPath();
    context.moveTo(...at(a));
    context.lineTo(...at(b));
    context.strokeStyle = "#10141c";
    context.lineWidth = 5 * thin;
    context.stroke();
    context.strokeStyle = LIMBS[side(a) === side(b) ? side(a) : "middle"];
    context.lineWidth = 3 * thin;
    context.stroke();
  }
  for (let k = 0; k < count; k++) {
    if (!isShown(k)) continue;
    context.beginPath();
    context.arc(...at(k), 3.5 * thin, 0, 2 * Math.PI);
    context.fillStyle = LIMBS[side(k)];
    context.fill();
    context.strokeStyle = "#10141c";
    context.lineWidth = thin;
    context.stroke();
  }
}
