// @ts-check
// `npm test` on a bare clone: installs and builds what is missing, checks layers, lint and types, runs
// every suite on every backend that is here, in Chromium too, and lists what is not run, with its reason and
// the command that would enable it. Arguments go to vitest. The last line is `N passed, N failed, N skipped`.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { bootstrap } from "./bootstrap.mjs";
import { backendState } from "./setup/backends.mjs";
import { findChromium, notInPage } from "./setup/chromium.mjs";
import { filesBelow, root } from "./workspace.mjs";

const only = process.argv.slice(2);
await bootstrap();

/** @param {string} title @param {string} command @param {string[]} args */
function check(title, command, args) {
  console.log(`\n> ${title}`);
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", shell: process.platform === "win32" });
  return status === 0;
}
const bin = (/** @type {string} */ name) => join(root, "node_modules", ".bin", name);

const failed = [];
if (only.length === 0) {
  if (!check("layers", process.execPath, ["tools/check-layers.mjs"])) failed.push("layers");
  if (!check("lint", bin("oxlint"), ["--deny-warnings"])) failed.push("lint");
  if (!check("types of tests and tools", bin("tsc"), ["-p", "tsconfig.test.json"])) failed.push("types");
}

const report = join(root, ".cache", "test-report.json");
mkdirSync(join(root, ".cache"), { recursive: true });
rmSync(report, { force: true });
const suites = check("tests", bin("vitest"), ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...only]);

/** @type {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, numFailedTestSuites: number, testResults: { assertionResults: { status: string, fullName: string }[] }[] }} */
let counts = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numFailedTestSuites: 0, testResults: [] };
try {
  counts = JSON.parse(readFileSync(report, "utf8"));
} catch {
  console.error("error: vitest left no report; see its output above.");
}

let skipped = counts.numPendingTests;
const opFiles = ["packages", "apps"].flatMap((kind) => filesBelow(join(root, kind), ".op.test.ts")).map((file) => relative(root, file).replaceAll("\\", "/"));
const opSuites = opFiles.length;
console.log("");
for (const name of ["tensorflow", "webgpu"]) {
  const { available, reason, command } = backendState(name);
  if (available) continue;
  skipped += opSuites;
  console.log(`skipped: ${opSuites} suites on ${name}: ${reason}.${command ? ` To run them: ${command}` : ""}`);
}
const { path: chromium, reason: noChromium } = findChromium();
if (chromium === undefined) {
  skipped += opSuites;
  console.log(`skipped: ${opSuites} suites on webgpu in a page: ${noChromium}.`);
} else {
  for (const [reason, starts] of Object.entries(notInPage)) {
    const left = opFiles.filter((file) => starts.some((start) => file.startsWith(start)));
    skipped += left.length;
    console.log(`skipped: ${left.length} suites on webgpu in a page: ${reason}.`);
  }
}
// Those that a filter leaves out need no words.
for (const { assertionResults } of only.length === 0 ? counts.testResults : []) {
  for (const { status, fullName } of assertionResults) if (["pending", "skipped"].includes(status)) console.log(`skipped: ${fullName}`);
}
// A suite that could not even be loaded has no failed tests of its own.
let failures = Math.max(counts.numFailedTests, suites ? 0 : 1);
for (const name of failed) console.log(`failed: ${name}`);
failures += failed.length;
process.exitCode = failures === 0 ? 0 : 1;
console.log(`${counts.numPassedTests} passed, ${failures} failed, ${skipped} skipped`);
