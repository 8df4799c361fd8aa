/** A download in progress on disk, which a later process can continue. */
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { readStringRecord } from "./cache-record.ts";
import type { Sink } from "./transfer.ts";

// A download in progress is a folder beside the file it becomes: `data`, and `state.json` with the validator
// of its bytes. While a process works on it the folder's name ends in the owner's mark; renaming the folder
// is atomic, so that no two processes ever write into one.

const DAY_MS = 86_400_000;
const host = (): string =>
  hostname()
    .replaceAll(/[^A-Za-z0-9]/g, "")
    .slice(0, 20) || "host";

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

// Lists the parts that no process works on: released, or their owner died. Those of another machine count
// only after a day without changes.
async function abandoned(path: string): Promise<string[]> {
  const folder = dirname(path);
  const start = `${basename(path)}.partial`;
  const found: string[] = [];
  for (const name of await readdir(folder)) {
    if (name === start) found.push(join(folder, name));
    const [, owner, pid] =
      name.startsWith(`${start}.`) ?
        (/^([A-Za-z0-9]+)-(\d+)-[0-9a-f]+$/.exec(name.slice(start.length + 1)) ?? [])
      : [];
    if (owner === undefined) continue;
    const at = (await stat(join(folder, name, "data")).catch(() => undefined))?.mtimeMs ?? 0;
    if (owner === host() ? !isAlive(Number(pid)) : Date.now() - at > DAY_MS) found.push(join(folder, name));
  }
  return found;
}

/** Removes the parts of earlier downloads to `path`, which are useless once the file exists. */
export async function discardAbandoned(path: string): Promise<void> {
  for (const left of await abandoned(path)) await rm(left, { recursive: true, force: true });
}

// Tells whether a text is allowed in If-Range; any other would make every request fail.
const isHeaderValue = (text: string | undefined): boolean => text !== undefined && /^[!-~][ -~]*$/.test(text);

// A file that was growing during a power cut may end in zeros that nobody wrote. Genuine zeros are downloaded
// again.
async function trimZeros(file: FileHandle): Promise<number> {
  const chunk = Buffer.alloc(1 << 16);
  const { size } = await file.stat();
  let length = size;
  while (length > 0) {
    const start = Math.max(0, length - chunk.length);
    const { bytesRead } = await file.read(chunk, 0, length - start, start);
    const last = chunk.subarray(0, bytesRead).findLastIndex((byte) => byte !== 0);
    length = start + last + 1;
    if (last >= 0) break;
  }
  if (length < size) await file.truncate(length);
  return length;
}

/** Writes bytes into an open file; a test simulates a full disk here. */
export type WriteChunk = (file: FileHandle, chunk: Uint8Array) => Promise<void>;

/** A sink on disk that outlives the process. */
export interface PartialFile extends Sink {
  /** Path of the file with the bytes, for reading once it is complete. */
  readonly data: string;
  /** Writes everything to disk. */
  flush(): Promise<void>;
  /** Moves the data to `path`, atomically, and removes the rest. */
  become(path: string): Promise<void>;
  /** Releases the part for another process to continue; an empty one is removed. */
  release(): Promise<void>;
}

/** Continues an earlier download of `url` to `path`, or begins one. The folder must exist. */
export async function openPartial(
  path: string,
  url: string,
  write: WriteChunk = async (file, chunk) => file.writeFile(chunk),
): Promise<PartialFile> {
  const own = `${path}.partial.${host()}-${process.pid}-${randomBytes(4).toString("hex")}`;
  for (const other of await abandoned(path)) {
    try {
      await rename(other, own);
      if ((await stat(own)).isDirectory()) break;
      await rm(own, { force: true });
    } catch {
      // Another process was faster.
    }
  }
  await mkdir(own, { recursive: true });
  const data = join(own, "data");
  const stateFile = join(own, "state.json");
  // A state that can't be read (a power cut may leave zeros in its place) is discarded, and the bytes with
  // it.
  const state = await readStringRecord(stateFile, ["url", "validator"]);
  let validator =
    typeof state === "object" && state.url === url && isHeaderValue(state.validator) ?
      state.validator
    : undefined;
  if (validator === undefined || (await stat(data).catch(() => undefined))?.isFile() !== true) {
    validator = undefined;
    for (const left of [data, stateFile]) await rm(left, { recursive: true, force: true });
  }
  // Opened for appending, so that writing continues at the end after a restart too.
  let file: FileHandle | undefined = await open(data, "a+");
  let length = await trimZeros(file);

  const close = async (): Promise<void> => {
    const open = file;
    file = undefined;
    await open?.close();
  };
  return {
    data,
    get length() {
      return length;
    },
    get validator() {
      return validator;
    },
    async restart(next) {
      // The state is removed first: bytes must never be beside the validator of others.
      await rm(stateFile, { force: true });
      await file!.truncate(0);
      length = 0;
      validator = next;
      await writeFile(stateFile, JSON.stringify({ url, validator }));
    },
    async append(chunk) {
      await write(file!, chunk);
      length += chunk.length;
    },
    flush: async () => file?.sync(),
    async become(final) {
      await close();
      await rename(data, final);
      await rm(own, { recursive: true, force: true });
    },
    async release() {
      await close().catch(() => {});
      if (length > 0 && validator !== undefined) {
        try {
          await rename(own, `${path}.partial`);
          return;
        } catch {
          // Another process has released a part of that name.
        }
      }
      await rm(own, { recursive: true, force: true });
    },
  };
}
