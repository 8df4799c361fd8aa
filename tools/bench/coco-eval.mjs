// @ts-check
/**
 * Times @mrcnn/coco-eval against pycocotools and faster-coco-eval, from files to statistics, each in turn in
 * a process of its own:
 *
 *   node tools/bench/coco-eval.mjs [--images 5000] [--rounds 3] [--python PYTHON] [--folder DIR]
 *     [--types bbox,segm] [--only mrcnn,pycocotools,faster-coco-eval]
 *
 * PYTHON has pycocotools, faster-coco-eval and numpy; `npm run build` first. The data set is generated in DIR
 * once, seeded (segm.json takes 150 MB for 5,000 images), and resembles COCO val2017: 7.2 objects and 100
 * detections per image, 80 categories. Every process uses one thread for the evaluation. Prints medians and
 * whether the statistics are equal within 1e-12.
 */
import { execFileSync } from "node:child_process";
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "5000" },
    rounds: { type: "string", default: "3" },
    python: { type: "string", default: "python3" },
    folder: { type: "string" },
    types: { type: "string", default: "bbox,segm" },
    only: { type: "string", default: "mrcnn,pycocotools,faster-coco-eval" },
    run: { type: "string" },
  },
});
const folder = values.folder ?? join(tmpdir(), `mrcnn-coco-eval-${values.images}`);
const here = fileURLToPath(import.meta.url);
const python = here.replace(/mjs$/, "py");

/** @param {string} type */
async function ours(type) {
  const { evaluateCocoStream } = await import("../../packages/coco-eval/dist/index.js");
  const start = performance.now();
  const truth = JSON.parse(readFileSync(join(folder, "truth.json"), "utf8"));
  const file = createReadStream(join(folder, `${type}.json`), { highWaterMark: 2 ** 20 });
  const { stats } = await evaluateCocoStream(truth, file, { iouType: /** @type {"bbox" | "segm"} */ (type) });
  const total = (performance.now() - start) / 1000;
  console.log(
    JSON.stringify({ total, megabytes: process.resourceUsage().maxRSS / 1024, stats: Object.values(stats) }),
  );
}

/** @typedef {{ total: number, load?: number, evaluate?: number, megabytes: number, stats: number[] }} Run */

/** @param {string} who @param {string} type @returns {Run} */
function contend(who, type) {
  const [command, ...args] =
    who === "mrcnn" ?
      [process.execPath, here, "--run", type, "--folder", folder]
    : [values.python, python, who, folder, type];
  return JSON.parse(
    execFileSync(command, args, {
      encoding: "utf8",
      env: { ...process.env, OMP_NUM_THREADS: "1" },
      stdio: ["ignore", "pipe", "inherit"],
    }),
  );
}

/** @param {number[]} all */
const median = (all) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? NaN;

if (values.run !== undefined) await ours(values.run);
else {
  if (!existsSync(join(folder, "truth.json")))
    console.log(
      execFileSync(values.python, [python, "make", folder, values.images], { encoding: "utf8" }).trim(),
    );
  for (const type of values.types.split(",")) {
    /** @type {Map<string, Run[]>} */
    const runs = new Map(values.only.split(",").map((who) => [who, []]));
    for (let round = 0; round < Number(values.rounds); round++)
      for (const [who, done] of runs) done.push(contend(who, type));
    const reference = runs.get("pycocotools")?.[0]?.stats;
    for (const [who, done] of runs) {
      const stats = done[0]?.stats ?? [];
      const apart = Math.max(...stats.map((v, i) => Math.abs(v - (reference?.[i] ?? NaN))));
      const total = done.map((run) => run.total);
      const evaluation = done.flatMap((run) => run.evaluate ?? []);
      console.log(
        `${type.padEnd(5)} ${who.padEnd(17)} median ${median(total).toFixed(2)} s, fastest ${Math.min(...total).toFixed(2)}` +
          `${evaluation.length === 0 ? "" : ` (without the files ${median(evaluation).toFixed(2)})`}, ` +
          `peak ${Math.max(...done.map((run) => run.megabytes)).toFixed(0)} MB, AP ${stats[0]?.toFixed(4)}, ${apart <= 1e-12 ? "equal" : `${apart} apart`}`,
      );
    }
  }
}
