/** Writes files whole or not at all, through symlinks, and never replaces what is no regular file. */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** What a path leads to. */
export interface OutputTarget {
  /** The path as given. */
  readonly path: string;
  /** Whether it is a regular file, or becomes one: such is replaced by renaming. A pipe or a device is written to. */
  readonly isFile: boolean;
  /** The file that would be replaced: where symlinks end. */
  readonly file: string;
  /** What is there now, if anything. */
  readonly state: Stats | undefined;
}

/** Puts bytes into an open file; tests give a failing disk. */
export type WriteBytes = (file: number, data: string | Uint8Array) => void;

/** A file's content on its way to `path`. */
export interface OutputContent {
  readonly path: string;
  readonly data: string | Uint8Array;
}

const MAX_LINKS = 40;
// What is open under a number (`/dev/fd/5`) is meant itself, not the name it was opened by.
const ofDescriptors = /^(\/proc\/[^/]+(\/task\/\d+)?\/fd|\/dev\/fd)$/;

/**
 * Finds out where writing to `path` would end.
 *
 * @throws the system's error when `path` is a folder, or its symlinks go in circles.
 */
export function outputTarget(path: string): OutputTarget {
  const state = statSync(path, { throwIfNoEntry: false });
  if (path.endsWith("/") || state?.isDirectory() === true)
    throw systemError("EISDIR", "that is a folder", path);
  const { end, isDescriptor } = follow(path);
  const isFile = state === undefined || (state.isFile() && !isDescriptor);
  return { path, isFile, file: isFile ? end : path, state };
}

// Where the symlinks of a path end, which may be where nothing is yet.
function follow(path: string): { end: string; isDescriptor: boolean } {
  let at = path;
  for (let i = 0; i < MAX_LINKS; i++) {
    const folder = dirname(at);
    if (existsSync(folder) && ofDescriptors.test(realpathSync(folder)))
      return { end: at, isDescriptor: true };
    if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() !== true)
      return { end: at, isDescriptor: false };
    at = resolve(folder, readlinkSync(at));
  }
  throw systemError("ELOOP", "its symlinks go in circles", path);
}

const systemError = (code: string, reason: string, path: string): Error =>
  Object.assign(new Error(`${code}: ${reason}, open '${path}'`), { code, path });

/** An error of the system with the path that is meant: Node leaves it out on file descriptors, and names temporary files in others. */
export function withPath(error: unknown, path: string): unknown {
  return error instanceof Error && "code" in error ? Object.assign(error, { path }) : error;
}

function makeFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isFile() === true)
    throw systemError("ENOTDIR", "a part of it is a file", folder);
  mkdirSync(folder, { recursive: true });
}

/**
 * Puts a regular file, complete under another name of the same folder, in the place of `target`: as `writeFilesWhole`
 * does with what it has written.
 *
 * @throws the system's error, with the target's path.
 */
export function replaceFile(target: OutputTarget, written: string): void {
  try {
    const open = openSync(written, "r+");
    try {
      if (target.state !== undefined) keepOwnerAndMode(open, target.state);
      fsyncSync(open);
    } finally {
      closeSync(open);
    }
    renameSync(written, target.file);
  } catch (error) {
    throw withPath(error, target.path);
  }
}

let count = 0;
const temporaryIn = (folder: string): string => join(folder, `.mrcnn-${process.pid}-${++count}.tmp`);

/**
 * Tries whether `path` can be written, changing nothing but making its folder: for before the work.
 *
 * @throws the system's error, with `path`.
 */
export function tryOutput(path: string): OutputTarget {
  try {
    const target = outputTarget(path);
    if (target.state !== undefined) accessSync(path, constants.W_OK);
    if (target.isFile) {
      makeFolder(dirname(target.file));
      const probe = temporaryIn(dirname(target.file));
      try {
        writeFileSync(probe, "", { flag: "wx" });
      } finally {
        rmSync(probe, { force: true });
      }
    } else if (target.state!.isSocket()) throw systemError("ENXIO", "that is a socket", path);
    return target;
  } catch (error) {
    throw withPath(error, path);
  }
}

interface Staged {
  readonly temporary: string;
  readonly file: string;
  readonly path: string;
}

function stage({ path, data }: OutputContent, write: WriteBytes): Staged {
  try {
    const { isFile, file, state } = outputTarget(path);
    if (!isFile) throw systemError("EEXIST", "that is no regular file", path);
    if (state !== undefined) accessSync(file, constants.W_OK); // renaming would not ask
    makeFolder(dirname(file));
    const temporary = temporaryIn(dirname(file));
    try {
      const open = openSync(temporary, "w");
      try {
        write(open, data);
        if (state !== undefined) keepOwnerAndMode(open, state);
        fsyncSync(open);
      } finally {
        closeSync(open);
      }
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
    return { temporary, file, path };
  } catch (error) {
    throw withPath(error, path);
  }
}

function keepOwnerAndMode(open: number, { uid, gid, mode }: Stats): void {
  try {
    fchownSync(open, uid, gid);
  } catch {
    // Only root gives files away.
  }
  fchmodSync(open, mode & 0o7777);
}

/**
 * Writes regular files, all of them or none: each under a temporary name beside where its path leads, then renamed.
 * After a crash or on a full disk every path is what it was before. Folders are made as needed; a file that is
 * replaced keeps its mode and, for root, its owner.
 *
 * @throws the system's error, with the `path` it is about; EEXIST for a pipe or a device.
 */
export function writeFilesWhole(
  files: readonly OutputContent[],
  { write = writeFileSync }: { readonly write?: WriteBytes } = {},
): void {
  const staged: Staged[] = [];
  try {
    for (const file of files) staged.push(stage(file, write));
    for (const { temporary, file, path } of staged) {
      try {
        renameSync(temporary, file);
      } catch (error) {
        throw withPath(error, path);
      }
    }
  } catch (error) {
    for (const { temporary } of staged) rmSync(temporary, { force: true });
    throw error;
  }
}

/** A pipe or a device that is open for writing. */
export interface OutputStream {
  write(data: string | Uint8Array): Promise<void>;
  close(): void;
}

const POLL_MS = 20;
const codeOf = (error: unknown): unknown => (error as NodeJS.ErrnoException).code;

/**
 * Opens a pipe or a device for writing. Nothing here blocks the thread, so that signals are heard while a named pipe
 * waits for its reader; `onWait` is called once when it does.
 *
 * @throws the system's error, with `path`.
 */
export async function openOutputStream(
  path: string,
  { onWait }: { readonly onWait?: (() => void) | undefined } = {},
): Promise<OutputStream> {
  const isPipe = statSync(path).isFIFO();
  const open = async (): Promise<number> => {
    for (let waited = false; ; waited = true) {
      try {
        // Appending: a number (`/dev/fd/5`) may be open on a file that has something in it.
        return openSync(path, constants.O_WRONLY | constants.O_APPEND | (constants.O_NONBLOCK ?? 0));
      } catch (error) {
        if (codeOf(error) !== "ENXIO" || !isPipe) throw withPath(error, path);
        if (!waited) onWait?.();
        await delay(POLL_MS);
      }
    }
  };
  const file = await open();
  return {
    async write(data) {
      let rest = typeof data === "string" ? Buffer.from(data) : data;
      while (rest.length > 0) {
        try {
          rest = rest.subarray(writeSync(file, rest));
        } catch (error) {
          if (codeOf(error) !== "EAGAIN") throw withPath(error, path); // its reader is slow
          await delay(POLL_MS);
        }
      }
    },
    close: () => closeSync(file),
  };
}

/**
 * Writes `data` to where `path` leads: a regular file whole or not at all, as `writeFilesWhole` does; a pipe or a
 * device by writing to it. Folders are made as needed.
 *
 * @throws the system's error, with `path`.
 */
export async function writeOutput(path: string, data: string | Uint8Array): Promise<void> {
  if (outputTarget(path).isFile) return writeFilesWhole([{ path, data }]);
  const stream = await openOutputStream(path);
  try {
    await stream.write(data);
  } finally {
    stream.close();
  }
}
