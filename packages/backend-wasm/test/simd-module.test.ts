import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { it } from "vitest";

it("src/simd-module.ts is what assembly/ compiles to", () => {
  execFileSync(
    process.execPath,
    [fileURLToPath(new URL("../tools/assemble.mjs", import.meta.url)), "--check"],
    { stdio: "pipe" },
  );
});
