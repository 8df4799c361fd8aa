// @ts-check
/**
 * Runs `npm start` on a bare clone: installs, builds, times a few steps, trains a small Mask R-CNN on
 * generated shapes for about four minutes, evaluates it on unseen images, and detects on a few. Each step is
 * a command that can also be run by itself.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { bootstrap, BootstrapError } from "./bootstrap.mjs";
import { backendState } from "./setup/backends.mjs";
import { describeSchedule, fitSchedule, timing } from "./start-schedule.mjs";
import { readJson, root } from "./workspace.mjs";

const config = "configs/start.json";
const run = join("runs", "start");
const unseen = join(run, "eval");
const say = (/** @type {string} */ text) => process.stdout.write(`${text}\n`);

/**
 * @param {string[]} args
 * @param {{ quietly?: boolean }} options `quietly`: says something only when it fails
 */
function mrcnn(args, { quietly = false } = {}) {
  if (!quietly)
    say(
      `\n$ npm run -s mrcnn -- ${args.map((text) => (/[[\]* ]/.test(text) ? `'${text}'` : text)).join(" ")}`,
    );
  const { status, stderr } = spawnSync(
    process.execPath,
    [join("apps", "trainer", "bin", "mrcnn.mjs"), ...args],
    { cwd: root, stdio: quietly ? ["ignore", "ignore", "pipe"] : "inherit", encoding: "utf8" },
  );
  if (status === 0) return;
  if (quietly) process.stderr.write(stderr);
  process.exit(status ?? 1);
}

/** @param {Record<string, unknown>} settings */
const set = (settings) =>
  Object.entries(settings).flatMap(([path, value]) => ["--set", `${path}=${JSON.stringify(value)}`]);

/** Times the first steps of the training: seconds of each. */
function timeSteps() {
  say("Timing a few steps ...");
  const folder = mkdtempSync(join(tmpdir(), "mrcnn-start-"));
  try {
    const out = join(folder, "run");
    mrcnn(
      [
        "train",
        config,
        "--out",
        out,
        ...set({
          "training.steps": timing.steps,
          "training.evaluateEvery": 0,
          "training.logEvery": 1,
          "optimizer.warmupSteps": timing.steps,
          "optimizer.milestones": [],
          "data.validation.shapes.count": 1,
        }),
      ],
      { quietly: true },
    );
    return readFileSync(join(out, "metrics.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).secondsPerStep);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// Ctrl-C reaches the command in the foreground, which ends in its own way; this script follows it.
process.on("SIGINT", () => {});

const began = performance.now();
try {
  bootstrap();
} catch (error) {
  if (!(error instanceof BootstrapError)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exit(1);
}

if (existsSync(join(root, run))) {
  const previous = `${run}-previous`;
  rmSync(join(root, previous), { recursive: true, force: true });
  renameSync(join(root, run), join(root, previous));
  say(`The run that was in ${run} is now in ${previous}.`);
}
const whole = readJson(config);
const schedule = fitSchedule(whole, timeSteps());
say(describeSchedule(schedule, whole.training.steps));
mrcnn([
  "train",
  config,
  "--out",
  run,
  ...(schedule.steps < whole.training.steps ? set(schedule.settings) : []),
]);
// Another seed than the training's and the validation's: images that the run has not seen.
mrcnn(["shapes", "--out", unseen, "--count", "120", "--seed", "1000"]);
const images = join(unseen, "images");
mrcnn([
  "eval",
  "--model",
  run,
  "--images",
  images,
  "--annotations",
  join(unseen, "annotations.json"),
  "--results",
  join(unseen, "results.json"),
  "--json",
  join(run, "eval.json"),
]);
const few = Array.from({ length: 6 }, (_, i) => join(images, `shapes-${String(i).padStart(5, "0")}.png`));
mrcnn([
  "detect",
  ...few,
  "--model",
  run,
  "--json",
  join(run, "detections.json"),
  "--overlay",
  join(run, "overlays"),
]);

const minutes = (performance.now() - began) / 60000;
say(`
Done in ${minutes.toFixed(1)} minutes.

  report    ${relative(process.cwd(), join(root, run, "report.html"))}
  overlays  ${relative(process.cwd(), join(root, run, "overlays"))}
  scores    ${relative(process.cwd(), join(root, run, "eval.json"))}

Next:
  your own data   npm run -s mrcnn -- inspect --images DIR --annotations COCO.json
                  npm run -s mrcnn -- train configs/nuclei.json --out runs/mine \\
                    --set data.train.images=DIR --set data.train.annotations=COCO.json …
                  (docs/guides/own-data.md)`);
if (!backendState("tensorflow").available)
  say("  large networks  npm run setup:tensorflow (native TensorFlow, faster on those)");
say("  all commands    npm run -s mrcnn -- --help");
