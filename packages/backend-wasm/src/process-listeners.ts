/**
 * Removes the listeners that the loader of backend "wasm" leaves on Node's `process`: they listen to errors
 * anywhere in the program, and only throw them again.
 */
import { inNode } from "./node-module.ts";

const EVENTS = ["uncaughtException", "unhandledRejection"] as const;
const isLoaders = (listener: unknown): boolean => /ExitStatus|throw reason/.test(String(listener));

/**
 * Records the present listeners. The returned function removes those that a loader has added since: otherwise
 * each start leaves its own.
 */
export function withoutListeners(): () => void {
  if (!inNode()) return () => {};
  const before = EVENTS.map((event) => new Set<unknown>(process.listeners(event as "uncaughtException")));
  return () => {
    for (const [i, event] of EVENTS.entries()) {
      for (const listener of process.listeners(event as "uncaughtException")) {
        if (!before[i]!.has(listener) && isLoaders(listener)) process.off(event, listener);
      }
    }
  };
}
