/** Where the command speaks: results on stdout, everything else on stderr. Tests hand in their own. */
export interface Terminal {
  /** A line of results. */
  out(line: string): void;
  /** A line for the person watching. */
  note(line: string): void;
  /** Whether bars may be drawn on stderr. */
  readonly interactive: boolean;
}

/** The terminal of this process. */
export const processTerminal: Terminal = {
  out: (line) => process.stdout.write(`${line}\n`),
  note: (line) => process.stderr.write(`${line}\n`),
  interactive: process.stderr.isTTY === true,
};
