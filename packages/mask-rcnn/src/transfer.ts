import { WeightsError } from "@mrcnn/core";
import type { Checksum } from "./catalog.ts";

/** How far a download is. */
export interface DownloadProgress {
  readonly url: string;
  /** Bytes that are here, those of an earlier, cut transfer included. */
  readonly bytes: number;
  /** Bytes of the whole file, when the server says. */
  readonly total: number | undefined;
  /** Bytes per second over the last seconds. */
  readonly rate: number;
}

/** The part of `fetch` that is used; a test or a proxy gives its own. */
export type Fetch = (
  url: string,
  init: { headers: Record<string, string>; signal: AbortSignal; redirect: "follow" },
) => Promise<Response>;

/** Where the bytes of one file gather. What it holds may outlive the process. */
export interface Sink {
  /** How much is there. */
  readonly length: number;
  /** The strong ETag or date under which those bytes came; without one they can't be added to. */
  readonly validator: string | undefined;
  /** Begins anew, with nothing. */
  restart(validator: string | undefined): Promise<void>;
  append(chunk: Uint8Array): Promise<void>;
}

/** What whoever asks for a file may say of how it comes. */
export interface FetchOptions {
  /** Stops it. */
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes come. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** In place of the runtime's own; Node's goes through the proxies of the environment. */
  readonly fetch?: Fetch | undefined;
  /** Tries after the first, without progress in between. Default 4. */
  readonly retries?: number | undefined;
  /** Wait before the first of them, doubled each time. Default 500 ms. */
  readonly backoffMs?: number | undefined;
  /** A transfer that brings nothing for so long is cut. Default 30 s. */
  readonly idleMs?: number | undefined;
}

/** How a file is brought and kept. */
export interface KeepOptions extends FetchOptions {
  /** Nothing is downloaded: what is not in the cache is an error. Default false. */
  readonly offline?: boolean | undefined;
  /** The cached file is not used but replaced. Default false. */
  readonly redownload?: boolean | undefined;
}

/** How a transfer is carried out. */
export interface TransferOptions extends FetchOptions {
  readonly fetch: Fetch;
  /** Called once the size is known, before bytes come: the place to look for room. */
  readonly onTotal?: (total: number) => Promise<void>;
  /** Whether a cut transfer may go on where it stopped; false where these headers may not be sent. Default true. */
  readonly resume?: boolean | undefined;
}

// What a second try may mend: the network's and the server's passing troubles.
class Passing extends Error {
  readonly afterMs: number;
  constructor(message: string, { afterMs = 0, ...options }: ErrorOptions & { afterMs?: number } = {}) {
    super(message, options);
    this.afterMs = afterMs;
  }
}

const LONGEST_WAIT_MS = 30_000;

/**
 * Brings the whole of `url` into `sink`. A cut transfer goes on where it stopped (Range with If-Range)
 * as long as the server says that the file is the same; a server that sends something else than was
 * asked for makes it begin anew. A try that came further than all before renews the number of tries.
 *
 * @returns the number of bytes.
 * @throws WeightsError, naming the URL, when the server refuses, sends a page instead of a file, or when
 * no try gets through; what the sink throws; the signal's reason.
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

/** Aborts when nothing happened for a while, or when the caller says so. */
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

// Only such a one may stand in If-Range; a weak ETag says too little.
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

// What fetch throws, as something to say. A TypeError's cause has the network's own words.
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
 * Looks at an answer's status and headers, and readies the sink for its body.
 *
 * @returns the size of the whole file, when it is said.
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
    // All of it may be here already: a process that died before it renamed the file.
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
    // A decoded body has another length, and no place to go on at.
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

// Whether a file begins as HTML or XML does. Safetensors, zip, pickle and HDF5 never do.
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
      // Another origin's encoding is hidden from a page: the length may be that of compressed bytes.
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

/** The error for a file that came whole and is another than it must be. */
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

// Over the last five seconds.
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
