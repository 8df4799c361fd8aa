// Batches that threads prepare.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, it } from "vitest";
import type * as onSource from "../src/node.ts";
import { temporaryFolder } from "./folder.ts";
import { loaderSuite, options, shapes } from "./loader-suite.ts";

// Threads load built code; building again costs little when nothing changed.
let onDist: typeof onSource;
beforeAll(async () => {
  const folder = fileURLToPath(new URL("..", import.meta.url));
  execFileSync(process.execPath, [join(folder, "../../node_modules/typescript/bin/tsc"), "-b", folder]);
  onDist = await import(new URL("../dist/node.js", import.meta.url).href);
});

for (const [where, workers] of [
  ["in one thread", 1],
  ["in two threads", 2],
] as const)
  loaderSuite(where, (source, more) => onDist.loadBatches(source, { ...more, workers }));

it("a thread that dies is an error that says what to do, not a wait for ever", () => {
  const folder = temporaryFolder();
  // Loaded by every thread: data threads quit in the middle of their third batch.
  const quit = `const { isMainThread } = require("node:worker_threads");
    const from = Int32Array.from;
    let calls = 0;
    if (!isMainThread) Int32Array.from = (...args) => (++calls > 12 ? process.exit(3) : from.apply(Int32Array, args));`;
  const read = `import { loadBatches } from ${JSON.stringify(new URL("../dist/node.js", import.meta.url).href)};
    try {
      for await (const batch of loadBatches(${JSON.stringify(shapes)}, ${JSON.stringify({ ...options, workers: 1 })})) console.log(batch.names.length);
    } catch ({ name, message }) {
      console.log(name + ": " + message);
    }`;
  const [hook, script] = [join(folder, "quit.cjs"), join(folder, "read.mjs")];
  writeFileSync(hook, quit);
  writeFileSync(script, read);
  const lines = execFileSync(process.execPath, [script], {
    encoding: "utf8",
    env: { ...process.env, NODE_OPTIONS: `--require ${hook}` },
    timeout: 60_000,
  })
    .trim()
    .split("\n");
  expect(lines.slice(0, -1)).toContain("2");
  expect(lines.at(-1)).toMatch(
    /^DatasetError: loadBatches: a thread died preparing the batch of step \d+ \(.*code: 3\)\. Its images may take more memory .* use fewer workers/,
  );
});
