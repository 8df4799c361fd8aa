/**
 * Output files that are written completely or not at all, through symlinks, and never replace anything but
 * regular files.
 */
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

/** The target of an output path. */
export interface OutputTarget {
  /** The path as given. */
  readonly path: string;
  /**
   * Whether the target is a regular file, or will be one: it is then replaced by renaming. A pipe or a device
   * is written to.
   */
  readonly isFile: boolean;
  /** The file that would be replaced, at the end of symlinks. */
  readonly file: string;
  /** State of the existing target, if any. */
  readonly state: Stats | undefined;
}

/** Writes bytes to an open file; tests replace it to simulate a failing disk. */
export type WriteBytes = (file: number, data: string | Uint8Array) => void;

/** Content to be written to `path`. */
export interface OutputContent {
  readonly path: string;
  readonly data: string | Uint8Array;
}

const MAX_LINKS = 40;
// Descriptors (`/dev/fd/5`) are written to directly, not replaced by the name that they were opened by.
const ofDescriptors = /^(\/proc\/[^/]+(\/task\/\d+)?\/fd|\/dev\/fd)$/;

/**
 * Resolves where writing to `path` would end.
 *
 * @throws the system's error when `path` is a folder, or its symlinks form a loop.
 */
export function outputTarget(path: string): OutputTarget {
  const state = statSync(path, { throwIfNoEntry: false });
  if (path.endsWith("/") || state?.isDirectory() === true)
    throw systemError("EISDIR", "that is a folder", path);
  const { end, isDescriptor } = follow(path);
  const isFile = state === undefined || (state.isFile() && !isDescriptor);
  return { path, isFile, file: isFile ? end : path, state };
}

// Returns where the symlinks of a path end, which may be a path that doesn't exist yet.
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

/**
 * Sets the path of a system error to the one meant: Node leaves it out for file descriptors, and in other
 * errors names temporary files.
 */
export function withPath(error: unknown, path: string): unknown {
  return error instanceof Error && "code" in error ? Object.assign(error, { path }) : error;
}

function makeFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isFile() === true)
    throw systemError("ENOTDIR", "a part of it is a file", folder);
  mkdirSync(folder, { recursive: true });
}

/**
 * Replaces `target` by a regular file that is complete under another name in the same folder, as
 * `writeFilesWhole` does with its temporary files.
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
 * Checks, before a long run, that `path` can be written, changing nothing but creating its folder.
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
    if (state !== undefined) accessSync(file, constants.W_OK); // renaming doesn't check this
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
    // Only root may change a file's owner.
  }
  fchmodSync(open, mode & 0o7777);
}

/**
 * Writes regular files, all of them or none: each under a temporary name in the folder of its target, then
 * renamed. After a crash or on a full disk every path is unchanged. Creates missing folders; a replaced file
 * keeps its mode and, for root, its owner.
 *
 * @throws the system's error, with the `path` concerned; EEXIST for a pipe or a device.
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
 * Opens a pipe or a device for writing. Doesn't block the thread, so signals are handled while a named pipe
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
        // Opened for appending, since a descriptor (`/dev/fd/5`) may be open on a file that isn't empty.
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
 * Writes `data` to the target of `path`: to a regular file completely or not at all, as `writeFilesWhole`
 * does; to a pipe or a device directly. Creates missing folders.
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
