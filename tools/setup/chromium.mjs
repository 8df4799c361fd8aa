// @ts-check
/** Finds the Chromium in which tests of pages run, if there is one. */
import { existsSync } from "node:fs";
import { join } from "node:path";

/** For WebGPU without a GPU: on SwiftShader, the one software adapter that Chromium takes. */
export const gpuArguments = [
  "--no-sandbox",
  "--disable-background-networking",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
];

/**
 * Suites of ops that don't run in a page, as the beginnings of their paths, by the reason.
 *
 * @type {Record<string, string[]>}
 */
export const notInPage = {
  "they are of Node's files and servers": ["apps/", "packages/mask-rcnn/"],
};

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const elsewhere = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/**
 * Chromium or Chrome: that of the environment variable CHROMIUM, else of PATH.
 *
 * @returns {{ path: string, reason?: undefined } | { path?: undefined, reason: string }}
 */
export function findChromium(
  { CHROMIUM, PATH = "" } = /** @type {Record<string, string | undefined>} */ (process.env),
) {
  if (CHROMIUM !== undefined && CHROMIUM !== "")
    return existsSync(CHROMIUM) ?
        { path: CHROMIUM }
      : { reason: `CHROMIUM names ${CHROMIUM}, which does not exist` };
  const folders = PATH.split(process.platform === "win32" ? ";" : ":").filter((folder) => folder !== "");
  const path = [...names.flatMap((name) => folders.map((folder) => join(folder, name))), ...elsewhere].find(
    (one) => existsSync(one),
  );
  return path === undefined ?
      {
        reason:
          "no Chromium is here. To run them: apt-get install chromium, or set CHROMIUM to the path of Chromium or Chrome",
      }
    : { path };
}
