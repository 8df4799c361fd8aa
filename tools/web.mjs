// @ts-check
/**
 * Builds and serves the page: `npm run web` serves it as a host would, with the headers that threads need;
 * `npm run web:build` only builds it, into apps/web/dist. Both install what is missing first. Arguments go to
 * vite: `npm run web -- --port 8080 --host`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { bootstrap } from "./bootstrap.mjs";
import { root } from "./workspace.mjs";

const app = join(root, "apps", "web");
const [action, ...options] = process.argv.slice(2);

/** @param {...string} args */
function run(...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: app, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
const vite = join(app, "node_modules", "vite", "bin", "vite.js");

bootstrap();
run(vite, "build", ...(action === "build" ? options : []));
if (action === "serve") run(vite, "preview", ...options);
