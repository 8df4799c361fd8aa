// @ts-check
/**
 * Mutation testing, `npm run mutate [-- FOLDER ...]`: mutates one line after another of the folders' sources,
 * in a copy of the checkout, and lists the mutants that no test of theirs detects.
 *
 * All folders take hours; a folder, or a file of one, takes less, and so does `--every N`, which mutates
 * every N-th line only: an estimate. `--tests GLOB` runs only those suites of the folder. Exits with 1 when
 * less than 80 % are detected. Tables and the survivors are kept in .cache/mutation.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { packageManager, root } from "./workspace.mjs";

const GOAL = 80;
const rooms = ["packages/trainer", "packages/datasets", "packages/model", "apps/trainer"];
const cache = join(root, ".cache", "mutation");
const copy = join(cache, "tree");

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {string} cwd
 * @param {Record<string, string>} [env]
 */
function run(command, args, cwd, env = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  if (error !== undefined) throw error;
  return status ?? 1;
}

// What git knows and what is new, as it stands: mutants take the place of the sources, which must not be the
// originals.
function copyCheckout() {
  const { stdout } = spawnSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  rmSync(copy, { recursive: true, force: true });
  for (const file of stdout.split("\0").filter((name) => name !== "" && existsSync(join(root, name)))) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file));
  }
  if (
    run(
      "npx",
      [
        "--yes",
        packageManager(),
        "install",
        "--frozen-lockfile",
        "--prefer-offline",
        "--reporter=append-only",
      ],
      copy,
    ) !== 0
  )
    process.exit(1);
}

/**
 * @typedef {{ mutatorName: string, status: string, replacement?: string, location: { start: { line: number }
 *   } }} Mutant
 * @typedef {{ files: Record<string, { source: string, mutants: Mutant[] }> }} Report
 */

const seen = new Set(["Killed", "Timeout"]);
const unseen = new Set(["Survived", "NoCoverage"]);

/** @param {Mutant[]} mutants */
function count(mutants) {
  /** @param {ReadonlySet<string>} which */
  const of = (which) => mutants.filter(({ status }) => which.has(status)).length;
  const [killed, left] = [of(seen), of(unseen)];
  return {
    killed,
    left,
    uncovered: of(new Set(["NoCoverage"])),
    ignored: of(new Set(["Ignored"])),
    score: killed + left === 0 ? 100 : (100 * killed) / (killed + left),
  };
}

/**
 * Every `every`-th line of a folder's sources, counted through all files, as Stryker's ranges. Breaks that
 * span lines are left out.
 *
 * @param {string} room
 * @param {readonly string[]} files
 */
function sample(room, files) {
  const all = readdirSync(join(copy, room, "src"), { recursive: true, encoding: "utf8" });
  const sources =
    files.length > 0 ?
      files
    : all
        .filter((file) => /(?<!index)\.ts$/.test(file))
        .toSorted()
        .map((file) => `${room}/src/${file}`);
  let line = 0;
  return sources.flatMap((file) => {
    const { length } = readFileSync(join(copy, file), "utf8").split("\n");
    return Array.from({ length }, (_, i) => i + 1)
      .filter(() => line++ % every === 0)
      .map((at) => `${file}:${at}-${at}`);
  });
}

/** @param {string} name @param {ReturnType<typeof count>} counts */
const row = (name, { killed, left, uncovered, ignored, score }) =>
  `| ${name} | ${killed + left} | ${killed} | ${left} | ${uncovered} | ${ignored} | ${score.toFixed(1)} % |`;

const { values, positionals: only } = parseArgs({
  allowPositionals: true,
  options: { every: { type: "string", default: "1" }, tests: { type: "string", default: "**/*.test.ts" } },
});
const every = Number(values.every);
if (!Number.isInteger(every) || every < 1) {
  console.error(`error: --every must be a whole number from 1, got ${values.every}.`);
  process.exit(1);
}
const chosen = rooms.filter(
  (room) => only.length === 0 || only.some((path) => `${path}/`.startsWith(`${room}/`)),
);
if (chosen.length === 0) {
  console.error(`error: ${only.join(", ")} is in none of the folders that have a goal: ${rooms.join(", ")}.`);
  process.exit(1);
}
copyCheckout();
const table = [
  "| source | mutants | seen | not seen | of them never run | static | score |",
  "|---|---|---|---|---|---|---|",
];
/** @type {string[]} */
const survivors = [];
let isEnough = true;
for (const room of chosen) {
  const files = only.filter((path) => path.startsWith(`${room}/src/`));
  const report = join(cache, `${room.replaceAll("/", "-")}.json`);
  rmSync(report, { force: true });
  const mutate =
    every > 1 ? sample(room, files)
    : files.length > 0 ? files
    : [`${room}/src/**/*.ts`, `!${room}/src/**/index.ts`];
  const config = join(copy, "stryker.config.json");
  writeFileSync(
    config,
    JSON.stringify({
      testRunner: "vitest",
      plugins: ["@stryker-mutator/vitest-runner"],
      vitest: { configFile: "vitest.mutation.config.ts", related: false },
      inPlace: true,
      coverageAnalysis: "perTest",
      // Lines that run before a test, when a file is loaded, would have to be tried against every test.
      ignoreStatic: true,
      disableTypeChecks: `${room}/src/**/*.ts`,
      mutate,
      reporters: ["progress-append-only", "json"],
      jsonReporter: { fileName: report },
      tempDirName: join(cache, "tmp"),
      concurrency: availableParallelism(),
      timeoutMS: 20_000,
    }),
  );
  const status = run(
    process.execPath,
    [join(copy, "node_modules", "@stryker-mutator", "core", "bin", "stryker.js"), "run", config],
    copy,
    { MUTATED_ROOM: room, MUTATED_TESTS: values.tests },
  );
  if (status !== 0 || !existsSync(report)) process.exit(status || 1);
  const found = /** @type {Report} */ (JSON.parse(readFileSync(report, "utf8"))).files;
  const counts = count(Object.values(found).flatMap(({ mutants }) => mutants));
  isEnough &&= counts.score >= GOAL;
  table.push(row(`**${room}**`, counts));
  for (const [file, { source, mutants }] of Object.entries(found)) {
    table.push(row(file.slice(room.length + 5), count(mutants)));
    const lines = source.split("\n");
    for (const { status: outcome, mutatorName, replacement, location } of mutants) {
      if (!unseen.has(outcome)) continue;
      survivors.push(
        `${file}:${location.start.line} ${outcome} ${mutatorName} -> ${(replacement ?? "").replaceAll(/\s+/g, " ").slice(0, 100)}\n    ${lines[location.start.line - 1]?.trim()}`,
      );
    }
  }
}
writeFileSync(join(cache, "table.md"), `${table.join("\n")}\n`);
writeFileSync(join(cache, "survivors.txt"), `${survivors.join("\n")}\n`);
console.log(`\n${table.join("\n")}\n\nWhat no test saw: ${join(cache, "survivors.txt")}`);
process.exitCode = isEnough ? 0 : 1;
