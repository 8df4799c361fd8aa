import { isMrcnnError } from "@mrcnn/core";

/** The command was asked for something it does not offer: exit code 2. */
export class UsageError extends Error {}

/** Something outside is not as it must be (a file, a folder, the disk): exit code 1. */
export class CommandError extends Error {}

/** Ctrl-C stopped it: exit code 130. */
export class InterruptedError extends Error {}

const systemErrors: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full. Free some space or choose another folder",
  EDQUOT: "the disk quota is used up. Free some space or choose another folder",
  EACCES: "permission denied. Choose a folder you may write to",
  EPERM: "permission denied. Choose a folder you may write to",
  EROFS: "the file system is read-only. Choose another folder",
  ENOENT: "no such file or folder. Check the path",
  ENOTDIR: "a part of the path is a file, not a folder. Check the path",
  EISDIR: "that is a folder. Name a file",
  EEXIST: "it is there already, as something else. Choose another name",
  EMFILE: "too many files are open. Raise the limit with `ulimit -n`",
};

/** One line that says what happened and what to do. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  const known = !isMrcnnError(error) && code !== undefined ? systemErrors[code] : undefined;
  const text = known === undefined ? error.message : `${path ?? error.message}: ${known}.`;
  return text.replaceAll(/\s*\n\s*/g, " ") || error.name;
}
