/** The check that a path is a regular file: reading a pipe or a device might wait forever. */
import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { createFindNearby } from "./nearby-file.ts";

/**
 * Tells why a path should not be read: there is no such file, or it is a folder, a named pipe, a socket or a
 * device. Only its kind is checked; nothing is opened.
 *
 * @returns undefined for a regular file, else the reason and advice, as in "it is a folder. Name a file."
 */
export function whyNoFile(path: string): string | undefined {
  let state;
  try {
    state = statSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR")
      return `it does not exist. ${whatLiesThere(path) ?? "Check the path."}`;
    if (code === "EACCES" || code === "EPERM")
      return "it may not be read (permission denied). Change its permissions.";
    if (code === "ELOOP") return "its symbolic links lead in a circle. Mend them.";
    return `it can't be read: ${message}.`;
  }
  if (state.isFile()) return undefined;
  if (state.isDirectory()) return "it is a folder. Name a file.";
  const kind =
    state.isFIFO() ? "a pipe"
    : state.isSocket() ? "a socket"
    : "a device";
  return `it is ${kind}, not a regular file: its size can't be known, and it may never end. Write what it gives to a file, and name that.`;
}

function whatLiesThere(path: string): string | undefined {
  const near = createFindNearby()(isAbsolute(path) ? "/" : ".", path);
  return near && `But ${near.path} is there, which differs ${near.differs}. Check the path.`;
}
