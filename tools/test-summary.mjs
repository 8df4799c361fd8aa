// @ts-check
/** Writes the end of the output of `npm test`: what did not run and why, then the count line. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { notInPage } from "./setup/chromium.mjs";
import { root } from "./workspace.mjs";

/**
 * @typedef {{ available: boolean, reason?: string, command?: string }} State
 * @typedef {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, testResults: { name:
 *   string, assertionResults: { status: string, fullName: string }[] }[] }} Report
 */

// These tests open a page, and are skipped without a browser.
const needsChromium = (/** @type {string} */ file) => {
  try {
    return /setup\/chromium\.mjs"|from "\.\/site\.ts"/.test(readFileSync(join(root, file), "utf8"));
  } catch {
    return false;
  }
};

/**
 * Adds up a run. Suites that could not run come last, just before the count, each with its reason; where
 * every suite must run (`mustRunAll`) each such reason is a failure.
 *
 * @param {Report} report of vitest
 * @param {{ opFiles: string[], backends: Record<string, State>, chromium: { path?: string | undefined,
 *   reason?: string | undefined }, isFiltered: boolean, mustRunAll: boolean, failed: string[], suitesPassed:
 *   boolean, troubles?: Record<string, string | undefined> }} run
 *   `opFiles`: suites that each backend runs; `failed`: checks beside the tests; `troubles`: why something
 *   could not be installed.
 * @returns {{ lines: string[], failures: number }}
 */
export function summarize(
  report,
  { opFiles, backends, chromium, isFiltered, mustRunAll, failed, suitesPassed, troubles = {} },
) {
  let skipped = report.numPendingTests;
  const skips = [];
  const missing = [];
  const because = (/** @type {string} */ name, /** @type {string | undefined} */ reason) =>
    `${reason}${troubles[name] ? ` (${troubles[name]})` : ""}`;
  for (const [reason, starts] of Object.entries(chromium.path === undefined ? {} : notInPage)) {
    const left = opFiles.filter((file) => starts.some((start) => file.startsWith(start)));
    skipped += left.length;
    skips.push(`skipped: ${left.length} suites on webgpu in a page: ${reason}.`);
  }
  for (const { name, assertionResults } of report.testResults) {
    const pending = assertionResults.filter(({ status }) => ["pending", "skipped"].includes(status));
    if (pending.length === 0) continue;
    if (chromium.path === undefined && needsChromium(name))
      missing.push(`not run: ${pending.length} tests of ${name}: ${because("chromium", chromium.reason)}.`);
    // Suites that a filter leaves out need no words.
    else if (!isFiltered) skips.push(...pending.map(({ fullName }) => `skipped: ${fullName}`));
  }
  for (const [name, { available, reason, command }] of Object.entries(backends)) {
    if (available) continue;
    skipped += opFiles.length;
    missing.push(
      `not run: ${opFiles.length} suites on ${name}: ${because(name, reason)}.${command ? ` To run them: ${command}` : ""}`,
    );
  }
  if (chromium.path === undefined) {
    skipped += opFiles.length;
    missing.push(
      `not run: ${opFiles.length} suites on webgpu in a page: ${because("chromium", chromium.reason)}.`,
    );
  }
  const failures =
    failed.length + Math.max(report.numFailedTests, suitesPassed ? 0 : 1) + (mustRunAll ? missing.length : 0);
  return {
    lines: [
      ...skips,
      ...failed.map((name) => `failed: ${name}`),
      ...(mustRunAll && missing.length > 0 ? ["failed: every suite must run here, and these did not:"] : []),
      ...missing,
      `${report.numPassedTests} passed, ${failures} failed, ${skipped} skipped`,
    ],
    failures,
  };
}
