import { chmodSync, writeFileSync } from "node:fs";
import { delimiter } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it, vi } from "vitest";
import { createMemoryMeter } from "../src/memory-meter.ts";
import { temporaryFolder } from "./command.ts";

describe("createMemoryMeter", () => {
  it.runIf(process.platform === "linux")(
    "sees a peak between two readings that is over at the second, and forgets it after",
    async () => {
      const meter = createMemoryMeter({ usesGpu: false });
      const before = meter.read().memoryMb;
      let pages: Uint8Array | undefined = new Uint8Array(300 * 2 ** 20).fill(1);
      expect(pages[0]).toBe(1);
      pages = undefined;
      setFlagsFromString("--expose-gc");
      (runInNewContext("gc") as () => void)();
      await vi.waitFor(() => expect(process.memoryUsage.rss() / 2 ** 20).toBeLessThan(before + 150), {
        timeout: 5000,
      });
      expect(meter.read().peakMemoryMb).toBeGreaterThan(before + 250);
      expect(meter.read().peakMemoryMb).toBeLessThan(before + 150);
    },
  );

  it("asks nvidia-smi for this process's memory on all GPUs, and lives without it", async () => {
    const folder = temporaryFolder();
    const path = process.env["PATH"];
    try {
      process.env["PATH"] = folder;
      const without = createMemoryMeter({ usesGpu: true });
      without.read();
      writeFileSync(
        `${folder}/nvidia-smi`,
        `#!/bin/sh\n[ "$1" = --query-compute-apps=pid,used_memory ] && printf '17, 999\\n%s, 1200\\n%s, 34\\n' ${process.pid} ${process.pid}\n`,
      );
      chmodSync(`${folder}/nvidia-smi`, 0o755);
      process.env["PATH"] = [folder, path].join(delimiter);
      const meter = createMemoryMeter({ usesGpu: true });
      await vi.waitFor(() => expect(meter.read().gpuMemoryMb).toBe(1234), { timeout: 5000 });
      expect(without.read().gpuMemoryMb).toBeUndefined();
      expect(createMemoryMeter({ usesGpu: false }).read()).not.toHaveProperty("gpuMemoryMb");
    } finally {
      process.env["PATH"] = path;
    }
  });
});
