/** Drawing of keypoints and the limbs between them. */
import type { Keypoints } from "@mrcnn/core";
import { drawStroke } from "./canvas.ts";
import type { Canvas } from "./canvas.ts";
import type { Color } from "./color.ts";

/** Options for drawing keypoints. */
export interface KeypointStyle {
  /** Pairs of keypoints, counted from 0, joined by a limb. Default none. */
  readonly skeleton?: readonly (readonly [number, number])[];
  /**
   * Names of the keypoints. Those that begin with "left" are green, with "right" orange; all others, and
   * limbs between the two sides, are blue.
   */
  readonly names?: readonly string[];
  /**
   * Lowest score of a keypoint that is drawn; limbs of others are left out too. torchvision's scores are
   * logits, and 0 corresponds to a sigmoid of one half. detectron2's are probabilities within a heatmap; its
   * own images leave out those below 0.05. Default 0.
   */
  readonly threshold?: number;
}

const LEFT: Color = [64, 220, 96];
const RIGHT: Color = [255, 140, 32];
const MIDDLE: Color = [64, 164, 255];
const OUTLINE: Color = [16, 20, 28];

/**
 * Draws the keypoints of object `index` in lines of `line` pixels. `size` is the square root of its box's
 * area, in pixels of the canvas.
 */
export function drawKeypoints(
  canvas: Canvas,
  { count, points, scores }: Keypoints,
  index: number,
  style: KeypointStyle & { readonly scale: number; readonly line: number; readonly size: number },
): void {
  const { skeleton = [], names = [], threshold = 0, scale, line, size } = style;
  const side = (k: number): "left" | "right" | undefined =>
    /^(left|right)/.exec(names[k] ?? "")?.[1] as "left" | "right" | undefined;
  const colorOf = (a: number, b: number): Color =>
    side(a) !== side(b) || side(a) === undefined ? MIDDLE
    : side(a) === "left" ? LEFT
    : RIGHT;
  const isShown = (k: number): boolean => k < count && scores[index * count + k]! >= threshold;
  const at = (k: number): readonly [number, number] => {
    const place = (index * count + k) * 3;
    return [points[place]! * scale, points[place + 1]! * scale];
  };
  // The joints of a small object must not hide it.
  const radius = Math.max(0.7, 1.1 * line * Math.min(1, size / 90));
  const limbs = skeleton
    .filter(([a, b]) => isShown(a) && isShown(b))
    .map(([a, b]) => ({ from: at(a), to: at(b), color: colorOf(a, b) }));
  const joints = Array.from({ length: count }, (_, k) => k)
    .filter(isShown)
    .map((k) => ({ from: at(k), to: at(k), color: colorOf(k, k) }));
  for (const [strokes, width] of [
    [limbs, radius],
    [joints, radius * 1.7],
  ] as const) {
    for (const { from, to, color } of strokes) {
      drawStroke(canvas, { from, to, radius: width + Math.max(0.6, radius * 0.5) }, OUTLINE);
      drawStroke(canvas, { from, to, radius: width }, color);
    }
  }
}
