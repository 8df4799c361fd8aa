/** What a review of annotations is asked, and what it knows of each of them. */
import type { CocoAdvice } from "./findings.ts";
import type { Bounds } from "./review-segmentation.ts";

export type Loose = Readonly<Record<string, unknown>>;

/** What the annotations are read for, which decides what would stop it. */
export interface CocoReviewOptions {
  /**
   * Training needs something to learn, classes of different names and boxes within their images. Evaluation takes what
   * pycocotools takes: boxes without area and sets without objects count as they stand. Default "training".
   */
  readonly purpose?: "training" | "evaluation";
  /** "unneeded": images may have no file name, and no size where no mask is read. Default "needed" in training. */
  readonly images?: "needed" | "unneeded";
  /** "unneeded": boxes may be missing or wrong (evaluation of masks). Default "needed". */
  readonly boxes?: "needed" | "unneeded";
  /**
   * "needed": every object must have a mask. "consistent" (default): every object, or none. "unneeded": masks may be missing or
   * wrong.
   */
  readonly masks?: "needed" | "consistent" | "unneeded";
  /** "unneeded": keypoints may be wrong. Default "needed": where an object has some, they must be right. */
  readonly keypoints?: "needed" | "unneeded";
  /**
   * Objects that can't be learned: a box without area in its image, no part with three points, no mask where others have one.
   * "drop" leaves them out. Default "error" in training, "keep" in evaluation.
   */
  readonly degenerate?: "error" | "drop" | "keep";
  /** Whether categories without objects are classes all the same. Default "keep". */
  readonly emptyCategories?: "keep" | "drop";
  /** Images of more pixels are refused where images are needed, and masks of one image of more than three times as many in all. Default 178,956,970. */
  readonly maxPixels?: number;
  /** How a surface says what else to do; by default the options of the functions. */
  readonly advice?: CocoAdvice;
}

/** An annotation, and what is to be known of it. */
export interface Look {
  readonly annotation: Loose;
  /** "annotation 4 of a.png". */
  readonly name: string;
  readonly image: Loose | undefined;
  readonly box: readonly [number, number, number, number] | undefined;
  readonly mask: "none" | "empty" | "wrong" | "sound";
  /** What the mask spans, when it is sound. */
  readonly bounds: Bounds | undefined;
  /** With the parts that count only. */
  readonly mended: Loose | undefined;
  readonly isCrowd: boolean;
  isDegenerate: boolean;
  reason: string | undefined;
}
