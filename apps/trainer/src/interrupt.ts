import type { Terminal } from "./terminal.ts";

/** What a shell reports for a program that Ctrl-C ended. */
export const INTERRUPTED = 130;

export interface Interrupt {
  readonly signal: AbortSignal;
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
    release() {
      process.off("SIGINT", listener);
      process.off("SIGTERM", listener);
    },
  };
}
