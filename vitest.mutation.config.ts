// The suites that `npm run mutate` runs: those of the folder whose lines are broken, on WebAssembly, in one process.
import { defineConfig } from "vitest/config";

const conditions = ["@mrcnn/source", "node", "import", "module", "default"];
const room = process.env["MUTATED_ROOM"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ["node", "import", "default"] } },
  test: {
    include: [`${room}/test/${process.env["MUTATED_TESTS"]}`],
    // These start processes of what is built, or need an adapter: no broken line reaches them.
    exclude: [
      "**/node_modules/**",
      "**/dist/**",
      "apps/trainer/test/{webgpu-training,signals,quiet}.test.ts",
      "packages/datasets/test/loader.test.ts",
    ],
    setupFiles: ["./packages/testing/src/setup/wasm.ts"],
    pool: "forks",
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
