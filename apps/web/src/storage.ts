/** What downloads have left on this device: the cache that @mrcnn/mask-rcnn keeps. */
const CACHE = "mrcnn-weights";

/** A kept file. */
export interface KeptFile {
  readonly url: string;
  readonly bytes: number;
}

// Not there in insecure pages and some private windows.
async function openCache(): Promise<Cache | undefined> {
  try {
    return (await globalThis.caches.has(CACHE)) ? await globalThis.caches.open(CACHE) : undefined;
  } catch {
    return undefined;
  }
}

/** The weights that are kept, parts of cut downloads included. */
export async function keptFiles(): Promise<KeptFile[]> {
  const cache = await openCache();
  const requests = (await cache?.keys()) ?? [];
  return Promise.all(
    requests.map(async (request) => ({
      url: request.url,
      bytes: Number((await cache!.match(request))?.headers.get("content-length") ?? 0),
    })),
  );
}

/** Forgets them all. */
export async function clearKept(): Promise<void> {
  try {
    await globalThis.caches.delete(CACHE);
  } catch {
    // There was none.
  }
}
