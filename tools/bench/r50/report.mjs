// @ts-check
/** Formats the results of r50.mjs as tables in Markdown. */
import { stages, workOf } from "./layers.mjs";

/**
 * @typedef {import("./contenders.mjs").Action} Action
 * @typedef {{
 *   size: string, action: Action, title: string, kind: "ours" | "peer" | "limit",
 *   seconds: number[], stages?: Record<string, number[]>, scores?: number[], memoryMb: number,
 *   others?: number, note?: string,
 *   layers?: import("./layers.mjs").Layer[] | undefined, failure?: string,
 * }} Result
 * @typedef {{ machine: string, date: string, rounds: number, warmup: number, results: Result[], absent: {
 *   title: string, install: string }[] }} Report
 */

/**
 * The value that `share` of `values` do not exceed, between neighbours linearly.
 *
 * @param {readonly number[]} values
 * @param {number} share
 */
export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)] ?? NaN;
  return below + (at % 1) * ((sorted[Math.ceil(at)] ?? NaN) - below);
}

/** @param {readonly number[]} values */
export const median = (values) => quantile(values, 0.5);

/**
 * Whether other programs worked meanwhile: no such time can be trusted.
 *
 * @param {number} others Share of all processors.
 */
export const disturbance = (others) =>
  others > 0.05 ? `, disturbed: others took ${(100 * others).toFixed(0)} % of the processors` : "";

/** The peers that times are divided by: the first of each library. */
const references = ["onnxruntime-node", "torchvision"];

const row = (/** @type {readonly (string | number)[]} */ cells) => `| ${cells.join(" | ")} |`;
const table = (
  /** @type {readonly string[]} */ head,
  /** @type {readonly (readonly (string | number)[])[]} */ rows,
) => [row(head), row(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(row)].join("\n");
const fixed = (/** @type {number} */ n, digits = 2) => (Number.isFinite(n) ? n.toFixed(digits) : "");
const seconds = (/** @type {number} */ n) =>
  fixed(
    n,
    n < 0.1 ? 4
    : n < 1 ? 3
    : 2,
  );

// Greatest difference between two lists of scores, best first.
function scoreDifference(
  /** @type {readonly number[] | undefined} */ own,
  /** @type {readonly number[] | undefined} */ reference,
) {
  if (own === undefined || reference === undefined) return "";
  if (own.length !== reference.length) return "other number";
  return Math.max(0, ...own.map((score, i) => Math.abs(score - (reference[i] ?? NaN)))).toExponential(0);
}

/** Times of whole detections or training steps. @param {readonly Result[]} results */
function timings(results) {
  const peers = references.flatMap(
    (name) => results.find((one) => one.title.startsWith(name) && one.seconds.length > 0) ?? [],
  );
  const torchvision = peers.find(({ title }) => title.startsWith("torchvision"));
  const detecting = results.some(({ scores }) => scores !== undefined);
  const head = [
    "",
    "median s",
    "fastest s",
    "quartiles s",
    "runs",
    "peak MB",
    ...peers.map(({ title }) => `of ${title.split(/[ ,]/)[0]}'s time`),
    ...(detecting ? ["detections", "scores differ by"] : []),
  ];
  return table(
    head,
    results
      .filter((one) => one.seconds.length > 0)
      .toSorted((a, b) => median(a.seconds) - median(b.seconds))
      .map((one) => [
        `${one.kind === "ours" ? `**${one.title}**` : one.title}${one.note === undefined ? "" : `, ${one.note}`}${disturbance(one.others ?? 0)}`,
        seconds(median(one.seconds)),
        seconds(Math.min(...one.seconds)),
        `${seconds(quantile(one.seconds, 0.25))} to ${seconds(quantile(one.seconds, 0.75))}`,
        one.seconds.length,
        one.memoryMb,
        ...peers.map((peer) => fixed(median(one.seconds) / median(peer.seconds))),
        ...(detecting ? [one.scores?.length ?? "", scoreDifference(one.scores, torchvision?.scores)] : []),
      ]),
  );
}

/**
 * A stage's work, what the processor can do and what we do.
 *
 * @param {Result} limit
 * @param {Result | undefined} ours
 * @param {boolean} training
 */
function stageTable(limit, ours, training) {
  const work = (/** @type {string} */ name) =>
    (limit.layers ?? [])
      .filter(({ stage }) => stage === name)
      .reduce((sum, layer) => sum + workOf(layer, training), 0);
  const fastest = (/** @type {readonly number[]} */ seconds = []) =>
    seconds.length > 0 ? Math.min(...seconds) : NaN;
  const theirs = (/** @type {string} */ name) => fastest(limit.stages?.[name]);
  const own = (/** @type {string} */ name) => fastest(ours?.stages?.[name]);
  const line = (
    /** @type {string} */ name,
    /** @type {number} */ gflop,
    /** @type {number} */ least,
    /** @type {number} */ taken,
  ) => [
    name,
    fixed(gflop, 1),
    seconds(least),
    fixed(gflop / least, 0),
    seconds(taken),
    fixed(gflop / taken, 0),
    Number.isFinite(taken) ? `${fixed((100 * least) / taken, 0)} %` : "",
  ];
  const total = (/** @type {(name: string) => number} */ of, /** @type {readonly string[]} */ names) =>
    names.reduce((sum, name) => sum + of(name), 0);
  const whole = training ? fastest(ours?.seconds) : total(own, stages);
  const others = training ? [] : Object.keys(ours?.stages ?? {}).filter((name) => !stages.includes(name));
  return table(
    ["", "GFLOP", "torch s", "GFLOP/s", "@mrcnn s", "GFLOP/s", "reached"],
    [
      ...stages.map((name) => line(name, work(name), theirs(name), own(name))),
      line(
        training ? "**the whole step**" : "**together**",
        total(work, stages),
        total(theirs, stages),
        whole,
      ),
      ...others.map((name) => [name, "", "", "", seconds(own(name)), "", ""]),
    ],
  );
}

/** @param {Report} report */
export function toMarkdown({ machine, date, rounds, warmup, results, absent }) {
  const parts = [
    `Mask R-CNN R50-FPN, 91 classes, seeded weights, ${machine}, ${date}. ${rounds} interleaved round${rounds === 1 ? "" : "s"}, each contender in a process of its own, ${warmup} runs to warm up.`,
  ];
  const of = (/** @type {string} */ size, /** @type {Action} */ action) =>
    results.filter((one) => one.size === size && one.action === action && one.failure === undefined);
  for (const size of new Set(results.map((one) => one.size))) {
    const detections = of(size, "detect");
    if (detections.length > 0) parts.push(`## Detection at ${size}`, timings(detections));
    const steps = of(size, "train").filter(({ kind }) => kind !== "limit");
    if (steps.length > 0)
      parts.push(`## A training step of two images at ${size}, 512 RoIs each`, timings(steps));
    for (const limit of [...of(size, "stages"), ...of(size, "train")].filter(
      ({ kind }) => kind === "limit",
    )) {
      const training = limit.action === "train";
      const precision = limit.title.endsWith("bfloat16") ? "bf16" : "float32";
      const ours = of(size, limit.action).find(({ title }) => title === `@mrcnn, tensorflow, ${precision}`);
      parts.push(
        `## ${training ? "A training step" : "Detection"} at ${size} by stage, ${precision}`,
        `${limit.title} (${training ? "forward and both gradients" : "forward"}, each in its best memory format), beside ${training ? "our step" : "our stages, with all that is not a product"}. Fastest runs.`,
        stageTable(limit, ours, training),
      );
    }
  }
  const failed = results.filter(({ failure }) => failure !== undefined);
  if (failed.length > 0)
    parts.push(
      "## Failed",
      failed
        .map(({ title, action, size, failure }) => `- ${title}, ${action} at ${size}: ${failure}`)
        .join("\n"),
    );
  if (absent.length > 0)
    parts.push("## Absent", absent.map(({ title, install }) => `- ${title}: \`${install}\``).join("\n"));
  return `${parts.join("\n\n")}\n`;
}
