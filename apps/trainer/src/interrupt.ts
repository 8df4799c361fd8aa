/** Signals that end a command: the first lets it finish what it is at, the second ends it at once. */
import { messageOf } from "./errors.ts";
import type { Terminal } from "./terminal.ts";

/** What a shell reports for a program that Ctrl-C ended. */
export const INTERRUPTED = 130;

export interface Interrupt {
  readonly signal: AbortSignal;
  /**
   * Lets a signal that came meanwhile be heard. A backend that computes on this thread never waits, and
   * Node delivers signals only when its event loop turns.
   */
  listen(): Promise<void>;
  /** What went wrong outside of the work; undefined while nothing has. Only where `faults` were asked for. */
  readonly fault: unknown;
  /** Gives the signals back. */
  release(): void;
}

// A hang-up is the terminal's end, or the connection's to it.
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

// Not process.exit: that waits for threads, and one of them may wait for ever (for a pipe that nobody writes
// to).
function endAtOnce(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/** How long work that an error outside of it has stopped may take to end, in milliseconds. */
const GRACE = 120_000;

export interface InterruptOptions {
  /**
   * Whether an error that nobody catches stops the work too, instead of the process: it may yet save
   * something. Default false.
   */
  readonly faults?: boolean;
}

/**
 * Turns the first SIGINT, SIGTERM or SIGHUP into `signal`, saying `message`; the second ends the process at
 * once. Two within half a second count as one: npm and the terminal each send theirs.
 */
export function onInterrupt(
  terminal: Terminal,
  message: string,
  { faults = false }: InterruptOptions = {},
): Interrupt {
  const controller = new AbortController();
  let first: number | undefined;
  const listener = (name: NodeJS.Signals): void => {
    const now = performance.now();
    if (first === undefined) {
      first = now;
      terminal.note(`\n${message} Ctrl-C again quits at once.`);
      controller.abort();
    } else if (now - first > 500) endAtOnce(name);
  };
  for (const name of SIGNALS) process.on(name, listener);
  let fault: unknown;
  let grace: NodeJS.Timeout | undefined;
  const onFault = (error: unknown): void => {
    if (fault !== undefined) return;
    fault = error ?? new Error("an error without a word");
    terminal.note(`\n${messageOf(fault).replace(/\.?$/, ".")} ${message}`);
    controller.abort();
    grace = setTimeout(() => process.exit(1), GRACE).unref();
  };
  if (faults) process.on("uncaughtException", onFault);
  return {
    get fault() {
      return fault;
    },
    signal: controller.signal,
    listen: () => new Promise((resolve) => setImmediate(resolve)),
    release() {
      for (const name of SIGNALS) process.off(name, listener);
      process.off("uncaughtException", onFault);
      clearTimeout(grace);
    },
  };
}
