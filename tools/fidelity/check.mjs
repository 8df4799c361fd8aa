// @ts-check
// Holds `mrcnn detect` against fidelity cases: node tools/fidelity/check.mjs CASE_DIR ... [--backend wasm,tensorflow]
// A case is a folder as the *_case.py beside this file write it. Asked for are the same detections in the same order: boxes within
// 0.01 pixel, scores within 1e-4, masks within 0.1 % of the pixels of their union, keypoints within 0.05 pixel. Detections whose
// scores tie within 2e-4 may change places. Prints the largest differences of each; exit code 1 when one is too large.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bootstrap } from "../bootstrap.mjs";
import { root } from "../workspace.mjs";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { backend: { type: "string", default: "wasm,tensorflow" } } });
if (positionals.length === 0) {
  console.error("usage: node tools/fidelity/check.mjs CASE_DIR ... [--backend wasm,tensorflow]");
  process.exit(2);
}
await bootstrap();
const { decodeRle, rleFromString } = await import("@mrcnn/masks");

/**
 * @typedef {{ kind: string, seed: number, height: number, width: number, boxes: number[][], scores: number[], labels: number[], mask_area?: number[], keypoints?: number[][][] }} Expected
 * @typedef {{ category_id: number, score: number, bbox: number[], segmentation?: { size: [number, number], counts: string }, keypoints?: number[] }} Found
 */

const LIMITS = { box: 0.01, score: 1e-4, mask: 1e-3, keypoint: 0.05 };
const TIE = 2e-4;

/** @param {string} folder @param {Expected} expected @param {Found[]} found */
function compare(folder, expected, found) {
  const { height, width, boxes, scores, labels } = expected;
  const worst = { box: 0, score: 0, mask: 0, keypoint: 0 };
  if (found.length !== scores.length) return { worst, problem: `${found.length} detections instead of ${scores.length}` };
  const bits = expected.mask_area === undefined ? undefined : readFileSync(join(folder, "masks.bin"));
  const bytesPerMask = Math.ceil((height * width) / 8);
  /** @type {Set<number>} */
  const used = new Set();
  let unmatched = 0;
  for (const [i, [x1, y1, x2, y2]] of /** @type {[number, number[]][]} */ ([...boxes.entries()])) {
    /** @param {Found} d */
    const boxDifference = ({ bbox: [x, y, w, h] }) =>
      Math.max(...[x - x1, y - y1, x + w - x2, y + h - y2].map(Math.abs));
    const candidates = [...found.keys()]
      .filter((j) => !used.has(j) && Math.abs(j - i) <= 3 && Math.abs(found[j].score - scores[i]) < TIE && found[j].category_id === labels[i])
      .toSorted((a, b) => boxDifference(found[a]) - boxDifference(found[b]));
    if (candidates.length === 0) {
      unmatched++;
      continue;
    }
    const j = candidates[0];
    used.add(j);
    const own = found[j];
    worst.box = Math.max(worst.box, boxDifference(own));
    worst.score = Math.max(worst.score, Math.abs(own.score - scores[i]));
    if (bits !== undefined && own.segmentation !== undefined) {
      const mask = decodeRle(rleFromString(own.segmentation.counts, { height, width }));
      let [differ, union] = [0, 0];
      for (let p = 0; p < height * width; p++) {
        const theirs = (bits[i * bytesPerMask + (p >> 3)] >> (7 - (p & 7))) & 1;
        if (mask[p] !== theirs) differ++;
        if (mask[p] === 1 || theirs === 1) union++;
      }
      if (union > 0) worst.mask = Math.max(worst.mask, differ / union);
    }
    for (const [k, [x, y]] of (expected.keypoints?.[i] ?? []).entries()) {
      const points = own.keypoints ?? [];
      worst.keypoint = Math.max(worst.keypoint, Math.abs(points[3 * k] - x), Math.abs(points[3 * k + 1] - y));
    }
  }
  const over = Object.entries(LIMITS).filter(([name, limit]) => !(worst[/** @type {keyof typeof worst} */ (name)] <= limit));
  const problem = unmatched > 0 ? `${unmatched} detections have no twin` : over.map(([name]) => name).join(", ");
  return { worst, problem };
}

const out = join(root, ".cache", "fidelity");
mkdirSync(out, { recursive: true });
let failures = 0;
for (const folder of positionals) {
  /** @type {Expected} */
  const expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));
  const weights = ["pth", "pkl", "h5"].map((ext) => join(folder, `weights.${ext}`)).find((path) => existsSync(path));
  const args = readFileSync(join(folder, "args"), "utf8").trim().split(" ");
  for (const backend of values.backend.split(",")) {
    const json = join(out, `found-${process.pid}.json`);
    const command = [join(root, "apps/trainer/bin/mrcnn.mjs"), "detect", join(folder, "image.png"), ...args, "--weights", String(weights), "--backend", backend, "--json", json];
    if (!args.includes("--score-threshold")) command.push("--score-threshold", "0.05");
    const { status, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
    const { worst, problem } = status === 0 ? compare(folder, expected, JSON.parse(readFileSync(json, "utf8"))) : { worst: {}, problem: stderr.trim().split("\n").at(-1) };
    if (problem) failures++;
    const figures = Object.entries(worst).map(([name, value]) => `${name} ${value.toExponential(1)}`).join("  ");
    console.log(`${problem ? "OFF" : "ok "} ${expected.kind} seed ${expected.seed} ${expected.height}x${expected.width} ${args.slice(2).join(" ")} on ${backend}: ${expected.scores.length} detections  ${figures}${problem ? `  (${problem})` : ""}`);
  }
}
process.exit(failures === 0 ? 0 : 1);
