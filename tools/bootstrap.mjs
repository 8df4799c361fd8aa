// @ts-check
/**
 * Prepares a checkout: installs what is missing and builds what changed. Both are quick no-ops when there is
 * nothing to do, so `npm start`, `npm test` and the `mrcnn` command call it first.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageManager, root } from "./workspace.mjs";

/** What went wrong while setting up, in one line. */
export class BootstrapError extends Error {}

const installed = join(root, "node_modules", ".modules.yaml");
const built = join(root, ".cache", "built");

/** @param {string} path */
const time = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** @param {string} folder @returns {number} */
const newest = (folder) =>
  existsSync(folder) ?
    readdirSync(folder, { withFileTypes: true }).reduce((latest, entry) => {
      const path = join(folder, entry.name);
      return Math.max(latest, entry.isDirectory() ? newest(path) : time(path));
    }, 0)
  : 0;

const workspaces = () =>
  ["packages", "apps"].flatMap((kind) => readdirSync(join(root, kind)).map((name) => join(root, kind, name)));

/** @param {string} command @param {string[]} args @param {string} remedy */
function run(command, args, remedy) {
  // Results belong to stdout; what the tools say goes to stderr.
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (status !== 0)
    throw new BootstrapError(
      `\`${command} ${args.join(" ")}\` failed${error ? ` (${error.message})` : ""}. ${remedy}`,
    );
}

/** Whether node_modules follows the lock file. */
export const isInstalled = () =>
  time(installed) >= time(join(root, "pnpm-lock.yaml")) &&
  ["trainer", "web"].every((app) => existsSync(join(root, "apps", app, "node_modules")));

/** Whether every dist is newer than its sources. */
export const isBuilt = () =>
  existsSync(join(root, "apps", "trainer", "dist", "index.js")) &&
  workspaces().every(
    (folder) => Math.max(newest(join(folder, "src")), time(join(folder, "tsconfig.json"))) <= time(built),
  );

export function install() {
  if (isInstalled()) return;
  process.stderr.write("Installing packages (once) …\n");
  run(
    "npx",
    ["--yes", packageManager(), "install", "--frozen-lockfile", "--reporter=append-only"],
    "Check the network (npm's registry must be reachable) and try again.",
  );
  const now = new Date();
  utimesSync(installed, now, now); // pnpm leaves it alone when nothing changed
}

export function build() {
  if (isBuilt()) return;
  process.stderr.write("Building …\n");
  const started = new Date();
  run(
    process.execPath,
    [join(root, "node_modules", "typescript", "bin", "tsc"), "-b", "apps/trainer", "apps/web"],
    "Fix the errors above and try again.",
  );
  mkdirSync(join(root, ".cache"), { recursive: true });
  writeFileSync(built, "");
  utimesSync(built, started, started);
}

export function bootstrap() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 12)) {
    throw new BootstrapError(
      `Node ${process.versions.node} is too old. Install Node 20.12 or newer (22 is fine).`,
    );
  }
  install();
  build();
}
