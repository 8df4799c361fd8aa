import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { backendState } from "./tools/setup/backends.mjs";

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

export default defineConfig({
  test: {
    projects: [
      project("host", [host], [], [ops]),
      ...backends.map((name) => project(name, [ops], [`./packages/testing/src/setup/${name}.ts`])),
    ],
  },
});
