import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { CheckpointState } from "../src/index.ts";
import { readLatestCheckpoint, readLatestWeights, writeCheckpoint } from "../src/node.ts";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "mrcnn-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const state = (step: number): CheckpointState => ({
  step,
  seed: 9,
  weights: new Map([["w", { shape: [2], data: Float32Array.of(step, 0.1) }]]),
  optimizer: new Map([["w", { shape: [2], data: Float32Array.of(-1, 1e-7) }]]),
});

test("what was written is read back exactly, and latest is the newest", async () => {
  await writeCheckpoint(folder, state(5));
  await writeCheckpoint(folder, state(10));
  const found = await readLatestCheckpoint(folder);
  expect(found).toMatchObject({ step: 10, seed: 9 });
  expect(found.weights.get("w")).toEqual({ shape: [2], data: Float32Array.of(10, 0.1) });
  expect((await readLatestWeights(folder)).get("w")!.data).toEqual(Float32Array.of(10, 0.1));
});

test("only the newest are kept", async () => {
  for (const step of [1, 2, 3, 4]) await writeCheckpoint(folder, state(step), { keep: 2 });
  expect(readdirSync(folder).toSorted()).toEqual(["latest", "step-00000003", "step-00000004"]);
});

test("a write that fails half-way leaves the previous checkpoint and no litter", async () => {
  await writeCheckpoint(folder, state(5));
  const broken = { ...state(6), optimizer: new Map([["w", { shape: [3], data: new Float32Array(2) }]]) };
  await expect(writeCheckpoint(folder, broken)).rejects.toMatchObject({ code: "weights" });
  expect(readdirSync(folder).toSorted()).toEqual(["latest", "step-00000005"]);
  expect((await readLatestCheckpoint(folder)).step).toBe(5);
});

test("a checkpoint cut in the middle names the file", async () => {
  const target = await writeCheckpoint(folder, state(5));
  truncateSync(join(target, "weights.safetensors"), 60);
  await expect(readLatestCheckpoint(folder)).rejects.toThrow(/weights\.safetensors/);
});

test("a missing or newer checkpoint says what to do", async () => {
  await expect(readLatestCheckpoint(folder)).rejects.toThrow("has no whole checkpoint");
  const target = await writeCheckpoint(folder, state(5));
  const text = readFileSync(join(target, "state.json"), "utf8");
  writeFileSync(join(target, "state.json"), text.replace('"version":1', '"version":99'));
  await expect(readLatestCheckpoint(folder)).rejects.toThrow("has version 99");
});
