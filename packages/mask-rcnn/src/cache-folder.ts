/** The folder of downloaded files, and the names of the files in it. */
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** Options that select the cache folder. */
export interface CacheFolderOptions {
  /** The cache folder. Default the one that the environment variable MRCNN_CACHE names, else the user's. */
  readonly cacheDir?: string | undefined;
}

const given = (path: string | undefined): string | undefined =>
  path !== undefined && isAbsolute(path) ? path : undefined;

/**
 * Returns the folder of downloaded files: `cacheDir`, else MRCNN_CACHE, else `mrcnn` in the user's cache
 * folder (XDG_CACHE_HOME or ~/.cache; ~/Library/Caches on macOS; %LOCALAPPDATA% on Windows).
 */
export function cacheFolder(
  { cacheDir }: CacheFolderOptions = {},
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const named = cacheDir ?? env["MRCNN_CACHE"];
  if (named !== undefined && named !== "") return named;
  if (platform === "win32")
    return join(given(env["LOCALAPPDATA"]) ?? join(homedir(), "AppData", "Local"), "mrcnn");
  if (platform === "darwin") return join(homedir(), "Library", "Caches", "mrcnn");
  return join(given(env["XDG_CACHE_HOME"]) ?? join(homedir(), ".cache"), "mrcnn");
}

/** Returns the path of `url` once it is downloaded: its file name and a hash of the whole URL. */
export function cachedPath(url: string, options: CacheFolderOptions = {}): string {
  const last = decodeURIComponentSafely(new URL(url).pathname.split("/").at(-1) ?? "");
  const [, stem = "", extension = ""] =
    /^(.*?)((?:\.[A-Za-z0-9]+)?)$/.exec(last.replaceAll(/[^A-Za-z0-9._-]/g, "_")) ?? [];
  const id = createHash("sha256").update(url).digest("hex").slice(0, 10);
  return join(
    cacheFolder(options),
    "weights",
    `${stem.slice(0, 80).replace(/^\.+/, "") || "weights"}-${id}${extension}`,
  );
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
