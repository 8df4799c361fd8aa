import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { mrcnn, temporaryFolder } from "./command.ts";

const folder = temporaryFolder();
const before = process.env.MRCNN_TENSORFLOW;
afterAll(() => {
  if (before === undefined) delete process.env.MRCNN_TENSORFLOW;
  else process.env.MRCNN_TENSORFLOW = before;
});

describe("--precision, --threads and --memory-limit", () => {
  const present = join(folder, "present");
  mkdirSync(join(present, "node_modules", "@tensorflow", "tfjs-node"), { recursive: true });
  writeFileSync(join(present, "node_modules", "@tensorflow", "tfjs-node", "index.js"), "");
  const detect = (tensorflow: string, ...args: string[]): ReturnType<typeof mrcnn> => {
    process.env.MRCNN_TENSORFLOW = join(folder, tensorflow);
    return mrcnn("detect", `${folder}/none.png`, "--model", "m", ...args);
  };

  it.each([
    [
      "--backend wasm --precision bf16",
      /^error: --precision bf16: backend wasm can't do that\. Use --backend tensorflow/,
    ],
    ["--backend cpu --precision tf32", /^error: --precision tf32: backend cpu can't do that/],
    ["--backend wasm --memory-limit 2000", /^error: --memory-limit 2000: backend wasm can't do that/],
    ["--backend cpu --threads 2", /^error: --threads 2: backend cpu computes with one thread/],
    [
      "--backend wasm --precision float16",
      /^error: --precision float16: backend wasm can't do that\. Use --backend webgpu/,
    ],
    [
      "--precision float16",
      /^error: --precision float16: only backend webgpu can do that\. Use --backend webgpu/,
    ],
    [
      "--backend webgpu --precision bf16",
      /^error: --precision bf16: backend webgpu can't do that\. Use --backend tensorflow/,
    ],
    ["--precision half", /Allowed choices are float32, bf16, tf32, float16/],
    ["--threads 1.5", /a whole number from 1 up/],
    ["--memory-limit 0", /a number above 0/],
  ])("a backend that can't refuses %s before it begins", async (options, message) => {
    const { code, err } = await detect("present", ...options.split(" "));
    expect(err).toMatch(message);
    expect(code).toBe(2);
  });

  it("says how to get the backend that could", async () => {
    const { code, err } = await detect("absent", "--precision", "bf16");
    expect(err).toMatch(
      /^error: --precision bf16: only backend tensorflow can do that, and it is not here\. Run `npm run setup:tensorflow`/,
    );
    expect(code).toBe(2);
  });

  it.each([
    "--backend wasm --precision float32 --threads 2",
    "--backend cpu --threads 1 --precision float32",
    "--precision bf16 --threads 2 --memory-limit 500",
  ])("takes %s", async (options) => {
    const { code, err } = await detect("present", ...options.split(" "));
    expect(err).toContain("none.png: no such image");
    expect(code).toBe(3);
  });
});
