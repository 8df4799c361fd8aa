/** Node's fetch, with support for proxies. */
import type { Fetch } from "./transfer.ts";

/** Tells whether the environment names a proxy. */
function proxied(env: NodeJS.ProcessEnv): boolean {
  return ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"].some((name) => (env[name] ?? "") !== "");
}

/**
 * Returns Node's fetch, through the proxy that HTTP_PROXY or HTTPS_PROXY names, except for the hosts of
 * NO_PROXY: Node's own fetch ignores these variables.
 */
export async function nodeFetch(env: NodeJS.ProcessEnv = process.env): Promise<Fetch> {
  if (!proxied(env)) return (url, init) => fetch(url, init);
  const undici = await import("undici");
  const dispatcher = quietly(() => new undici.EnvHttpProxyAgent());
  return async (url, init) => (await undici.fetch(url, { ...init, dispatcher })) as unknown as Response;
}

// This version of the agent warns on stderr that it is experimental.
function quietly<T>(make: () => T): T {
  const warn = process.emitWarning;
  process.emitWarning = () => {};
  try {
    return make();
  } finally {
    process.emitWarning = warn;
  }
}
