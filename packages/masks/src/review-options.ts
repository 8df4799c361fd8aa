/** Options of the review of annotations, and its notes on each annotation. */
import type { CocoAdvice } from "./findings.ts";
import type { Bounds } from "./review-segmentation.ts";

export type Loose = Readonly<Record<string, unknown>>;

/** The purpose for which annotations are read, which decides what is an error. */
export interface CocoReviewOptions {
  /**
   * Training requires objects, classes of different names and boxes within their images. Evaluation accepts
   * what pycocotools accepts: boxes without area and sets without objects are evaluated unchanged. Default
   * "training".
   */
  readonly purpose?: "training" | "evaluation";
  /**
   * "unneeded": images may lack a file name, and a size where no mask is read. Default "needed" in training,
   * "unneeded" in evaluation.
   */
  readonly images?: "needed" | "unneeded";
  /** "unneeded": boxes may be missing or wrong (evaluation of masks). Default "needed". */
  readonly boxes?: "needed" | "unneeded";
  /**
   * "needed": every object must have a mask. "consistent": every object, or none. "unneeded": masks may be
   * missing or wrong. Default "consistent".
   */
  readonly masks?: "needed" | "consistent" | "unneeded";
  /**
   * "unneeded": keypoints may be wrong. "needed": keypoints must be right where an object has any. Default
   * "needed".
   */
  readonly keypoints?: "needed" | "unneeded";
  /**
   * Treatment of objects that can't be learned: a box without area in its image, no part with three points,
   * no mask where others have one. "drop" removes them. Default "error" in training, "keep" in evaluation.
   */
  readonly degenerate?: "error" | "drop" | "keep";
  /** Whether categories without objects remain classes. Default "keep". */
  readonly emptyCategories?: "keep" | "drop";
  /**
   * Largest number of pixels of an image, where images are needed; the masks of one image may have three
   * times as many in all. Default 178,956,970.
   */
  readonly maxPixels?: number;
  /** A surface's wording of the remedies. Default the options of the functions. */
  readonly advice?: CocoAdvice;
}

/** An annotation with the review's notes on it. */
export interface Look {
  readonly annotation: Loose;
  /** Name in messages: "annotation 4 of a.png". */
  readonly name: string;
  readonly image: Loose | undefined;
  readonly box: readonly [number, number, number, number] | undefined;
  readonly mask: "none" | "empty" | "wrong" | "sound";
  /** Bounds of the mask, when it is sound. */
  readonly bounds: Bounds | undefined;
  /** The annotation reduced to the parts that count, where others were left out. */
  readonly mended: Loose | undefined;
  readonly isCrowd: boolean;
  isDegenerate: boolean;
  reason: string | undefined;
}
