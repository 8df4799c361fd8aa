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
  /** Gives the signals back. */
  release(): void;
}

// A hang-up is the terminal's end, or the connection's to it.
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

// Not process.exit: that waits for threads, and one of them may wait for ever (for a pipe that nobody writes to).
function endAtOnce(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/**
 * Turns the first SIGINT, SIGTERM or SIGHUP into `signal`, saying `message`; the second ends the process at once. Two within
 * half a second count as one: npm and the terminal each send theirs.
 */
export function onInterrupt(terminal: Terminal, message: string): Interrupt {
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
  return {
    signal: controller.signal,
    listen: () => new Promise((resolve) => setImmediate(resolve)),
    release() {
      for (const name of SIGNALS) process.off(name, listener);
    },
  };
}
