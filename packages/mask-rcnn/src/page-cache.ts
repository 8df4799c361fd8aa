/** Downloads files into a page's Cache Storage, and verifies them. */
import { WeightsError } from "@mrcnn/core";
import type { Checksum } from "./catalog.ts";
import { createMemorySink } from "./memory-sink.ts";
import type { MemorySink } from "./memory-sink.ts";
import { otherFile, transfer } from "./transfer.ts";
import type { Fetch, KeepOptions } from "./transfer.ts";

/** Options of a download in a page. */
export type PageDownloadOptions = KeepOptions;

const CACHE = "mrcnn-weights";
const HASH = "x-sha256";

// Cache Storage is missing in insecure pages and some private windows; the page works without it.
async function openCache(): Promise<Cache | undefined> {
  try {
    return await globalThis.caches?.open(CACHE);
  } catch {
    return undefined;
  }
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string | undefined> {
  const digest = await globalThis.crypto?.subtle?.digest("SHA-256", bytes);
  return digest === undefined ? undefined : (
      [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
    );
}

// Bypasses the browser's own cache: one copy is enough.
const pageFetch: Fetch = (url, init) => fetch(url, { ...init, cache: "no-store" });

// Headers beyond the simple ones make a browser ask another origin's server for permission first, which may
// refuse.
const isOwnOrigin = (url: string): boolean =>
  globalThis.location === undefined || new URL(url).origin === globalThis.location.origin;

const isAsLong = ({ headers }: Response, bytes: Uint8Array): boolean =>
  Number(headers.get("content-length") ?? bytes.length) === bytes.length;

// The part of an interrupted download is kept beside the complete files, under a URL of its own.
const partOf = (url: string): string => `${url}${new URL(url).search === "" ? "?" : "&"}mrcnn-part`;
const VALIDATOR = "x-validator";

async function takePart(cache: Cache | undefined, url: string, sink: MemorySink): Promise<void> {
  const part = await cache?.match(partOf(url));
  const validator = part?.headers.get(VALIDATOR);
  if (part === undefined || validator === undefined || validator === null) return;
  const bytes = new Uint8Array(await part.arrayBuffer());
  if (!isAsLong(part, bytes)) return;
  await sink.restart(validator);
  await sink.append(bytes);
}

async function keepPart(cache: Cache | undefined, url: string, sink: MemorySink): Promise<void> {
  if (sink.length === 0 || sink.validator === undefined) return;
  try {
    await cache?.put(
      partOf(url),
      new Response(sink.bytes(), {
        headers: { "content-length": String(sink.length), [VALIDATOR]: sink.validator },
      }),
    );
  } catch {
    // No room: the next download begins anew.
  }
}

/**
 * Returns the bytes of a URL: from the page's Cache Storage, else downloaded into it. An interrupted download
 * continues where it stopped the next time, after a reload too; from another origin, whose server would have
 * to allow it, it begins anew. Cached bytes are verified on every use where the page is secure (https or
 * localhost): they must match the SHA-256 that their source publishes, and that of the first download, which
 * is the only check where the source publishes nothing or an MD5, which pages can't compute. Bytes that don't
 * match are downloaded again.
 *
 * @throws WeightsError naming the URL: offline and not cached (or damaged), refused, or different from what
 * its source published or from the first download; the signal's reason.
 */
export async function downloadInPage(
  url: string,
  checksum: Checksum | undefined,
  options: PageDownloadOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { offline = false, redownload = false, signal, fetch: given = pageFetch } = options;
  signal?.throwIfAborted();
  const cache = await openCache();
  const kept = redownload ? undefined : await cache?.match(url);
  const published = checksum?.algorithm === "sha256" ? checksum : undefined;
  if (kept !== undefined) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    const hash = await sha256(bytes);
    const isWhole =
      hash === undefined ||
      (hash.startsWith(published?.prefix ?? "") && hash === (kept.headers.get(HASH) ?? hash));
    if (isWhole && isAsLong(kept, bytes)) return bytes;
  }
  if (offline) {
    throw new WeightsError(
      `${url}: ${kept === undefined ? "is not" : "is damaged"} in the page's cache, and offline nothing is downloaded. Load it online once.`,
    );
  }
  const first = kept?.headers.get(HASH);
  const wanted =
    published ??
    (first === undefined || first === null ? undefined : ({ algorithm: "sha256", prefix: first } as const));

  const sink = createMemorySink();
  const resume = isOwnOrigin(url);
  if (resume && !redownload) await takePart(cache, url, sink);
  let bytes: Uint8Array<ArrayBuffer>;
  let hash: string | undefined;
  for (let resumed = sink.length > 0; ; resumed = false) {
    try {
      await transfer(url, sink, {
        ...options,
        fetch: given,
        resume,
        onTotal: async (total) => sink.reserve(total),
      });
    } catch (error) {
      if (resume) await keepPart(cache, url, sink);
      throw error;
    }
    await cache?.delete(partOf(url));
    bytes = sink.bytes();
    hash = await sha256(bytes);
    if (wanted === undefined || hash === undefined || hash.startsWith(wanted.prefix)) break;
    // The part from an earlier time may be the wrong one.
    if (!resumed) throw otherFile(url, wanted, hash, { isPublished: published !== undefined });
    await sink.restart(undefined);
  }
  try {
    await cache?.put(
      url,
      new Response(bytes, {
        headers: { "content-length": String(bytes.length), ...(hash !== undefined && { [HASH]: hash }) },
      }),
    );
  } catch {
    // No room: the file is downloaded again another time.
  }
  return bytes;
}

/** Tells whether `url` is in the page's cache. */
export async function isCachedInPage(url: string): Promise<boolean> {
  return (await (await openCache())?.match(url)) !== undefined;
}

/** Removes `url` from the page's cache, and the part of an interrupted download of it. */
export async function forgetInPage(url: string): Promise<void> {
  const cache = await openCache();
  await cache?.delete(url);
  await cache?.delete(partOf(url));
}
