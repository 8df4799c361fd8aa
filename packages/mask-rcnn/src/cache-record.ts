/**
 * Reader of the small JSON files that the cache keeps beside its files, any of which a power cut may have
 * damaged.
 */
import { readFile } from "node:fs/promises";

/**
 * Reads the fields of a JSON object that must be text. Absent fields are undefined.
 *
 * @returns "damaged" for a file that exists but holds no such object.
 */
export async function readStringRecord<const Key extends string>(
  path: string,
  keys: readonly Key[],
): Promise<{ readonly [K in Key]: string | undefined } | "damaged" | undefined> {
  try {
    const value = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown> | null;
    const isFine =
      typeof value === "object" &&
      value !== null &&
      keys.every((key) => value[key] === undefined || typeof value[key] === "string");
    return isFine ?
        (Object.fromEntries(keys.map((key) => [key, value[key]])) as { [K in Key]: string | undefined })
      : "damaged";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : "damaged";
  }
}
