// @ts-check
/** Shared code of the contenders in Node: their job, given as JSON, and the timing. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {{
 *   action: "detect" | "train" | "stages", contender: string, folder: string, threads: number,
 *   warmup: number, runs: number,
 *   precision?: "float32" | "bf16" | "tf32", device?: "cpu" | "cuda",
 * }} Job
 * @typedef {{ seconds?: number[], scores?: number[], stages?: Record<string, number[]>, maskRois?: number,
 *   memoryMb: number, cpuSeconds: number, note?: string }} Answer
 */

/** @type {Job} */
export const job = JSON.parse(process.argv[2] ?? "{}");

/** The network's input as a photo: RGB bytes. */
export function readImage() {
  /** @type {{ height: number, width: number }} */
  const { height, width } = JSON.parse(readFileSync(join(job.folder, "case.json"), "utf8"));
  return { height, width, data: new Uint8Array(readFileSync(join(job.folder, "image.bin"))) };
}

/** Seconds of each of the job's runs, after its warm-up. @param {() => Promise<void>} work */
export async function timed(work) {
  for (let i = 0; i < job.warmup; i++) await work();
  const seconds = [];
  for (let i = 0; i < job.runs; i++) {
    const start = performance.now();
    await work();
    seconds.push((performance.now() - start) / 1000);
  }
  return seconds;
}

/** @param {Omit<Answer, "memoryMb" | "cpuSeconds">} answer */
export function answer(answer) {
  const { user, system } = process.cpuUsage();
  process.stdout.write(
    `\n${JSON.stringify({ ...answer, memoryMb: peakMemoryMb(), cpuSeconds: (user + system) / 1e6 })}\n`,
    () => process.exit(0),
  );
}

// The most that was resident at a time. Linux's own figure is of this program alone; rusage's begins with the
// parent's.
function peakMemoryMb() {
  try {
    return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024);
  } catch {
    return Math.round(process.resourceUsage().maxRSS / 1024);
  }
}
