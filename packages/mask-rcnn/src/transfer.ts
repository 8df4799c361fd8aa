/** Transfers a file over HTTP, with retries and continuation after an interruption. */
import { WeightsError } from "@mrcnn/core";
import type { Checksum } from "./catalog.ts";

/** Progress of a download. */
export interface DownloadProgress {
  readonly url: string;
  /** Bytes received, including those of an earlier, interrupted transfer. */
  readonly bytes: number;
  /** Size of the whole file in bytes, when the server states it. */
  readonly total: number | undefined;
  /** Bytes per second over the last five seconds. */
  readonly rate: number;
}

/** The part of `fetch` that is used; a test or a proxy supplies its own. */
export type Fetch = (
  url: string,
  init: { headers: Record<string, string>; signal: AbortSignal; redirect: "follow" },
) => Promise<Response>;

/** Collects the bytes of one file. Its content may outlive the process. */
export interface Sink {
  /** Number of bytes collected. */
  readonly length: number;
  /** The strong ETag or date under which those bytes were received; without one they can't be continued. */
  readonly validator: string | undefined;
  /** Discards the bytes and begins anew. */
  restart(validator: string | undefined): Promise<void>;
  append(chunk: Uint8Array): Promise<void>;
}

/** Options of a transfer that callers may set. */
export interface FetchOptions {
  /** Cancels the transfer. */
  readonly signal?: AbortSignal | undefined;
  /** Called while bytes are received. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /**
   * Replaces the runtime's own fetch. Default: that of the runtime; in Node through the proxies of the
   * environment.
   */
  readonly fetch?: Fetch | undefined;
  /** Number of attempts after the first, without progress in between. Default 4. */
  readonly retries?: number | undefined;
  /** Wait before the first of these attempts, doubled each time. Default 500 ms. */
  readonly backoffMs?: number | undefined;
  /** Time without data after which a transfer is interrupted. Default 30 s. */
  readonly idleMs?: number | undefined;
}

/** Options of a download into a cache. */
export interface KeepOptions extends FetchOptions {
  /** Downloads nothing: a file that is not in the cache is an error. Default false. */
  readonly offline?: boolean | undefined;
  /** Replaces the cached file by a new download. Default false. */
  readonly redownload?: boolean | undefined;
}

/** Options of `transfer`. */
export interface TransferOptions extends FetchOptions {
  readonly fetch: Fetch;
  /** Called once the size is known, before any bytes are received: the place to check for disk space. */
  readonly onTotal?: (total: number) => Promise<void>;
  /**
   * Continues an interrupted transfer where it stopped; false where these headers may not be sent. Default
   * true.
   */
  readonly resume?: boolean | undefined;
}

// Temporary failures of the network or the server, which are worth another attempt.
class Passing extends Error {
  readonly afterMs: number;
  constructor(message: string, { afterMs = 0, ...options }: ErrorOptions & { afterMs?: number } = {}) {
    super(message, options);
    this.afterMs = afterMs;
  }
}

const LONGEST_WAIT_MS = 30_000;

/**
 * Transfers the whole of `url` into `sink`. An interrupted transfer continues where it stopped (Range with
 * If-Range) as long as the server says that the file is the same; when a server sends anything else than was
 * requested, the transfer begins anew. An attempt that gets further than all before resets the number of
 * attempts.
 *
 * @returns the number of bytes.
 * @throws WeightsError naming the URL when the server refuses, sends a page instead of a file, or when no
 * attempt succeeds; what the sink throws; the signal's reason.
 */
export async function transfer(url: string, sink: Sink, options: TransferOptions): Promise<number> {
  const { signal, retries = 4, backoffMs = 500 } = options;
  let left = retries;
  let most = sink.length;
  for (let wait = backoffMs; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    try {
      return await attempt(url, sink, options);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Passing)) throw error;
      if (sink.length > most) {
        most = sink.length;
        left = retries;
        wait = backoffMs;
      } else if (left-- === 0) {
        throw new WeightsError(
          `${url}: ${error.message} ${retries + 1} tries did not get it; try again later${sink.length > 0 ? `, ${sink.length} bytes are kept` : ""}.`,
          { cause: error },
        );
      }
      await sleep(Math.max(wait, error.afterMs), signal);
    }
  }
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal!.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Aborts after a time without activity, or when the caller does. */
function watchdog(
  idleMs: number,
  outer: AbortSignal | undefined,
): { signal: AbortSignal; alive(): void; release(): void } {
  const controller = new AbortController();
  const passOn = (): void => controller.abort(outer!.reason);
  if (outer?.aborted === true) passOn();
  else outer?.addEventListener("abort", passOn, { once: true });
  let timer: ReturnType<typeof setTimeout>;
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(
      () => controller.abort(new Passing(`the server sent nothing for ${idleMs / 1000} s.`)),
      idleMs,
    );
  };
  alive();
  return {
    signal: controller.signal,
    alive,
    release() {
      clearTimeout(timer);
      outer?.removeEventListener("abort", passOn);
    },
  };
}

// Only strong validators are allowed in If-Range; a weak ETag says too little.
function validatorOf(headers: Headers): string | undefined {
  const etag = headers.get("etag");
  if (etag !== null && !etag.startsWith("W/")) return etag;
  return headers.get("last-modified") ?? undefined;
}

async function attempt(url: string, sink: Sink, options: TransferOptions): Promise<number> {
  const { idleMs = 30_000, signal, onTotal, resume = true } = options;
  signal?.throwIfAborted();
  const dog = watchdog(idleMs, signal);
  try {
    const held = resume && sink.length > 0 && sink.validator !== undefined ? sink.length : 0;
    const range: Record<string, string> =
      held > 0 ? { range: `bytes=${held}-`, "if-range": sink.validator! } : {};
    let response: Response;
    try {
      response = await options.fetch(url, {
        headers: { "accept-encoding": "identity", ...range },
        signal: dog.signal,
        redirect: "follow",
      });
    } catch (error) {
      throw unreached(url, error, dog.signal);
    }
    dog.alive();
    const total = await accept(url, sink, response, held);
    if (total !== undefined) await onTotal?.(total);
    await receive(url, sink, response, { total, dog, options });
    return sink.length;
  } finally {
    dog.release();
  }
}

// Turns an error of fetch into a message. The cause of a TypeError has the network's own words.
function unreached(url: string, error: unknown, signal: AbortSignal): Error {
  if (signal.aborted) return signal.reason as Error;
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const text =
    inner instanceof Error ?
      inner.message || String((inner as { code?: unknown }).code ?? inner.name)
    : String(inner);
  if (/redirect/i.test(text))
    return new WeightsError(`${url}: the server redirects in a circle, or too often. Check the URL.`, {
      cause: error,
    });
  if (/unknown scheme|invalid url|failed to parse url/i.test(text))
    return new WeightsError(`${url}: is no URL that can be fetched (${text}). Check it.`, { cause: error });
  return new Passing(
    `it can't be reached (${text}). Check the network, and HTTPS_PROXY if it needs a proxy.`,
    { cause: error },
  );
}

/**
 * Checks a response's status and headers, and prepares the sink for its body.
 *
 * @returns the size of the whole file, when it is stated.
 */
async function accept(
  url: string,
  sink: Sink,
  response: Response,
  held: number,
): Promise<number | undefined> {
  const { status, headers } = response;
  const discard = (): Promise<void> => response.body?.cancel().catch(() => {}) ?? Promise.resolve();
  if (status === 206 && held > 0) {
    const [, from, to, size] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get("content-range") ?? "") ?? [];
    const length = headers.get("content-length");
    const validator = validatorOf(headers);
    const fits =
      Number(from) === held &&
      (size === "*" || Number(to) < Number(size)) &&
      (length === null || Number(length) === Number(to) - Number(from) + 1) &&
      (validator === undefined || validator === sink.validator);
    if (fits) return size === "*" ? undefined : Number(size);
    await discard();
    await sink.restart(undefined);
    throw new Passing("the server sent another part of the file than was asked for.");
  }
  if (status === 416 && held > 0) {
    await discard();
    // The sink may be complete already: a process that died before it renamed the file.
    if (headers.get("content-range") === `bytes */${held}`) return held;
    await sink.restart(undefined);
    throw new Passing("the server has less of the file than is here already.");
  }
  if (status === 200) {
    const type = headers.get("content-type") ?? "";
    if (/^text\/html|^application\/xhtml/i.test(type)) {
      await discard();
      throw page(url);
    }
    const encoded = headers.get("content-encoding") ?? "identity";
    const length = headers.get("content-length");
    const plain = encoded === "identity" || encoded === "";
    // A decoded body has another length, and can't be continued.
    await sink.restart(plain ? validatorOf(headers) : undefined);
    return plain && length !== null ? Number(length) : undefined;
  }
  await discard();
  const what = `the server answers ${status}${response.statusText === "" ? "" : ` ${response.statusText}`}.`;
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    throw new Passing(what, {
      afterMs: Math.min(LONGEST_WAIT_MS, 1000 * (Number(headers.get("retry-after") ?? 0) || 0)),
    });
  }
  const hint =
    status === 404 || status === 410 ? "The file is gone or the URL is wrong."
    : status === 401 || status === 403 ? "It needs rights that this request does not have."
    : "Check the URL.";
  throw new WeightsError(`${url}: ${what} ${hint}`);
}

const page = (url: string): WeightsError =>
  new WeightsError(
    `${url}: the server sent a web page instead of weights. It may be a login, an error or a proxy's page; open the URL in a browser.`,
  );

// Tells whether a file begins as HTML or XML does. Safetensors, zip, pickle and HDF5 never do.
function isMarkup(start: Uint8Array): boolean {
  const text = new TextDecoder("latin1").decode(start.subarray(0, 512));
  return /^(ï»¿)?\s*<(!doctype|html|head|body|\?xml|!--|error)/i.test(text);
}

async function receive(
  url: string,
  sink: Sink,
  response: Response,
  {
    total: stated,
    dog,
    options,
  }: { total: number | undefined; dog: ReturnType<typeof watchdog>; options: TransferOptions },
): Promise<void> {
  const { onProgress, resume = true } = options;
  let total = stated;
  const rate = rateMeter(sink.length);
  const report = (): void => onProgress?.({ url, bytes: sink.length, total, rate: rate(sink.length) });
  const reader = (response.status === 416 ? undefined : response.body)?.getReader();
  report();
  try {
    while (reader !== undefined) {
      let part: { done: boolean; value?: Uint8Array | undefined };
      try {
        part = await reader.read();
      } catch (error) {
        throw dog.signal.aborted ?
            (dog.signal.reason as Error)
          : new Passing(
              `the transfer broke off after ${sink.length}${total === undefined ? "" : ` of ${total}`} bytes.`,
              { cause: error },
            );
      }
      dog.alive();
      if (part.done || part.value === undefined) break;
      if (sink.length === 0 && isMarkup(part.value)) throw page(url);
      // The encoding is hidden from a page on another origin: the length may be that of compressed bytes.
      if (!resume && total !== undefined && sink.length + part.value.length > total) total = undefined;
      if (total !== undefined && sink.length + part.value.length > total) {
        await sink.restart(undefined);
        throw new Passing(`the server sent more than the ${total} bytes that it said the file has.`);
      }
      await sink.append(part.value);
      report();
    }
  } catch (error) {
    await reader?.cancel().catch(() => {});
    throw error;
  }
  if (sink.length === 0) throw new Passing("the server sent an empty file.");
  if (total !== undefined && sink.length < total)
    throw new Passing(`the transfer ended after ${sink.length} of ${total} bytes.`);
}

/** Makes the error for a file that is complete but differs from the expected one. */
export function otherFile(
  url: string,
  { algorithm, prefix }: Checksum,
  got: string,
  { isPublished }: { readonly isPublished: boolean },
): WeightsError {
  const found = `got ${got.slice(0, prefix.length)}`;
  return new WeightsError(
    isPublished ?
      `${url}: its ${algorithm} must begin with ${prefix}, ${found}. It is not the file that was published, and is not kept; try again, perhaps over another network.`
    : `${url}: its ${algorithm} must be that of the first download, ${prefix}, ${found}. The file at this address has changed since, or what came is damaged: it is not kept. Try again, or redownload to take what is there now.`,
  );
}

// Measures the rate over the last five seconds.
function rateMeter(start: number): (bytes: number) => number {
  const marks = [{ time: performance.now(), bytes: start }];
  return (bytes) => {
    const time = performance.now();
    const last = marks.at(-1)!;
    if (time - last.time > 100) marks.push({ time, bytes });
    while (marks.length > 2 && time - marks[0]!.time > 5000) marks.shift();
    const first = marks[0]!;
    return time > first.time ? ((bytes - first.bytes) / (time - first.time)) * 1000 : 0;
  };
}
