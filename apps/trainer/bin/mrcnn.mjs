#!/usr/bin/env node
// The `mrcnn` command. In a checkout it first installs and builds what is missing, as `npm start` does.
import { existsSync } from "node:fs";

// Who reads a pipe may have seen enough: `mrcnn models | head`.
process.stdout.on("error", (error) => process.exit(/** @type {NodeJS.ErrnoException} */ (error).code === "EPIPE" ? 0 : 1));

const checkout = new URL("../../../tools/bootstrap.mjs", import.meta.url);
try {
  if (existsSync(checkout)) (await import(checkout.href)).bootstrap();
  const { main } = await import("../dist/index.js");
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error?.code === "ERR_MODULE_NOT_FOUND") process.stderr.write("The command is not built. Run `npm run build` (or `npm start`) first.\n");
  process.exitCode = 1;
}
