/** The `mrcnn` command: its exit codes, and how errors are shown. */
import { CommanderError } from "commander";
import { InterruptedError, messageOf, UsageError } from "./errors.ts";
import { INTERRUPTED } from "./interrupt.ts";
import { createProgram } from "./program.ts";
import { createProcessTerminal, showing } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Runs the `mrcnn` command. Errors become one line on stderr, with the stack only under --verbose.
 *
 * @returns the exit code: 0 success, 2 wrong usage, 3 `detect` could not read some of the images, 130 stopped
 *   by Ctrl-C, 1 anything else.
 */
export async function main(
  args: readonly string[],
  given: Terminal = createProcessTerminal(),
): Promise<number> {
  const terminal = showing(given);
  let code = 0;
  const program = createProgram(terminal, (result) => (code = result));
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof InterruptedError) return INTERRUPTED; // its work has said so
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has said why
    terminal.note(`error: ${messageOf(error)}`);
    if (args.includes("--verbose") && error instanceof Error) {
      for (let at: unknown = error; at instanceof Error; at = at.cause) terminal.note(at.stack ?? at.message);
    }
    return error instanceof UsageError ? 2 : 1;
  }
}
