// @ts-check
/**
 * Runs `npm test` on a bare clone: installs and builds what is missing, checks layers, lint, format and
 * types, and runs every suite on every available backend, in Chromium too.
 *
 * At the end it lists what did not run, with the reason and the command that would enable it. Arguments go to
 * vitest. The very last line is `N passed, N failed, N skipped`. With MRCNN_TEST_ALL=1, as in the workflow, a
 * suite that can't run here is a failure.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { bootstrap } from "./bootstrap.mjs";
import { backendState } from "./setup/backends.mjs";
import { findChromium } from "./setup/chromium.mjs";
import { summarize } from "./test-summary.mjs";
import { filesBelow, root } from "./workspace.mjs";

const only = process.argv.slice(2);
await bootstrap();

/** @param {string} title @param {string} command @param {string[]} args */
function check(title, command, args) {
  console.log(`\n> ${title}`);
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  return status === 0;
}
const bin = (/** @type {string} */ name) => join(root, "node_modules", ".bin", name);

const failed = [];
if (only.length === 0) {
  if (!check("layers", process.execPath, ["tools/check-layers.mjs"])) failed.push("layers");
  if (!check("lint", bin("oxlint"), ["--deny-warnings"])) failed.push("lint");
  if (!check("prose of the sources", process.execPath, ["tools/check-prose.mjs"])) failed.push("prose");
  const format = ["--check", "--log-level=warn", "--cache", "--cache-location=.cache/prettier", "."];
  if (!check("format (`npm run format` mends it)", bin("prettier"), format)) failed.push("format");
  if (!check("types of tests and tools", bin("tsc"), ["-p", "tsconfig.test.json"])) failed.push("types");
}

const report = join(root, ".cache", "test-report.json");
mkdirSync(join(root, ".cache"), { recursive: true });
rmSync(report, { force: true });
const suites = check("tests", bin("vitest"), [
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${report}`,
  ...only,
]);

/** @type {import("./test-summary.mjs").Report} */
let counts = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, testResults: [] };
try {
  counts = JSON.parse(readFileSync(report, "utf8"));
} catch {
  console.error("error: vitest left no report; see its output above.");
}

const { MRCNN_TEST_ALL, MRCNN_NO_CHROMIUM, MRCNN_NO_WEBGPU } = process.env;
const { lines, failures } = summarize(
  {
    ...counts,
    testResults: counts.testResults.map((one) => ({
      ...one,
      name: relative(root, one.name).replaceAll("\\", "/"),
    })),
  },
  {
    opFiles: ["packages", "apps"]
      .flatMap((kind) => filesBelow(join(root, kind), ".op.test.ts"))
      .map((file) => relative(root, file).replaceAll("\\", "/")),
    backends: { tensorflow: backendState("tensorflow"), webgpu: backendState("webgpu") },
    chromium: findChromium(),
    isFiltered: only.length > 0,
    mustRunAll: MRCNN_TEST_ALL === "1",
    failed,
    suitesPassed: suites,
    // What .ci/run found when it tried to install them.
    troubles: { chromium: MRCNN_NO_CHROMIUM, webgpu: MRCNN_NO_WEBGPU },
  },
);
console.log(`\n${lines.join("\n")}`);
process.exitCode = failures === 0 ? 0 : 1;
