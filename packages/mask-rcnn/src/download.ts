/** Downloads files into the user's cache in Node, and verifies them. */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { isMrcnnError, WeightsError } from "@mrcnn/core";
import { catalog } from "./catalog.ts";
import type { CatalogEntry, Checksum } from "./catalog.ts";
import { cachedPath } from "./cache-folder.ts";
import type { CacheFolderOptions } from "./cache-folder.ts";
import { readStringRecord } from "./cache-record.ts";
import { nodeFetch } from "./node-fetch.ts";
import { discardAbandoned, openPartial } from "./partial-file.ts";
import type { PartialFile, WriteChunk } from "./partial-file.ts";
import { otherFile, transfer } from "./transfer.ts";
import type { KeepOptions } from "./transfer.ts";

/** A file to download. */
export interface Downloadable {
  readonly url: string;
  /** Checksum of the file, where its source publishes one. */
  readonly checksum?: Checksum | undefined;
}

/**
 * Options of a download: how it is transferred, and where it is cached. What an interrupted transfer has
 * received is kept for the next time.
 */
export interface DownloadOptions extends CacheFolderOptions, KeepOptions {}

/** A file in the cache, verified to be unchanged since its download. */
export interface CachedFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Whether it has just been downloaded. */
  readonly downloaded: boolean;
  /** What it was verified against: its source's checksum, or only the hash of the first download. */
  readonly checkedBy: "published checksum" | "first download";
}

// The record beside each cached file.
interface CacheRecord {
  readonly url: string;
  readonly sha256: string;
  readonly bytes: number;
}

const recordOf = (path: string): string => `${path}.json`;

async function writeRecord(path: string, record: CacheRecord): Promise<void> {
  const temporary = `${recordOf(path)}.${randomBytes(6).toString("hex")}.tmp`;
  await writeFile(temporary, `${JSON.stringify(record, null, 2)}\n`);
  await rename(temporary, recordOf(path));
}

type Hashes = { readonly sha256: string; readonly md5: string | undefined; readonly bytes: number };

async function hashFile(path: string, { md5 }: { readonly md5: boolean }): Promise<Hashes> {
  const hashes = { sha256: createHash("sha256"), md5: md5 ? createHash("md5") : undefined };
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>) {
    hashes.sha256.update(chunk);
    hashes.md5?.update(chunk);
    bytes += chunk.length;
  }
  return { sha256: hashes.sha256.digest("hex"), md5: hashes.md5?.digest("hex"), bytes };
}

const fits = (hashes: Hashes, { algorithm, prefix }: Checksum): boolean =>
  hashes[algorithm]?.startsWith(prefix) === true;

// Files in this project's formats state themselves what they are.
const OWN_FORMATS = /\.(safetensors|index\.json)$/i;

/**
 * Finds the catalog's model whose published file this is, by its checksum; undefined for any other file, and
 * for files in this project's own formats.
 */
export async function fileInCatalog(path: string): Promise<CatalogEntry | undefined> {
  if (OWN_FORMATS.test(path)) return undefined;
  const hashes = await hashFile(path, { md5: true });
  return catalog.find(({ checksum }) => checksum !== undefined && fits(hashes, checksum));
}

/** Tells whether `url` is in the cache, or is a local file; its bytes are verified when it is used. */
export async function isCached(url: string, options: CacheFolderOptions = {}): Promise<boolean> {
  return (
    (
      await stat(isFile(url) ? fileURLToPath(url) : cachedPath(url, options)).catch(() => undefined)
    )?.isFile() === true
  );
}

// Files that come with a package are not downloaded.
const isFile = (url: string): boolean => url.startsWith("file:");

async function installed({ url, checksum }: Downloadable): Promise<CachedFile> {
  const path = fileURLToPath(url);
  const hashes = await hashFile(path, { md5: checksum?.algorithm === "md5" }).catch((cause: unknown) => {
    throw new WeightsError(
      `${path}: the weights can't be read: ${(cause as Error).message}. Install the package they come with again.`,
      { cause },
    );
  });
  if (checksum !== undefined && !fits(hashes, checksum)) {
    throw new WeightsError(
      `${path}: its ${checksum.algorithm} must begin with ${checksum.prefix}, got ${hashes[checksum.algorithm]!.slice(0, checksum.prefix.length)}. The file has changed: install the package it comes with again.`,
    );
  }
  return {
    path,
    bytes: hashes.bytes,
    sha256: hashes.sha256,
    downloaded: false,
    checkedBy: checkedBy(checksum),
  };
}

const checkedBy = (checksum: Checksum | undefined): CachedFile["checkedBy"] =>
  checksum === undefined ? "first download" : "published checksum";

// Returns the cached file when it matches its source's checksum and its first download. The record beside it
// may be as wrong as the file, and a date says nothing about the bytes, so they are hashed: SHA-256 takes 0.3
// s for 200 MB, MD5 0.7 s.
async function lookUp(
  { url, checksum }: Downloadable,
  path: string,
): Promise<CachedFile | "damaged" | undefined> {
  const state = await stat(path).catch(() => undefined);
  if (state === undefined) return undefined;
  if (!state.isFile()) return "damaged";
  const record = await readStringRecord(recordOf(path), ["sha256"]);
  const hashes = await hashFile(path, { md5: checksum?.algorithm === "md5" });
  // Without a record the file was put there by hand.
  const isAsItCame = record === undefined || (record !== "damaged" && record.sha256 === hashes.sha256);
  if (checksum === undefined ? !isAsItCame : !fits(hashes, checksum)) return "damaged";
  if (!isAsItCame || record === undefined)
    await writeRecord(path, { url, sha256: hashes.sha256, bytes: hashes.bytes }).catch(() => {});
  return {
    path,
    bytes: hashes.bytes,
    sha256: hashes.sha256,
    downloaded: false,
    checkedBy: checkedBy(checksum),
  };
}

/**
 * Returns the file of a URL: from the cache, else downloaded into it. An interrupted download continues where
 * it stopped, in another process too. A file appears under its name only when it is complete and matches the
 * checksum that its source publishes, which is verified on every use. Where none is published, the SHA-256 of
 * the first download is stored beside the file instead (`checkedBy` tells which). A file that has changed is
 * downloaded again; what a power cut damaged is discarded. Several processes may do this concurrently. A
 * file: URL is verified and returned as it is.
 *
 * @throws WeightsError naming URL or file: offline and not cached (or damaged), refused, different from what
 * its source published or from the first download, no disk space. What an interrupted download has received
 * is kept.
 */
export async function downloadFile(
  file: Downloadable,
  options: DownloadOptions = {},
  write?: WriteChunk,
): Promise<CachedFile> {
  const { offline = false, redownload = false, signal } = options;
  signal?.throwIfAborted();
  if (isFile(file.url)) return installed(file);
  const path = cachedPath(file.url, options);
  const cached = redownload ? undefined : await lookUp(file, path);
  if (typeof cached === "object") return cached;
  if (offline) {
    throw new WeightsError(
      cached === "damaged" ?
        `${path}: the cached file has changed since it was downloaded, and offline it can't be replaced. Go online, or put an undamaged copy of ${file.url} there and delete ${recordOf(path)}.`
      : `${file.url}: is not in the cache (${path}), and offline nothing is downloaded. Go online once, or put the file there.`,
    );
  }
  try {
    await mkdir(dirname(path), { recursive: true });
    return await bring(file, path, options, write);
  } catch (error) {
    throw readable(error, path);
  }
}

async function bring(
  file: Downloadable,
  path: string,
  options: DownloadOptions,
  write: WriteChunk | undefined,
): Promise<CachedFile> {
  const fetch = options.fetch ?? (await nodeFetch());
  const partial = await openPartial(path, file.url, write);
  try {
    const first =
      file.checksum === undefined && options.redownload !== true ?
        await readStringRecord(recordOf(path), ["sha256"])
      : undefined;
    const kept = typeof first === "object" ? first.sha256 : undefined;
    const wanted: Checksum | undefined =
      file.checksum ?? (kept === undefined ? undefined : { algorithm: "sha256", prefix: kept });
    for (let resumed = partial.length > 0; ; resumed = false) {
      await transfer(file.url, partial, {
        ...options,
        fetch,
        onTotal: (total) => assertRoom(path, total - partial.length),
      });
      await partial.flush();
      const hashes = await hashFile(partial.data, { md5: wanted?.algorithm === "md5" });
      if (wanted === undefined || fits(hashes, wanted)) {
        await writeRecord(path, { url: file.url, sha256: hashes.sha256, bytes: hashes.bytes });
        await settle(partial, path);
        await discardAbandoned(path).catch(() => {}); // another process may be using it
        return {
          path,
          bytes: hashes.bytes,
          sha256: hashes.sha256,
          downloaded: true,
          checkedBy: checkedBy(file.checksum),
        };
      }
      // The part from an earlier time may be the wrong one.
      await partial.restart(undefined);
      if (!resumed)
        throw otherFile(file.url, wanted, hashes[wanted.algorithm]!, {
          isPublished: file.checksum !== undefined,
        });
    }
  } finally {
    await partial.release();
  }
}

// Windows refuses to replace a file that another process is reading: that file is then as good.
async function settle(partial: PartialFile, path: string): Promise<void> {
  try {
    await partial.become(path);
  } catch (error) {
    if ((await stat(path).catch(() => undefined))?.isFile() !== true) throw error;
  }
}

async function assertRoom(path: string, needed: number): Promise<void> {
  const disk = await statfs(dirname(path)).catch(() => undefined);
  if (disk === undefined || disk.bsize * disk.bavail >= needed) return;
  throw Object.assign(
    new Error(`${megabytes(needed)} are needed, ${megabytes(disk.bsize * disk.bavail)} are free`),
    { code: "ENOSPC" },
  );
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;

/** Removes a file and its record from the cache. */
export async function forget(url: string, options: CacheFolderOptions = {}): Promise<void> {
  const path = cachedPath(url, options);
  await rm(path, { force: true });
  await rm(recordOf(path), { force: true });
}

const troubles: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOTDIR: "a part of the path is a file, not a folder",
  EEXIST: "a part of the path is a file, not a folder",
};

// Turns errors of the file system into advice. Aborts and this project's errors are returned unchanged.
function readable(error: unknown, path: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  const trouble = !isMrcnnError(error) && code !== undefined ? troubles[code] : undefined;
  if (trouble === undefined) return error;
  const detail = /^\d+ MB/.test(message) ? ` (${message})` : "";
  return new WeightsError(
    `${path}: ${trouble}${detail}. Free some space there, or choose another folder (cacheDir, or the environment variable MRCNN_CACHE).`,
    { cause: error },
  );
}
