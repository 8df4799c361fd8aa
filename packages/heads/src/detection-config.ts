/** What counts as a detection. */
import type { BoxCoderWeights, DecodeOptions } from "@mrcnn/boxes";

/** What counts as a detection. */
export interface DetectionConfig {
  /** Only scores above this count (torchvision: 0.05). */
  readonly scoreThreshold: number;
  /** Detections that overlap a better one of their class by more than this are dropped (0.5). */
  readonly nmsThreshold: number;
  /** Kept per image (paper: 100). */
  readonly maxDetections: number;
  /** Least side in pixels, after clipping. @defaultValue 1e-2 */
  readonly minSize?: number;
  /** Weights of (dx, dy, dw, dh). @defaultValue [10, 10, 5, 5] */
  readonly weights?: BoxCoderWeights;
  /** How boxes are decoded. */
  readonly decoding?: DecodeOptions;
  /** Whether a RoI may be a detection of every class that passes, or of its best one only (matterport). @defaultValue "every" */
  readonly classes?: "every" | "best";
  /** How suppression keeps classes apart: see `BatchedNmsOptions.grouping`. @defaultValue "shifted" */
  readonly suppression?: "shifted" | "separate";
  /** What label 1 counts as when classes are shifted apart: detectron2 counts from 0. @defaultValue 1 */
  readonly firstLabel?: 0 | 1;
  /** Whether a score at the threshold passes (matterport). @defaultValue false */
  readonly inclusiveThreshold?: boolean;
  /** Where boxes are clipped to, per image (x1, y1, x2, y2); the whole image by default. */
  readonly windows?: Float32Array;
}
