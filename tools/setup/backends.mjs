// @ts-check
/**
 * Tells which TensorFlow.js backends this checkout can run, without loading them, and what would enable the
 * others.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../workspace.mjs";

/** Where `npm run setup:tensorflow` leaves tfjs-node. */
export const tensorflowFolder = join(root, ".cache", "tensorflow");

/** @typedef {{ available: boolean, reason?: string, command?: string }} BackendState */

/** @param {string} name @returns {BackendState} */
export function backendState(name) {
  if (name === "cpu" || name === "wasm") return { available: true };
  if (name === "tensorflow") {
    return existsSync(join(tensorflowFolder, "ready.json")) ?
        { available: true }
      : { available: false, reason: "tfjs-node is not set up", command: "npm run setup:tensorflow" };
  }
  return webgpuState();
}

/** @type {BackendState | undefined} */
let webgpu;

// Whether an adapter is here, a process that may crash with its driver finds out.
function webgpuState() {
  if (webgpu !== undefined) return webgpu;
  const { status, stderr } = spawnSync(process.execPath, [join(root, "tools", "setup", "webgpu-probe.mjs")], {
    encoding: "utf8",
    timeout: 60_000,
  });
  webgpu =
    status === 0 ?
      { available: true }
    : {
        available: false,
        reason:
          stderr
            .split("\n")
            .find((line) => line.includes("startWebgpu"))
            ?.trim() ?? "Dawn does not start here",
        command: "apt-get install mesa-vulkan-drivers",
      };
  return webgpu;
}
