/** Registers the service worker that keeps the site available offline. */

const TRIED = "mrcnn-isolation-tried";

/**
 * Keeps the site on the device. Where the host sends no headers of cross-origin isolation the service worker
 * adds them, for which the page must be reloaded once: that is done while `isIdle`.
 */
export async function keepOffline(isIdle: () => boolean): Promise<void> {
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register("./service-worker.js");
    if (globalThis.crossOriginIsolated || sessionStorage.getItem(TRIED) !== null) return;
    await navigator.serviceWorker.ready;
    sessionStorage.setItem(TRIED, "yes");
    if (isIdle()) location.reload();
  } catch {
    // Service workers are missing in insecure pages and some private windows; the page works without them.
  }
}
