// @ts-check
/** Shared code of the other tools: the locations of the packages, and what layers.json states about them. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** @param {string} file */
export const readJson = (file) => JSON.parse(readFileSync(join(root, file), "utf8"));

/** "pnpm@10.34.9": the version that wrote the lock file. @returns {string} */
export const packageManager = () => readJson("package.json").packageManager.split("+")[0];

/**
 * @typedef {{ layer: number | string, uses: string[] | "*", tensors?: boolean }} PackageRule
 * @typedef {{ packages: Record<string, PackageRule>, apps: Record<string, { uses: string[] | "*" }> }} Layers
 * @returns {Layers}
 */
export const readLayers = () => readJson("layers.json");

/** Folders of `packages/` or `apps/`. @param {"packages" | "apps"} kind */
export const folders = (kind) =>
  existsSync(join(root, kind)) ?
    readdirSync(join(root, kind))
      .filter((name) => existsSync(join(root, kind, name, "package.json")))
      .toSorted()
  : [];

/**
 * Every file below `folder` whose name ends with `suffix`.
 *
 * @param {string} folder
 * @param {string} suffix
 * @returns {string[]}
 */
export function filesBelow(folder, suffix) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name !== "node_modules" && name !== "dist")
    .flatMap((name) => {
      const path = join(folder, name);
      if (statSync(path).isDirectory()) return filesBelow(path, suffix);
      return path.endsWith(suffix) ? [path] : [];
    });
}
