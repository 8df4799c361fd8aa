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

/**
 * Turns the first SIGINT or SIGTERM into `signal`, saying `message`; the second quits at once. Two within
 * half a second count as one: npm and the terminal each send theirs.
 */
export function onInterrupt(terminal: Terminal, message: string): Interrupt {
  const controller = new AbortController();
  let first: number | undefined;
  const listener = (): void => {
    const now = performance.now();
    if (first === undefined) {
      first = now;
      terminal.note(`\n${message} Ctrl-C again quits at once.`);
      controller.abort();
    } else if (now - first > 500) process.exit(INTERRUPTED);
  };
  process.on("SIGINT", listener);
  process.on("SIGTERM", listener);
  return {
    signal: controller.signal,
    listen: () => new Promise((resolve) => setImmediate(resolve)),
    release() {
      process.off("SIGINT", listener);
      process.off("SIGTERM", listener);
    },
  };
}
