// The `mrcnn` command, started by mrcnn.mjs. In a checkout it first installs and builds what is missing, as `npm start` does.
import { existsSync, realpathSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { followParent } from "./lifeline.mjs";

followParent();

// Who reads a pipe may have seen enough: `mrcnn models | head -1`. What is said to nobody is no error.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

const checkout = new URL("../../../tools/bootstrap.mjs", import.meta.url);
try {
  if (existsSync(checkout)) {
    (await import(checkout.href)).bootstrap();
    // `npm run mrcnn` starts scripts in the checkout; paths are meant from where the user stands.
    const { npm_lifecycle_event: script, INIT_CWD: caller } = process.env;
    const root = realpathSync(fileURLToPath(new URL("../../..", import.meta.url)));
    if (
      script === "mrcnn" &&
      caller !== undefined &&
      existsSync(caller) &&
      realpathSync(process.cwd()) === root
    )
      process.chdir(caller);
  }
  const { createProcessTerminal, main } = await import("../dist/index.js");
  const terminal = createProcessTerminal();
  // A full disk is heard of only after the write.
  process.on("exit", (code) => {
    if (terminal.failure === undefined) return;
    if (code === 0) process.exitCode = 1;
    try {
      writeSync(2, `error: ${terminal.failure}\n`);
    } catch {
      // Nobody is left to tell.
    }
  });
  process.exitCode = await main(process.argv.slice(2), terminal);
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error?.code === "ERR_MODULE_NOT_FOUND")
    process.stderr.write("The command is not built. Run `npm run build` (or `npm start`) first.\n");
  process.exitCode = 1;
}
