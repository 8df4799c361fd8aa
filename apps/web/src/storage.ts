/** The downloaded weights on this device, in the cache of @mrcnn/mask-rcnn. */

/** Name of the cache. */
const CACHE = "mrcnn-weights";

/** A cached file. */
export interface KeptFile {
  readonly url: string;
  readonly bytes: number;
}

// Cache Storage is missing in insecure pages and some private windows.
async function openCache(): Promise<Cache | undefined> {
  try {
    return (await globalThis.caches.has(CACHE)) ? await globalThis.caches.open(CACHE) : undefined;
  } catch {
    return undefined;
  }
}

/** Lists the cached weights, including parts of interrupted downloads. */
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

/** Deletes all cached weights. */
export async function clearKept(): Promise<void> {
  try {
    await globalThis.caches.delete(CACHE);
  } catch {
    // There was no cache.
  }
}
