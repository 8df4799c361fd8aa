import type { Category } from "./data-source.ts";

// COCO numbers its 80 categories from 1 to 90, with ten gaps; networks trained on it have a class for each number.
const names =
  "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,,stop sign,parking meter,bench,bird,cat,dog," +
  "horse,sheep,cow,elephant,bear,zebra,giraffe,,backpack,umbrella,,,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite," +
  "baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich," +
  "orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,,dining table,,,toilet,,tv,laptop,mouse,remote,keyboard," +
  "cell phone,microwave,oven,toaster,sink,refrigerator,,book,clock,vase,scissors,teddy bear,hair drier,toothbrush";

/** COCO's 90 numbers with their names; a number that COCO does not use is called "unused N". */
export const cocoCategories: readonly Category[] = names.split(",").map((name, i) => ({ id: i + 1, name: name || `unused ${i + 1}` }));
