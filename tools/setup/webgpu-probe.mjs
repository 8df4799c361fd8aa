// @ts-check
/**
 * Exits with 0 when backend "webgpu" starts in Node here, and writes the name of its adapter to stdout; see
 * backends.mjs.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "../workspace.mjs";

const { startWebgpu } = await import(
  createRequire(join(root, "packages", "testing", "package.json")).resolve("@mrcnn/backend-webgpu/node")
);
try {
  const { description, isSoftware } = await startWebgpu();
  console.log(`${description}${isSoftware ? " (software)" : ""}`);
  process.exit(0);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
