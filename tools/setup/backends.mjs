// @ts-check
// Which TensorFlow.js backends this checkout can run, without loading them, and what would enable the others.
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
    return existsSync(join(tensorflowFolder, "ready.json"))
      ? { available: true }
      : { available: false, reason: "tfjs-node is not set up", command: "npm run setup:tensorflow" };
  }
  return { available: false, reason: "no suite of this backend yet", command: "" };
}
