import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe } from "vitest";
import { main } from "../src/main.ts";

/** What a command said and how it ended. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command in this process. */
export async function mrcnn(...args: readonly string[]): Promise<Outcome> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main(args, {
    out: (line) => out.push(line),
    note: (line) => err.push(line),
    interactive: false,
  });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

/** A suite that starts processes of what is built: lines that are broken to try the tests never reach those. */
export const describeProcesses = describe.skipIf(process.env["MUTATED_ROOM"] !== undefined);

/** A folder of its own for a test file, removed at the end. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "mrcnn-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A network small enough for any backend, on 64x64 pictures of shapes. */
export const tinyConfig = {
  model: {
    image: { minSize: 64, maxSize: 64 },
    backbone: { depth: 18, width: 8, norm: "group_norm", groups: 4, trainableLayers: 5 },
    fpn: { channels: 8 },
    anchors: { sizes: [[16], [32], [64], [128], [256]] },
    rpn: {
      training: { preNmsTopK: 50, postNmsTopK: 20 },
      detection: { preNmsTopK: 50, postNmsTopK: 20 },
      targets: { batchSize: 32 },
    },
    box: { poolSize: 4, representation: 16, targets: { batchSize: 16 } },
    maskHead: { poolSize: 7, layers: [8], channels: 8 },
  },
  data: {
    train: {
      format: "shapes",
      shapes: { count: 6, seed: 1, size: { height: 64, width: 64 }, objectSize: [16, 40] },
    },
    validation: {
      format: "shapes",
      shapes: { count: 2, seed: 2, size: { height: 64, width: 64 }, objectSize: [16, 40] },
    },
  },
  optimizer: { rate: 0.01, warmupSteps: 2, milestones: [3], clipNorm: 5 },
  training: { steps: 4, batchSize: 1, accumulate: 2, checkpointEvery: 2, workers: 0 },
};

/** Writes a value as JSON and returns the path. */
export function writeJson(folder: string, name: string, value: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(value));
  return path;
}
