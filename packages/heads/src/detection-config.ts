/** Options of the selection of detections. */
import type { BoxCoderWeights, DecodeOptions } from "@mrcnn/boxes";

/** Which boxes count as detections. */
export interface DetectionConfig {
  /** Scores above this pass (torchvision: 0.05). */
  readonly scoreThreshold: number;
  /**
   * IoU with a better detection of the same class above which a detection is suppressed (torchvision: 0.5).
   */
  readonly nmsThreshold: number;
  /** Number of detections kept per image (paper: 100). */
  readonly maxDetections: number;
  /** Smallest side in pixels, after clipping. Default 1e-2. */
  readonly minSize?: number;
  /** Weights of (dx, dy, dw, dh). Default [10, 10, 5, 5]. */
  readonly weights?: BoxCoderWeights;
  /** Options of the decoding of boxes. */
  readonly decoding?: DecodeOptions;
  /**
   * Whether a RoI may become a detection of every class that passes, or only of its best one (matterport).
   * Default "every".
   */
  readonly classes?: "every" | "best";
  /** How suppression keeps classes apart: see `BatchedNmsOptions.grouping`. Default "shifted". */
  readonly suppression?: "shifted" | "separate";
  /** Group number of label 1 when classes are shifted apart; detectron2 counts from 0. Default 1. */
  readonly firstLabel?: 0 | 1;
  /** Whether a score equal to the threshold passes (matterport). Default false. */
  readonly inclusiveThreshold?: boolean;
  /** Windows to which boxes are clipped, (x1, y1, x2, y2) per image. Default the whole image. */
  readonly windows?: Float32Array;
}
