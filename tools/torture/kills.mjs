// @ts-check
/**
 * Kills trainings at random moments, closes their streams, sends them SIGHUP, and resumes each until it is
 * done: the result must be bit for bit that of an undisturbed training:
 *
 *   node tools/torture/kills.mjs [--kills 100] [--seed 1] [--backend wasm] [--steps 40]
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../workspace.mjs";

const command = join(root, "apps", "trainer", "bin", "mrcnn.mjs");

const few = { preNmsTopK: 50, postNmsTopK: 20 };
const shapes = (/** @type {number} */ count, /** @type {number} */ seed) => ({
  format: "shapes",
  shapes: { count, seed, size: { height: 64, width: 64 }, objectSize: [16, 40] },
});
/** @param {number} steps */
const config = (steps) => ({
  model: {
    image: { minSize: 64, maxSize: 64 },
    backbone: { depth: 18, width: 8, norm: "group_norm", groups: 4, trainableLayers: 5 },
    fpn: { channels: 8 },
    anchors: { sizes: [[16], [32], [64], [128], [256]] },
    rpn: { training: few, detection: few, targets: { batchSize: 32 } },
    box: { poolSize: 4, representation: 16, targets: { batchSize: 16 } },
    maskHead: { poolSize: 7, layers: [8], channels: 8 },
  },
  data: { train: shapes(10, 1), validation: shapes(2, 2) },
  optimizer: { rate: 0.01, warmupSteps: 4, milestones: [Math.ceil(steps / 2)], clipNorm: 5 },
  training: { steps, batchSize: 1, checkpointEvery: 3, evaluateEvery: Math.ceil(steps / 3), workers: 1 },
});

/**
 * What can happen to a training. `stops`: it is asked to, and saves every step it has done.
 *
 * @type {Record<string, { stops: boolean, act(child: import("node:child_process").ChildProcess): void }>}
 */
export const events = {
  SIGKILL: { stops: false, act: (child) => void child.kill("SIGKILL") },
  SIGTERM: { stops: true, act: (child) => void child.kill("SIGTERM") },
  SIGINT: { stops: true, act: (child) => void child.kill("SIGINT") },
  SIGHUP: { stops: true, act: (child) => void child.kill("SIGHUP") },
  "SIGTERM twice": {
    stops: false,
    act(child) {
      child.kill("SIGTERM");
      setTimeout(() => child.kill("SIGTERM"), 700);
    },
  },
  "stderr closed": { stops: false, act: (child) => void child.stderr?.destroy() },
  "stdout closed": { stops: false, act: (child) => void child.stdout?.destroy() },
  "streams closed, then SIGHUP": {
    stops: true,
    act(child) {
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.kill("SIGHUP");
    },
  },
};

/** Random numbers from a seed. @param {number} seed */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const lines = (/** @type {string} */ file) =>
  existsSync(file) ?
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line))
  : [];
const newest = (/** @type {string} */ run) =>
  join(run, "checkpoints", readFileSync(join(run, "checkpoints", "latest"), "utf8").trim());
const without = (/** @type {Record<string, unknown>} */ line, /** @type {RegExp} */ names) =>
  Object.fromEntries(Object.entries(line).filter(([name]) => !names.test(name)));

/** What two runs of the same arithmetic have alike: everything but time and memory. @param {string} run */
function result(run) {
  const checkpoint = newest(run);
  return {
    ...Object.fromEntries(
      readdirSync(checkpoint).map((name) => [name, readFileSync(join(checkpoint, name)).toString("base64")]),
    ),
    metrics: JSON.stringify(
      lines(join(run, "metrics.jsonl")).map((line) => without(line, /seconds|Second|waiting|Mb$|tensors/)),
    ),
    evaluations: JSON.stringify(lines(join(run, "eval.jsonl")).map((line) => without(line, /seconds/))),
  };
}

/**
 * Disturbs trainings until `kills` events have happened, resuming each until it is done.
 *
 * @param {{ kills: number, seed?: number, backend?: string, steps?: number, say?: (line: string) => void }}
 *   options
 * @returns {Promise<{ kills: Record<string, number>, runs: number, resumed: number }>} how often each
 *   happened, the runs
 *   that ended equal, and how many of the events a run went on after
 * @throws {Error} naming the folder that is not as it must be, which is kept
 */
export async function torture({ kills, seed = 1, backend = "wasm", steps = 40, say = () => {} }) {
  const folder = mkdtempSync(join(tmpdir(), "mrcnn-kills-"));
  const file = join(folder, "config.json");
  writeFileSync(file, JSON.stringify(config(steps)));
  const random = randomFrom(seed);

  /**
   * @param {string} run
   * @param {{ event: string, after: number }} [disturb]
   * @returns {Promise<{ code: number | null, happened: boolean, seconds: number, text: string }>}
   */
  const train = (run, disturb) =>
    new Promise((resolve) => {
      const began = performance.now();
      const resumes = existsSync(join(run, "config.json"));
      const child = spawn(
        process.execPath,
        [command, "train", ...(resumes ? ["--resume"] : [file]), "--out", run, "--backend", backend],
        { stdio: ["ignore", "pipe", "pipe"] },
      );
      let text = "";
      child.stdout.on("data", () => {});
      child.stderr.on("data", (data) => (text += data));
      let happened = false;
      const timer =
        disturb &&
        setTimeout(() => {
          happened = child.exitCode === null;
          if (happened) events[disturb.event]?.act(child);
        }, disturb.after * 1000);
      child.on("exit", (code) => {
        clearTimeout(timer);
        resolve({ code, happened, seconds: (performance.now() - began) / 1000, text });
      });
    });
  const fail = (/** @type {string} */ what) => {
    throw new Error(`${what} The run is kept in ${folder}.`);
  };

  const whole = join(folder, "whole");
  await train(join(folder, "warm")); // builds what is missing
  const { code, seconds, text } = await train(whole);
  if (code !== 0) fail(`The training without a kill ended with ${code}: ${text}`);
  const wanted = result(whole);
  say(`A training takes ${seconds.toFixed(1)} s.`);

  /** @type {string[]} */
  let deck = [];
  const draw = () => {
    if (deck.length === 0)
      deck = Object.keys(events)
        .map((name) => ({ name, at: random() }))
        .toSorted((a, b) => a.at - b.at)
        .map(({ name }) => name);
    return /** @type {string} */ (deck.pop());
  };
  // An event that came too late happens next.
  /** @type {string | undefined} */
  let missed;
  /** @type {Record<string, number>} */
  const counts = {};
  let [done, runs, resumed] = [0, 0, 0];
  while (done < kills) {
    const run = join(folder, `run-${runs}`);
    for (;;) {
      const event = missed ?? draw();
      const ended = await train(run, done < kills ? { event, after: random() * seconds } : undefined);
      missed = ended.happened ? undefined : event;
      if (ended.happened) {
        done++;
        counts[event] = (counts[event] ?? 0) + 1;
        say(
          `${done} ${event}: ended with ${ended.code} after ${ended.seconds.toFixed(1)} s, ${lines(join(run, "metrics.jsonl")).length} of ${steps} steps`,
        );
      }
      if (ended.code === 0) break;
      if (!ended.happened)
        fail(`${run}: ended with ${ended.code} though nothing was done to it: ${ended.text}`);
      // Streams that nobody reads end nothing.
      if (event.startsWith("std")) fail(`${run}: ${event} ended it with ${ended.code}.`);
      if (ended.code === 130 && events[event]?.stops && existsSync(join(run, "metrics.jsonl"))) {
        const last = lines(join(run, "metrics.jsonl")).at(-1)?.step ?? 0;
        if (last > 0 && !newest(run).endsWith(String(last)))
          fail(`${run}: ${event} after step ${last} left ${newest(run)} as the newest checkpoint.`);
      }
      resumed++;
    }
    const found = result(run);
    for (const [name, value] of Object.entries(wanted))
      if (/** @type {Record<string, string>} */ (found)[name] !== value)
        fail(`${run}: ${name} is not that of the training without a kill.`);
    if (existsSync(join(run, "train.lock"))) fail(`${run}: the lock was left behind.`);
    rmSync(run, { recursive: true });
    runs++;
  }
  rmSync(folder, { recursive: true, force: true });
  return { kills: counts, runs, resumed };
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      kills: { type: "string", default: "100" },
      seed: { type: "string", default: "1" },
      backend: { type: "string", default: "wasm" },
      steps: { type: "string", default: "40" },
    },
  });
  const began = performance.now();
  const { kills, runs, resumed } = await torture({
    kills: Number(values.kills),
    seed: Number(values.seed),
    backend: values.backend,
    steps: Number(values.steps),
    say: (line) => console.log(line),
  });
  const all = Object.entries(kills)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
  console.log(
    `${Object.values(kills).reduce((a, b) => a + b, 0)} kills (${all}) of ${runs} trainings, which were resumed ${resumed} times and all ended bit for bit as the one without, in ${((performance.now() - began) / 60000).toFixed(1)} minutes.`,
  );
}
