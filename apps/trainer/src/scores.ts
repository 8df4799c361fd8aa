/** The scores of an evaluation as data: the form of `mrcnn eval --json`. */
import type { CocoEvaluation } from "@mrcnn/coco-eval";

/** COCO's numbers for one IoU type. */
export type IouScores = Pick<CocoEvaluation, "stats" | "perCategory">;

/** What an evaluation says, by IoU type: the form of `mrcnn eval --json`. */
export interface Scores {
  readonly bbox?: IouScores;
  readonly segm?: IouScores;
  readonly keypoints?: IouScores;
}
