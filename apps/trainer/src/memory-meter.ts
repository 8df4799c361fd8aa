/** What a training takes: the process's memory at its peak, and the device's as the driver reports it. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

/** Megabytes of 2^20 bytes. */
export interface MemoryReading {
  /** Resident memory of the process, its data threads included. */
  readonly memoryMb: number;
  /**
   * The most it was since the reading before; where that can't be reset (not Linux), since the process began.
   */
  readonly peakMemoryMb: number;
  /**
   * GPU memory held by this process; absent without a GPU. TensorFlow gives nothing back, so it is a peak as
   * well.
   */
  readonly gpuMemoryMb?: number;
}

/** "1.3 GB", of megabytes. */
export const gigabytes = (megabytes: number): string => `${((megabytes * 2 ** 20) / 1e9).toFixed(1)} GB`;

/** Reads memory between steps. */
export interface MemoryMeter {
  read(): MemoryReading;
}

/** Starts a meter. `usesGpu`: nvidia-smi is asked too, every ten seconds and without waiting for it. */
export function createMemoryMeter({ usesGpu }: { readonly usesGpu: boolean }): MemoryMeter {
  const gpu = usesGpu ? gpuMeter(10_000) : () => undefined;
  resetPeak();
  return {
    read() {
      const megabytes = Math.round(process.memoryUsage.rss() / 2 ** 20);
      const peak = Math.round(peakKilobytes() / 2 ** 10);
      resetPeak();
      const gpuMemoryMb = gpu();
      return {
        memoryMb: megabytes,
        peakMemoryMb: Math.max(megabytes, peak),
        ...(gpuMemoryMb === undefined ? {} : { gpuMemoryMb }),
      };
    },
  };
}

// getrusage's peak has on Linux also what the process that started this one was resident with, which can't be
// reset.
function peakKilobytes(): number {
  if (process.platform === "linux") {
    try {
      const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
      if (kilobytes !== undefined) return Number(kilobytes);
    } catch {
      // No /proc.
    }
  }
  return process.resourceUsage().maxRSS;
}

// Linux: 5 sets the high-water mark back to what is resident now (proc_pid_clear_refs(5)); a process may do
// it to itself.
function resetPeak(): void {
  if (process.platform !== "linux") return;
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // A /proc mounted read-only: the peak is then of the whole process.
  }
}

// The figure is from an earlier call: nvidia-smi takes longer than many a step.
function gpuMeter(everyMs: number): () => number | undefined {
  let asked = -Infinity;
  let megabytes: number | undefined;
  return () => {
    if (performance.now() - asked >= everyMs) {
      asked = performance.now();
      execFile(
        "nvidia-smi",
        ["--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"],
        (error, stdout) => {
          if (error === null) megabytes = ofProcess(stdout, process.pid);
        },
      );
    }
    return megabytes;
  };
}

/**
 * The memory of one process, over all its GPUs, in nvidia-smi's lines "pid, MiB". Undefined when it is not
 * listed (in a container it may have another pid).
 */
function ofProcess(lines: string, pid: number): number | undefined {
  const found = lines.split("\n").flatMap((line) => {
    const [id, used] = line.split(",").map(Number);
    return id === pid && Number.isFinite(used) ? [used!] : [];
  });
  return found.length === 0 ? undefined : found.reduce((a, b) => a + b, 0);
}
