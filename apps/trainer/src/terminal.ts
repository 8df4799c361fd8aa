/** What a command says: results to stdout, notes to stderr, control characters escaped. */
import { escapeUnprintable } from "@mrcnn/core";

/** Where the command speaks: results on stdout, everything else on stderr. Tests hand in their own. */
export interface Terminal {
  /** A line of results, or several. */
  out(line: string): void;
  /** A line for the person watching, or several. */
  note(line: string): void;
  /** Whether bars may be drawn on stderr. */
  readonly interactive: boolean;
  /** Whether nobody reads stdout any more; false where it is left out. */
  readonly isClosed?: boolean;
}

/**
 * Text as it may be shown: what a terminal would obey is written as JSON writes it, so that JSON stays the
 * same JSON.
 */
export const shown = (text: string): string => escapeUnprintable(text, "\n\t");

/** A name within a line: as `shown`, and newlines and tabs escaped too. */
export const shownName = (name: string): string => escapeUnprintable(name);

/** The same terminal, on which everything is shown and nothing obeyed: names come from files of anyone. */
export const showing = (terminal: Terminal): Terminal => ({
  out: (line) => terminal.out(shown(line)),
  note: (line) => terminal.note(shown(line)),
  interactive: terminal.interactive,
  get isClosed() {
    return terminal.isClosed === true;
  },
});

/** The terminal of this process. */
export interface ProcessTerminal extends Terminal {
  /** Why a stream could not be written to; undefined while all went well, and when its reader has left. */
  readonly failure: string | undefined;
}

/**
 * Speaks on this process's stdout and stderr. Who reads a pipe may have seen enough (`mrcnn models | head
 * -1`), and a terminal may be closed: what is said then is lost, and the work goes on.
 */
export function createProcessTerminal(): ProcessTerminal {
  let isClosed = false;
  let failure: string | undefined;
  const listen = (stream: NodeJS.WriteStream, name: string): void => {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (stream === process.stdout) isClosed = true;
      // EIO is a terminal that is gone.
      if (error.code === "EPIPE" || error.code === "EIO" || failure !== undefined) return;
      failure = `${name} can't be written: ${error.message}`;
    });
  };
  listen(process.stdout, "stdout");
  listen(process.stderr, "stderr");
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    note: (line) => void process.stderr.write(`${line}\n`),
    interactive: process.stderr.isTTY === true,
    get isClosed() {
      return isClosed;
    },
    get failure() {
      return failure;
    },
  };
}
