/**
 * The service worker: keeps the site on the device, so that it works without a network.
 *
 * It also lets the site use threads where the host does not send the headers of cross-origin isolation.
 * Weights are not cached here, but in the cache of @mrcnn/mask-rcnn.
 */
import { contentSecurityPolicy } from "./content-security-policy.ts";

/** The members of the service worker's global scope that are used here. */
interface Scope {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(
    type: "install" | "activate",
    listener: (event: { waitUntil(work: Promise<unknown>): void }) => void,
  ): void;
  addEventListener(
    type: "fetch",
    listener: (event: { readonly request: Request; respondWith(response: Promise<Response>): void }) => void,
  ): void;
}
const scope = globalThis as unknown as Scope;

/** The site's files and a hash of them all, inserted by the build. */
declare const SITE: { readonly version: string; readonly files: readonly string[] };

const PREFIX = "mrcnn-site-";
const cacheName = PREFIX + SITE.version;
const urlOf = (file: string): string => new URL(file, scope.registration.scope).href;
const kept = new Set(SITE.files.map(urlOf));
const start = urlOf("./");

scope.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(cacheName);
      await cache.addAll([start, ...kept].map((url) => new Request(url, { cache: "no-cache" })));
      await scope.skipWaiting();
    })(),
  );
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== cacheName);
      await Promise.all(old.map((name) => caches.delete(name)));
      await scope.clients.claim();
    })(),
  );
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = request.url.split("#")[0]!.split("?")[0]!;
  if (request.method !== "GET" || !url.startsWith(scope.registration.scope)) return;
  const isPage = request.mode === "navigate" && (url === start || url === urlOf("index.html"));
  if (!isPage && !kept.has(url)) return;
  event.respondWith(
    (async () => {
      const cache = await caches.open(cacheName);
      const response = (await cache.match(isPage ? start : url)) ?? (await fetch(request));
      return isolated(response);
    })(),
  );
});

// Pages, workers and everything they load need these headers. A worker's policy is that of its own script's
// headers.
function isolated(response: Response): Response {
  const headers = new Headers(response.headers);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  headers.set("cross-origin-resource-policy", "same-origin");
  headers.set("content-security-policy", contentSecurityPolicy);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
