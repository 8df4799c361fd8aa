// @ts-check
/**
 * Evaluates the cases of a folder (N.case.json) into N.ours.json; the counterpart of coco_eval.py, which
 * starts it.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { evaluateCoco } from "../../packages/coco-eval/dist/index.js";

const folder = process.argv[2] ?? "";
for (const name of readdirSync(folder).filter((file) => file.endsWith(".case.json"))) {
  const { truth, results, options } = JSON.parse(readFileSync(join(folder, name), "utf8"));
  const { stats, accumulated } = evaluateCoco(truth, results, options);
  const { precision, recall, scores } = accumulated;
  writeFileSync(
    join(folder, name.replace("case", "ours")),
    JSON.stringify({ stats, precision: [...precision], recall: [...recall], scores: [...scores] }),
  );
}
