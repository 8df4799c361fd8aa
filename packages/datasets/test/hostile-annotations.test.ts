import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isMrcnnError } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import { cocoDatasetFromFiles, readCocoAnnotations, writeImageFile } from "../src/node.ts";
import { temporaryFolder } from "./folder.ts";
import { hostileAnnotations } from "./hostile-annotations.ts";

// `HOSTILE=2000` looks at more of them.
const COUNT = Number(process.env.HOSTILE ?? 150);
const MOST_SECONDS = 10;
const MOST_BYTES = 1e9;

async function open(images: string, annotations: string): Promise<number> {
  await readCocoAnnotations(annotations, { purpose: "evaluation" });
  const dataset = await cocoDatasetFromFiles({ images, annotations, degenerate: "drop" });
  for (let i = 0; i < Math.min(dataset.length, 20); i++) await dataset.get(i);
  return dataset.length;
}

describe("hostile annotations", () => {
  it(
    `end in time and memory, with an error that names the file (${COUNT} of them)`,
    { timeout: 10 * 60_000 },
    async () => {
      const folder = temporaryFolder();
      for (const name of ["1.png", "2.png"])
        await writeImageFile(join(folder, name), {
          height: 48,
          width: 64,
          data: new Uint8Array(48 * 64 * 3),
        });
      const before = process.memoryUsage().rss;
      let [slowest, largest, refused] = [0, 0, 0];
      for (let i = 0; i < COUNT; i++) {
        const annotations = join(folder, "hostile.json");
        const bytes = hostileAnnotations(i);
        writeFileSync(annotations, bytes);
        const start = performance.now();
        const result = await open(folder, annotations).catch((error: unknown) => error);
        const seconds = (performance.now() - start) / 1000;
        if (result instanceof Error) {
          refused++;
          // The annotations, or the picture that one of them is about.
          expect(
            isMrcnnError(result, "dataset") &&
              (result.message.includes(annotations) || result.message.includes(".png")),
            `${i}: ${result.stack}`,
          ).toBe(true);
          expect(result.message.length, `${i}`).toBeLessThan(2000);
        }
        expect(seconds, `seconds of ${i}`).toBeLessThan(MOST_SECONDS);
        slowest = Math.max(slowest, seconds);
        largest = Math.max(largest, process.memoryUsage().rss);
      }
      expect(refused).toBeGreaterThan(COUNT / 2);
      expect(refused).toBeLessThan(COUNT); // some changes are harmless
      expect(largest - before).toBeLessThan(MOST_BYTES);
      if (process.env.HOSTILE !== undefined)
        console.info(
          `${COUNT} files, ${refused} refused; slowest ${slowest.toFixed(2)} s; ${(largest / 1e6).toFixed(0)} MB resident, ${(before / 1e6).toFixed(0)} MB before`,
        );
    },
  );
});
