/** The categories, keypoints and skeleton of COCO. */
import type { CocoId } from "@mrcnn/core";

/** A class of a model: its id in the data set, and its name. */
export interface Category {
  readonly id: CocoId;
  readonly name: string;
}

// COCO numbers its 80 categories from 1 to 90, with ten gaps.
const names =
  "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,,stop sign,parking meter,bench,bird,cat,dog," +
  "horse,sheep,cow,elephant,bear,zebra,giraffe,,backpack,umbrella,,,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite," +
  "baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich," +
  "orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,,dining table,,,toilet,,tv,laptop,mouse,remote,keyboard," +
  "cell phone,microwave,oven,toaster,sink,refrigerator,,book,clock,vase,scissors,teddy bear,hair drier,toothbrush";

/** A class for each of COCO's 90 ids, "N/A" where COCO has a gap: torchvision's labels. */
export const coco90: readonly Category[] = names
  .split(",")
  .map((name, i) => ({ id: i + 1, name: name || "N/A" }));

/** COCO's 80 categories in the order of their ids: detectron2's and matterport's labels. */
export const coco80: readonly Category[] = coco90.filter(({ name }) => name !== "N/A");

/** The only class for which COCO has keypoints. */
export const cocoPerson: readonly Category[] = [{ id: 1, name: "person" }];

/** COCO's 17 keypoints of a person. */
export const cocoKeypoints: readonly string[] = [
  "nose",
  "left_eye",
  "right_eye",
  "left_ear",
  "right_ear",
  "left_shoulder",
  "right_shoulder",
  "left_elbow",
  "right_elbow",
  "left_wrist",
  "right_wrist",
  "left_hip",
  "right_hip",
  "left_knee",
  "right_knee",
  "left_ankle",
  "right_ankle",
];

/** Pairs of keypoints joined by a line, counted from 0: COCO's skeleton, which counts from 1. */
export const cocoSkeleton: readonly (readonly [number, number])[] = [
  [15, 13],
  [13, 11],
  [16, 14],
  [14, 12],
  [11, 12],
  [5, 11],
  [6, 12],
  [5, 6],
  [5, 7],
  [6, 8],
  [7, 9],
  [8, 10],
  [1, 2],
  [0, 1],
  [0, 2],
  [1, 3],
  [2, 4],
  [3, 5],
  [4, 6],
];
