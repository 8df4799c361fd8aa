#!/usr/bin/env node
// Starts the `mrcnn` command, command.mjs, in a process of its own and stays to be told of signals: one that computes in
// WebAssembly hears of none until it has done. It holds the 40 MB of a bare Node.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { LIFELINE } from "./lifeline.mjs";

const SIGNALS = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);
// A terminal and npm send theirs at nearly the same time: the two are one.
const ONCE_MS = 500;
// What a command has left after the second signal, which means at once.
const GRACE_MS = 1500;

const args = process.argv.slice(2);
// Files that a shell has opened and calls by number, as in `--json >(jq .)`. Node leaves no others to its children.
const given = [...args.join("\n").matchAll(/\/(?:dev|proc\/self)\/fd\/(\d+)/g)]
  .map((match) => Number(match[1]))
  .filter((fd) => fd < 256);
const lifeline = Math.max(2, ...given) + 1;
const stdio = Array.from({ length: lifeline + 1 }, (_, fd) =>
  fd < 3 || given.includes(fd) ? "inherit" : "ignore",
);
const command = spawn(
  process.execPath,
  [...process.execArgv, fileURLToPath(new URL("command.mjs", import.meta.url)), ...args],
  {
    // When this process is gone, however it ended, the lifeline closes.
    stdio: /** @type {import("node:child_process").StdioOptions} */ (stdio.with(lifeline, "pipe")),
    env: { ...process.env, [LIFELINE]: String(lifeline) },
  },
);

/** @type {number | undefined} */
let first;
/** @type {NodeJS.Signals | undefined} */
let stoppedBy;
/** @param {NodeJS.Signals} signal */
function pass(signal) {
  command.kill(signal);
  first ??= performance.now();
  if (performance.now() - first < ONCE_MS || stoppedBy !== undefined) return;
  stoppedBy = signal;
  setTimeout(() => command.kill("SIGKILL"), GRACE_MS).unref();
}
for (const signal of SIGNALS) process.on(signal, pass);

command.on("error", (error) => {
  process.stderr.write(`error: the command does not start: ${error.message}.\n`);
  process.exitCode = 1;
});
command.on("exit", (code, signal) => {
  if (signal === null) {
    process.exitCode = code ?? 1;
    return;
  }
  if (signal === "SIGKILL" && stoppedBy === undefined) {
    process.stderr.write(
      "error: the command was killed, most likely by the system for want of memory. Use smaller images, or fewer at a time.\n",
    );
    process.exitCode = 128 + constants.signals.SIGKILL;
    return;
  }
  // Ends as the command did, so that a shell sees it.
  for (const one of SIGNALS) process.off(one, pass);
  process.kill(process.pid, stoppedBy ?? signal);
});
