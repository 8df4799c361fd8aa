/** Errors of the command line, and the message of any error. */
import { isMrcnnError } from "@mrcnn/core";
import type { MemoryError } from "@mrcnn/core";

/** The command was asked for something it does not offer: exit code 2. */
export class UsageError extends Error {}

/** Something outside is not as it must be (a file, a folder, the disk): exit code 1. */
export class CommandError extends Error {}

/** Ctrl-C stopped it: exit code 130. */
export class InterruptedError extends Error {}

const systemErrors: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full. Free some space or choose another folder",
  EDQUOT: "the disk quota is used up. Free some space or choose another folder",
  EACCES: "permission denied. Look at who may read and write it",
  EPERM: "permission denied. Look at who may read and write it",
  EROFS: "the file system is read-only. Choose another folder",
  ENOENT: "no such file or folder. Check the path",
  ENOTDIR: "a part of the path is a file, not a folder. Check the path",
  EISDIR: "that is a folder. Name a file",
  EEXIST: "it is there already, as something else. Choose another name",
  ELOOP: "its symlinks go in circles. Name the file itself",
  ENXIO: "nothing can be written there: it is a socket, or a device that is not there. Name a file",
  EPIPE: "its reader has closed it before all was written",
  ENAMETOOLONG: "the name is too long. Choose a shorter one",
  EMFILE: "too many files are open. Raise the limit with `ulimit -n`",
};

// The options that this surface has for it.
const LESS_MEMORY =
  "Use smaller images (--min-size and --max-size; in training --set augment.minSizes or augment.crop), fewer at a time in training (--set training.batchSize, with training.accumulate to make up for it), or --backend tensorflow.";

/** One line that says what happened and what to do. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (isMrcnnError(error, "memory")) return `${(error as MemoryError).shortage} ${LESS_MEMORY}`;
  const { code, path } = error as NodeJS.ErrnoException;
  const known = !isMrcnnError(error) && code !== undefined ? systemErrors[code] : undefined;
  const text = known === undefined ? error.message : `${path ?? error.message}: ${known}.`;
  return text.replaceAll(/\s*\n\s*/g, " ") || error.name;
}

// What functions of the packages call by one name, the command calls by another.
const options: Readonly<Record<string, string>> = {
  minSize: "--min-size",
  maxSize: "--max-size",
  maxDetections: "--max-detections",
  scoreThreshold: "--score-threshold",
  maxPixels: "--max-pixels",
};

/** A message of the packages in the options of `detect` and `eval`. */
export const inOptions = (message: string): string =>
  message.replaceAll(
    /`?\b(minSize|maxSize|maxDetections|scoreThreshold|maxPixels)\b`?/g,
    (_, name: string) => options[name]!,
  );
