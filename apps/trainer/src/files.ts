/** Files are written whole or not at all. */
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { join } from "node:path";
import { readJsonBytes } from "@mrcnn/core";
import { whyNoFile, withPath, writeFilesWhole } from "@mrcnn/datasets/node";
import type { WriteBytes } from "@mrcnn/datasets/node";
import { CommandError } from "./errors.ts";

/**
 * Writes a regular file whole or not at all, as @mrcnn/datasets' `writeFilesWhole`; `write` is for tests with
 * a failing disk.
 */
export function writeWhole(path: string, data: string | Uint8Array, write?: WriteBytes): void {
  writeFilesWhole([{ path, data }], write === undefined ? {} : { write });
}

/**
 * What is at a path, through links; undefined for nothing, and for what no file can be (links in circles, a
 * name that is too long).
 */
export function stateOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Which file on which disk a path leads to, whatever its names; undefined for none. */
export function identityOf(path: string): string | undefined {
  const state = stateOf(path);
  return state && `${state.dev}:${state.ino}`;
}

/** Appends all of `data`, or leaves the file as it was. */
export function appendWhole(
  path: string,
  data: string | Uint8Array,
  append: (path: string, data: string | Uint8Array) => void = appendFileSync,
): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  try {
    append(path, data);
  } catch (error) {
    if (size === undefined) rmSync(path, { force: true });
    else truncateSync(path, size);
    throw withPath(error, path);
  }
}

/**
 * Parses a JSON file.
 *
 * @throws CommandError naming the file when it is missing, no regular file, or no JSON.
 */
export function readJson(path: string, what: string): unknown {
  const noFile = whyNoFile(path);
  if (noFile !== undefined) throw new CommandError(`${what} ${path}${noFile.replace(/^it/, "")}`);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new CommandError(`${what} ${path} can't be read: ${(cause as Error).message}.`, { cause });
  }
  try {
    return readJsonBytes(bytes);
  } catch (cause) {
    throw new CommandError(
      `${what} ${path} is not valid JSON: ${(cause as Error).message.replace(/\.$/, "")}.`,
      { cause },
    );
  }
}

/** Throws unless a file can be made in `folder` (which is made); called before long work begins. */
export function assertWritable(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const probe = join(folder, `.probe.${process.pid}`);
  try {
    writeFileSync(probe, "");
  } finally {
    rmSync(probe, { force: true });
  }
}
