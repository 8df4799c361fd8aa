/** Reader of golden fixtures. */
import { readFileSync } from "node:fs";

/**
 * Reads a fixture beside a test: `golden(import.meta.url, "nms")` is `test/golden/nms.json`. Every fixture
 * states its `origin`: what computed it, which version, and the script that regenerates it.
 */
export function golden<T>(testUrl: string, name: string): T & { readonly origin: string } {
  const value = JSON.parse(readFileSync(new URL(`golden/${name}.json`, testUrl), "utf8"));
  if (typeof value.origin !== "string") throw new Error(`golden/${name}.json must say its origin`);
  return value;
}
