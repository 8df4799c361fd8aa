// @ts-check
/** Runs other programs, and reports failures by a sentence instead of a stack. */
import { spawn } from "node:child_process";
import { platform } from "node:os";

/** A failure with its remedy; printed without a stack. */
export class SetupError extends Error {}

export const say = (/** @type {string} */ text) => process.stdout.write(`${text}\n`);

const windows = platform() === "win32";
/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();

// The whole group: installers leave children behind.
const kill = (/** @type {import("node:child_process").ChildProcess} */ { pid }) => {
  if (pid === undefined) return;
  try {
    process.kill(windows ? pid : -pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
};

/** Ends what `attempt` has running. */
export const killAll = () => running.forEach(kill);

/**
 * Runs a command without stdin; its output is kept and shown only when it fails.
 *
 * @typedef {{ ok: boolean, output: string, why: string }} Outcome
 * @param {string} command @param {readonly string[]} args
 * @param {{ cwd?: string, timeout?: number, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<Outcome>}
 */
export function attempt(command, args, { cwd, timeout = 900_000, env = process.env } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: !windows });
    running.add(child);
    let output = "";
    let late = false;
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    const timer = setTimeout(() => {
      late = true;
      kill(child);
    }, timeout);
    const done = (/** @type {boolean} */ ok, /** @type {string} */ why) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ ok, output, why });
    };
    child.on("error", (error) => done(false, error.message));
    child.on("close", (code) =>
      done(code === 0, late ? `no end after ${timeout / 1000} s` : `exit code ${code}`),
    );
  });
}

/** The last line of an outcome's output, or why it failed. @param {Outcome} outcome */
export const lastLine = ({ output, why }) => output.trim().split("\n").at(-1) || why;

/**
 * @param {string} what
 * @param {string} remedy
 * @param {Pick<Outcome, "output" | "why">} outcome its last lines are shown
 * @returns {SetupError}
 */
export function failure(what, remedy, { output, why }) {
  const lines = output
    .trim()
    .split("\n")
    .filter((line) => !/^\s*(\S+ ERR! stack)?\s+at /.test(line));
  return new SetupError(`${what} (${why}). ${remedy}\n${lines.slice(-20).join("\n")}`.trimEnd());
}
