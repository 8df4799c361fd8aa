/** Capabilities of the processor, and of tfjs-node on it. */
import { existsSync, readFileSync } from "node:fs";
import { tensor1d, tensor4d } from "@tensorflow/tfjs-core";
import { runFusedConv2d } from "./fused-op.ts";
import type { TensorflowBackend } from "./tensorflow-backend.ts";

/**
 * Returns the processor's feature flags in Linux's notation ("avx512f"); undefined where the system doesn't
 * state them.
 */
export function processorFlags(cpuinfo = "/proc/cpuinfo"): readonly string[] | undefined {
  const text = existsSync(cpuinfo) ? readFileSync(cpuinfo, "utf8") : "";
  return /^(?:flags|Features)\s*:(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/);
}

let avx512: boolean | undefined;

/** Tells whether the processor has AVX-512; false where the system doesn't state it. */
export const hasAvx512 = (): boolean => (avx512 ??= processorFlags()?.includes("avx512f") ?? false);

/** Tells whether oneDNN may multiply float32 values in bf16 (`precision: "bf16"`). */
export function multipliesInBf16(): boolean {
  return /^(bf16|any)$/i.test(process.env.ONEDNN_DEFAULT_FPMATH_MODE ?? "");
}

const fuses = new WeakMap<TensorflowBackend, boolean>();

/**
 * Tells whether fused ops run here: on the CPU, with oneDNN, through an addon that passes lists of strings as
 * attributes. The addon of `npm run setup:tensorflow` does so where it is built against a wheel; tfjs-node's
 * published one does not. Tried once per backend.
 */
export function fusesOnHost(backend: TensorflowBackend): boolean {
  let known = fuses.get(backend);
  if (known === undefined) {
    known = !backend.isUsingGpuDevice && process.env.TF_ENABLE_ONEDNN_OPTS !== "0" && triesFusing(backend);
    fuses.set(backend, known);
  }
  return known;
}

// Computes relu(2 * 3 + 1).
function triesFusing(backend: TensorflowBackend): boolean {
  const x = tensor4d([2], [1, 1, 1, 1]);
  const filter = tensor4d([3], [1, 1, 1, 1]);
  const bias = tensor1d([1]);
  try {
    const y = runFusedConv2d(backend, {
      x,
      filter,
      args: [bias],
      strides: [1, 1],
      dilations: [1, 1],
      paddings: [0, 0, 0, 0],
      relu: true,
    });
    const [value] = y.dataSync();
    y.dispose();
    return value === 7;
  } catch {
    return false;
  } finally {
    for (const t of [x, filter, bias]) t.dispose();
  }
}
