import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findBackendFactory } from "@tensorflow/tfjs-core";
import { BackendError } from "@mrcnn/core";

const here = fileURLToPath(import.meta.url);
const names = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"];

// The app's own tfjs-node comes first, then the one that `npm run setup:tensorflow` left in a checkout.
function folders(): string[] {
  const named = process.env.MRCNN_TENSORFLOW;
  if (named !== undefined && named !== "") return [named];
  const found = [process.cwd(), dirname(here)];
  for (let at = dirname(here); dirname(at) !== at; at = dirname(at)) {
    const cache = join(at, ".cache", "tensorflow");
    if (existsSync(join(cache, "ready.json"))) found.push(cache);
  }
  return found;
}

function find(): string | undefined {
  for (const folder of folders()) {
    const { resolve } = createRequire(join(folder, "package.json"));
    for (const name of names) {
      try {
        return resolve(name);
      } catch {
        // Not there: the next one.
      }
    }
  }
  return undefined;
}

/** Whether `loadTensorflow` would find tfjs-node; looks without loading. */
export function tensorflowAvailable(): boolean {
  return findBackendFactory("tensorflow") !== null || find() !== undefined;
}

/**
 * Loads tfjs-node-gpu or tfjs-node, which registers backend "tensorflow" and makes it the current
 * one; a no-op when it is registered. Looks in the folder that the environment variable
 * MRCNN_TENSORFLOW names; without it in the app's dependencies, then in `.cache/tensorflow` of a
 * checkout. Quiets TensorFlow's log, unless TF_CPP_MIN_LOG_LEVEL is set, and turns on its oneDNN
 * kernels, unless TF_ENABLE_ONEDNN_OPTS is set.
 *
 * @throws BackendError when tfjs-node is missing, or does not load.
 */
export async function loadTensorflow(): Promise<void> {
  if (findBackendFactory("tensorflow") !== null) return;
  const path = find();
  if (path === undefined) {
    throw new BackendError(
      `loadTensorflow: tfjs-node must be installed, got none in ${folders().join(", ")}. ` +
        "In a checkout run `npm run setup:tensorflow`; in an app run `npm i @tensorflow/tfjs-node@4.22.0`.",
    );
  }
  // Read by the addon when it loads.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
  // TensorFlow turns them on by itself on Intel's newest processors only; others gain as much.
  process.env.TF_ENABLE_ONEDNN_OPTS ??= "1";
  try {
    createRequire(here)(path);
  } catch (cause) {
    throw new BackendError(
      `loadTensorflow: ${path} does not load (${String(cause).split("\n")[0]}). ` +
        "In a checkout run `npm run setup:tensorflow -- --force`; in an app run `npm rebuild @tensorflow/tfjs-node`.",
      { cause },
    );
  }
}
