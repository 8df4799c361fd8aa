/** What the processor, and tfjs-node on it, can do beyond running ops one by one. */
import { readFileSync } from "node:fs";
import { tensor1d, tensor4d } from "@tensorflow/tfjs-core";
import { runFusedConv2d } from "./fused-op.ts";
import type { TensorflowBackend } from "./tensorflow-backend.ts";

let avx512: boolean | undefined;

/** Whether the processor has AVX-512; false where the system doesn't say. */
export function hasAvx512(): boolean {
  if (avx512 === undefined) {
    try {
      avx512 = /^flags\s*:.*\bavx512f\b/m.test(readFileSync("/proc/cpuinfo", "utf8"));
    } catch {
      avx512 = false;
    }
  }
  return avx512;
}

/** Whether oneDNN may multiply float32 values in bf16 (`precision: "bf16"`). */
export function multipliesInBf16(): boolean {
  return /^(bf16|any)$/i.test(process.env.ONEDNN_DEFAULT_FPMATH_MODE ?? "");
}

const fuses = new WeakMap<TensorflowBackend, boolean>();

/**
 * Whether fused ops run here: on the CPU, with oneDNN, through an addon that passes lists of strings as
 * attributes. That of `npm run setup:tensorflow` does where it is built against a wheel; tfjs-node's
 * published one does not. Tried once.
 */
export function fusesOnHost(backend: TensorflowBackend): boolean {
  let known = fuses.get(backend);
  if (known === undefined) {
    known = !backend.isUsingGpuDevice && process.env.TF_ENABLE_ONEDNN_OPTS !== "0" && triesFusing(backend);
    fuses.set(backend, known);
  }
  return known;
}

// relu(2 * 3 + 1).
function triesFusing(backend: TensorflowBackend): boolean {
  const x = tensor4d([2], [1, 1, 1, 1]);
  const filter = tensor4d([3], [1, 1, 1, 1]);
  const bias = tensor1d([1]);
  try {
    const y = runFusedConv2d(backend, { x, filter, args: [bias], strides: [1, 1], dilations: [1, 1], paddings: [0, 0, 0, 0], relu: true });
    const [value] = y.dataSync();
    y.dispose();
    return value === 7;
  } catch {
    return false;
  } finally {
    for (const t of [x, filter, bias]) t.dispose();
  }
}
