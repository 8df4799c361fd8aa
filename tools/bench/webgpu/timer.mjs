// @ts-check
/** Measures the time that WebGPU commands take on the device. */
import { env } from "@tensorflow/tfjs";

/** @typedef {import("../../../packages/backend-webgpu/dist/index.js").MrcnnWebgpuBackend} Backend */
/** @typedef {((work: () => void) => Promise<number>) & { source: string }} Timer */

/**
 * Milliseconds that one run of `work`, which only records commands, takes the device: the fastest of
 * `rounds`, each of as many runs as last `atLeastMs`. Runs share one compute pass between two timestamps
 * where the device has them; else the clock of the host says when the queue is done, which counts the host's
 * part as well.
 *
 * @param {Backend} backend
 * @param {{ rounds: number, atLeastMs: number }} options
 * @returns {Timer}
 */
export function createTimer(backend, { rounds, atLeastMs }) {
  const own = /** @type {any} */ (backend);
  const { device } = backend;
  const hasTimestamps = device.features.has("timestamp-query");
  const querySet = hasTimestamps ? device.createQuerySet({ type: "timestamp", count: 2 }) : undefined;
  const resolved = device.createBuffer({
    size: 16,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  const staging = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });

  /** @param {() => void} work @param {number} runs */
  async function once(work, runs) {
    // A pass of its own, submitted whole.
    env().set("WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE", 1e9);
    own.ensureCommandEncoderReady();
    own.endComputePassEncoder();
    backend.submitQueue();
    await device.queue.onSubmittedWorkDone();
    own.ensureCommandEncoderReady();
    if (querySet !== undefined)
      own.computePassEncoder = own.commandEncoder.beginComputePass({
        timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
      });
    const start = performance.now();
    for (let i = 0; i < runs; i++) work();
    own.endComputePassEncoder();
    if (querySet !== undefined) {
      own.commandEncoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
      own.commandEncoder.copyBufferToBuffer(resolved, 0, staging, 0, 16);
    }
    backend.submitQueue();
    await device.queue.onSubmittedWorkDone();
    const elapsed = performance.now() - start;
    backend.check();
    if (querySet === undefined) return elapsed / runs;
    await staging.mapAsync(GPUMapMode.READ);
    const [from = 0n, to = 0n] = new BigUint64Array(staging.getMappedRange().slice(0));
    staging.unmap();
    return Number(to - from) / 1e6 / runs;
  }

  /** @param {() => void} work */
  async function time(work) {
    await once(work, 1); // compiles, uploads
    const first = await once(work, 1);
    // Outputs stay until the pass is submitted: not too many at once.
    const runs = Math.min(16, Math.max(1, Math.ceil(atLeastMs / Math.max(first, 0.01))));
    let best = Infinity;
    for (let i = 0; i < rounds; i++) best = Math.min(best, await once(work, runs));
    return best;
  }
  return Object.assign(time, { source: hasTimestamps ? "the GPU's timestamps" : "the host's clock" });
}
