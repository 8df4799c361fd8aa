import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { playwright } from "@vitest/browser-playwright";
import { backendState } from "./tools/setup/backends.mjs";
import { findChromium, gpuArguments, notInPage } from "./tools/setup/chromium.mjs";

// `*.op.test.ts` is a suite that every backend must pass; any other test needs no device and runs once.
const ops = "{packages,apps}/*/test/**/*.op.test.ts";
const host = "{packages,apps,tools}/**/test/**/*.test.ts";
const conditions = ["@mrcnn/source", "node", "import", "module", "default"];

const shared = {
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ["node", "import", "default"] } },
};
const project = (name: string, include: string[], setup: string[], exclude: string[] = []) => ({
  ...shared,
  test: {
    name,
    include,
    exclude: ["**/node_modules/**", "**/dist/**", ...exclude],
    setupFiles: setup,
    pool: "forks" as const,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
const backends = ["cpu", "wasm", "tensorflow", "webgpu"].filter(
  (name) => existsSync(`packages/testing/src/setup/${name}.ts`) && backendState(name).available,
);

// The same suites in pages of one Chromium, which compile their shaders once.
const chromium = (executablePath: string) => ({
  resolve: {
    conditions: ["@mrcnn/source", "browser", "import", "module", "default"],
    alias: { "node:fs": `${import.meta.dirname}/packages/testing/src/setup/files-of-page.ts` },
  },
  // Or they are found one after the other, and the page is loaded anew each time.
  optimizeDeps: { include: ["@tensorflow/tfjs", "@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-webgpu"] },
  test: {
    ...project(
      "chromium",
      [ops],
      ["./packages/testing/src/setup/chromium.ts"],
      Object.values(notInPage)
        .flat()
        .map((start) => (start.endsWith("/") ? `${start}**` : `${start}*`)),
    ).test,
    isolate: false,
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions: { executablePath, args: gpuArguments } }),
      instances: [{ browser: "chromium" as const }],
    },
  },
});
const { path: executablePath } = findChromium();

export default defineConfig({
  test: {
    projects: [
      project("host", [host], [], [ops]),
      ...backends.map((name) => project(name, [ops], [`./packages/testing/src/setup/${name}.ts`])),
      ...(executablePath === undefined ? [] : [chromium(executablePath)]),
    ],
  },
});
