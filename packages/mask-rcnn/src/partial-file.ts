import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { readStringRecord } from "./cache-record.ts";
import type { Sink } from "./transfer.ts";

// A download in progress is a folder beside the file it becomes: `data`, and `state.json` with the
// validator its bytes came under. While a process works on it the folder's name ends in the owner's
// mark; renaming the folder is atomic, so that no two ever write into one.

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

// Those that nobody works on: put down, or their owner died. Of another machine only after a day of silence.
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

/** Removes what is left of earlier downloads to `path`: of no use once the file is there. */
export async function discardAbandoned(path: string): Promise<void> {
  for (const left of await abandoned(path)) await rm(left, { recursive: true, force: true });
}

// What can stand in If-Range; anything else would make every request fail.
const isHeaderValue = (text: string | undefined): boolean => text !== undefined && /^[!-~][ -~]*$/.test(text);

// A file that was growing when the power went may end in zeros that nobody wrote. Zeros that were meant come again.
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

/** What puts bytes into an open file; a test puts a full disk here. */
export type WriteChunk = (file: FileHandle, chunk: Uint8Array) => Promise<void>;

/** A sink on disk that outlives the process. */
export interface PartialFile extends Sink {
  /** The file with the bytes, for reading once all are there. */
  readonly data: string;
  /** Everything is on the disk afterwards. */
  flush(): Promise<void>;
  /** Makes the data the file at `path`, at once and whole, and forgets the rest. */
  become(path: string): Promise<void>;
  /** Puts it down, for whoever goes on with it; an empty one is removed. */
  release(): Promise<void>;
}

/** Takes up what is left of an earlier download of `url` to `path`, or begins one. The folder must exist. */
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
      // Somebody else was quicker.
    }
  }
  await mkdir(own, { recursive: true });
  const data = join(own, "data");
  const stateFile = join(own, "state.json");
  // A state that can't be read (a power cut may leave zeros in its place) is forgotten, and the bytes with it.
  const state = await readStringRecord(stateFile, ["url", "validator"]);
  let validator =
    typeof state === "object" && state.url === url && isHeaderValue(state.validator) ?
      state.validator
    : undefined;
  if (validator === undefined || (await stat(data).catch(() => undefined))?.isFile() !== true) {
    validator = undefined;
    for (const left of [data, stateFile]) await rm(left, { recursive: true, force: true });
  }
  // Appending, so that writing goes on at the end after a restart too.
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
      // Bytes never lie beside the validator of others.
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
          // Another one lies there.
        }
      }
      await rm(own, { recursive: true, force: true });
    },
  };
}
