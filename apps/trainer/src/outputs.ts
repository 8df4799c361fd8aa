// Where a command's results go: files, pipes, devices or stdout, tried before the work begins.
import { fstatSync, statSync } from "node:fs";
import { isatty } from "node:tty";
import { openOutputStream, tryOutput, writeFilesWhole } from "@mrcnn/datasets/node";
import type { OutputStream, OutputTarget } from "@mrcnn/datasets/node";
import { CommandError, messageOf, UsageError } from "./errors.ts";
import { identityOf } from "./files.ts";
import type { Terminal } from "./terminal.ts";

/** A place that results are written to. */
export interface Output {
  /** As given: a path, or "-" for stdout. */
  readonly path: string;
  /**
   * The regular file that is replaced when all is there; undefined for what is written to as it comes:
   * stdout, a pipe, a device.
   */
  readonly target: OutputTarget | undefined;
  /** Replaces the regular file, or writes to what isn't one. */
  write(data: string | Uint8Array): Promise<void>;
  /** Opens what is not a regular file, to be written to piece by piece. */
  open(): Promise<OutputStream>;
}

/** The places that a command was asked to write to, by option. */
export interface Outputs<Option extends string> {
  /** Where the command speaks: as before, or with everything on stderr when results go to stdout. */
  readonly terminal: Terminal;
  readonly to: Partial<Readonly<Record<Option, Output>>>;
  /**
   * Makes and writes what was asked for. One that fails does not keep the others from being written.
   *
   * @throws the error of the first that failed, the others being said.
   */
  write(contents: Partial<Readonly<Record<Option, () => string | Promise<string>>>>): Promise<void>;
}

export interface OutputsOptions {
  readonly terminal: Terminal;
  /** Files that are read: none may be written to. */
  readonly inputs?: readonly (string | undefined)[];
}

const STDOUT = "-";

/**
 * Tries whether results can be written where the options say, before any work.
 *
 * @throws UsageError for two results in one place, or in place of what is read; the system's error naming the
 *   path.
 */
export function openOutputs<Option extends string>(
  paths: Readonly<Record<Option, string | undefined>>,
  { terminal, inputs = [] }: OutputsOptions,
): Outputs<Option> {
  const asked = (Object.entries(paths) as [Option, string | undefined][]).flatMap(([option, path]) =>
    path === undefined ? [] : [{ option, path }],
  );
  const read = inputs.flatMap((path) => (path === undefined ? [] : [{ path, key: identityOf(path) }]));
  const taken = new Map<string, { option: Option; path: string }>();
  const to: Partial<Record<Option, Output>> = {};
  for (const { option, path } of asked) {
    if (path === "") throw new UsageError(`${option} "": name a file, or - for stdout.`);
    const target = path === STDOUT || isStdout(path) ? undefined : tryOutput(path);
    const key = target === undefined ? STDOUT : (identityOf(path) ?? target.file);
    const clash = taken.get(key);
    if (clash !== undefined && target?.isFile !== false)
      throw new UsageError(
        `${clash.option} ${JSON.stringify(clash.path)} and ${option} ${JSON.stringify(path)} are the same place. Name two.`,
      );
    const input = target?.isFile === true ? read.find((one) => one.key === key) : undefined;
    if (input !== undefined)
      throw new UsageError(
        `${option} ${JSON.stringify(path)} would overwrite what is read: ${input.path}. Name another file.`,
      );
    taken.set(key, { option, path });
    to[option] = output(path, target, terminal);
  }
  return {
    terminal: taken.has(STDOUT) ? allOnStderr(terminal) : terminal,
    to,
    async write(contents) {
      const failures: unknown[] = [];
      for (const { option } of asked) {
        const make = contents[option];
        if (make === undefined) continue;
        try {
          await to[option]!.write(await make());
        } catch (error) {
          failures.push(error);
        }
      }
      for (const error of failures.slice(1)) terminal.note(`error: ${messageOf(error)}`);
      if (failures.length > 0) throw failures[0];
    },
  };
}

const allOnStderr = (terminal: Terminal): Terminal => ({
  out: terminal.note,
  note: terminal.note,
  interactive: terminal.interactive,
  get isClosed() {
    return terminal.isClosed === true;
  },
});

function output(path: string, target: OutputTarget | undefined, terminal: Terminal): Output {
  const open = async (): Promise<OutputStream> => {
    if (target === undefined)
      return { write: async (data) => terminal.out(String(data).replace(/\n$/, "")), close() {} };
    return openOutputStream(path, { onWait: () => terminal.note(`Waiting for a reader of ${path}.`) });
  };
  return {
    path,
    target: target?.isFile === true ? target : undefined,
    open,
    async write(data) {
      if (target?.isFile === true) return writeFilesWhole([{ path, data }]);
      const stream = await open();
      try {
        await stream.write(data);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EPIPE")
          throw new CommandError(`${path}: its reader has closed it before all was written.`, {
            cause: error,
          });
        throw error;
      } finally {
        stream.close();
      }
    },
  };
}

// `/dev/stdout`, or the very file that stdout goes to: renaming over that would lose one of the two.
function isStdout(path: string): boolean {
  const state = statSync(path, { throwIfNoEntry: false });
  if (state === undefined) return false;
  try {
    const stdout = fstatSync(1);
    return stdout.dev === state.dev && stdout.ino === state.ino && (!state.isCharacterDevice() || isatty(1));
  } catch {
    return false; // closed
  }
}
