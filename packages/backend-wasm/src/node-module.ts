/** Loads Node's own modules, unseen by bundlers. */

/**
 * Loads a module of Node. Written so that bundlers for pages, which must not resolve it, ignore it; call it
 * only in Node.
 */
export async function nodeModule(name: "node:os"): Promise<typeof import("node:os")>;
export async function nodeModule(name: "node:worker_threads"): Promise<typeof import("node:worker_threads")>;
export async function nodeModule(name: string): Promise<unknown> {
  return import(/* webpackIgnore: true */ /* @vite-ignore */ name);
}

export const inNode = (): boolean => typeof process !== "undefined" && process.versions?.node !== undefined;
