/** Search for files similar to a missing one: the same name in another form, or in another folder. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { isPictureName } from "./picture-names.ts";

/** A file that may be the one meant. */
export interface NearbyFile {
  readonly path: string;
  /** How its name differs from the requested one, as in "in letter case". */
  readonly differs: string;
}

/**
 * Searches `folder` for files similar to `name`.
 *
 * @returns undefined when there is none.
 */
export type FindNearby = (folder: string, name: string) => NearbyFile | undefined;

const fold = (name: string): string => name.normalize("NFC").toLowerCase();
const stem = (name: string): string => fold(name).replace(/\.[^.]*$/, "");

/**
 * Creates a search that lists each folder once. With `elsewhere`, leading folders of a name may be missing,
 * as in paths of another machine: `C:\data\a.png` is found as `a.png`.
 */
export function createFindNearby({ elsewhere = false }: { readonly elsewhere?: boolean } = {}): FindNearby {
  const listings = new Map<string, { byName: Map<string, string[]>; byStem: Map<string, string[]> }>();
  const list = (folder: string) => {
    let listing = listings.get(folder);
    if (listing === undefined) {
      listing = { byName: new Map(), byStem: new Map() };
      for (const name of entriesOf(folder)) {
        push(listing.byName, fold(name), name);
        if (isPictureName(name)) push(listing.byStem, stem(name), name);
      }
      listings.set(folder, listing);
    }
    return listing;
  };
  // Descends one step: to the name itself, or to the only one that resembles it.
  const step = (folder: string, part: string, isLast: boolean): string | undefined => {
    if (part === "." || part === ".." || exists(join(folder, part))) return part;
    const { byName, byStem } = list(folder);
    const alike =
      byName.get(fold(part)) ?? (isLast && isPictureName(part) ? byStem.get(stem(part)) : undefined);
    return alike?.length === 1 ? alike[0] : undefined;
  };
  const walk = (folder: string, parts: readonly string[]): string[] | undefined => {
    const taken: string[] = [];
    for (const [i, part] of parts.entries()) {
      const next = step(join(folder, ...taken), part, i === parts.length - 1);
      if (next === undefined) return undefined;
      taken.push(next);
    }
    return taken;
  };

  return (folder, name) => {
    for (const spelled of new Set([name, decoded(name)])) {
      const slashes = spelled.replaceAll("\\", "/");
      const parts = slashes.split("/").filter((part) => part !== "");
      for (let skip = 0; skip < (elsewhere ? parts.length : 1); skip++) {
        const wanted = parts.slice(skip);
        const taken = walk(folder, wanted);
        if (taken === undefined || taken.length === 0) continue;
        const path = join(folder, ...taken);
        if (!exists(path, "file")) continue;
        const differs = [
          ...(slashes === spelled ? [] : ["in its backslashes"]),
          ...(spelled === name ? [] : ["in its percent signs"]),
          ...(skip > 0 || (elsewhere && slashes.startsWith("/")) ? ["in its folders"] : []),
          ...(taken.every((part, i) => part === wanted[i]) ? []
          : taken.every((part, i) => part.normalize() === wanted[i]!.normalize()) ?
            ["in the Unicode form of its letters (they look the same)"]
          : taken.every((part, i) => fold(part) === fold(wanted[i]!)) ? ["in letter case"]
          : ["in its ending"]),
        ];
        if (differs.length > 0) return { path, differs: differs.join(" and ") };
      }
    }
    return undefined;
  };
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function exists(path: string, kind?: "file"): boolean {
  try {
    const state = statSync(path, { throwIfNoEntry: false });
    return state !== undefined && (kind === undefined || state.isFile());
  } catch {
    return false; // a name that no file can have
  }
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
