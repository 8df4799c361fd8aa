import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "@mrcnn/core";
import { writeSafetensors } from "@mrcnn/weights";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
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
  writeFileSync(join(target, "state.json"), text.replace('"version":2', '"version":99'));
  await expect(readLatestCheckpoint(folder)).rejects.toThrow("has version 99");
});

describe("checksums", () => {
  const sum = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");

  test("state.json has those of the files", async () => {
    const target = await writeCheckpoint(folder, state(5));
    const { sha256 } = JSON.parse(readFileSync(join(target, "state.json"), "utf8")) as { sha256: Record<string, string> };
    expect(sha256).toEqual({ weights: sum(join(target, "weights.safetensors")), optimizer: sum(join(target, "optimizer.safetensors")) });
  });

  const steps = (step: number): string => join(folder, `step-0000000${step}`);
  const read = async (): Promise<{ step: number; notes: string[] }> => {
    const notes: string[] = [];
    const { step } = await readLatestCheckpoint(folder, { onNote: (note) => notes.push(note) });
    return { step, notes };
  };
  const flip = (file: string, at: number): void => {
    const bytes = readFileSync(file);
    bytes[at < 0 ? bytes.length + at : at]! ^= 4;
    writeFileSync(file, bytes);
  };
  const zero = (file: string): void => {
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0, bytes.length - 4));
  };
  const edit = (file: string, change: (text: string) => string): void => writeFileSync(file, change(readFileSync(file, "utf8")));

  test.each<[string, string, () => void]>([
    ["a bit of a weight", "weights.safetensors", () => flip(join(steps(2), "weights.safetensors"), -2)],
    ["zeros in place of velocities", "optimizer.safetensors", () => zero(join(steps(2), "optimizer.safetensors"))],
    ["the optimizer of another step", "optimizer.safetensors", () => cpSync(join(steps(1), "optimizer.safetensors"), join(steps(2), "optimizer.safetensors"))],
    ["the weights of another step", "weights.safetensors", () => cpSync(join(steps(1), "weights.safetensors"), join(steps(2), "weights.safetensors"))],
    ["the state of another step", "state.json", () => cpSync(join(steps(1), "state.json"), join(steps(2), "state.json"))],
    ["files that changed places", "weights.safetensors", () => {
      renameSync(join(steps(2), "weights.safetensors"), join(steps(2), "x"));
      renameSync(join(steps(2), "optimizer.safetensors"), join(steps(2), "weights.safetensors"));
      renameSync(join(steps(2), "x"), join(steps(2), "optimizer.safetensors"));
    }],
    ["another step number", "state.json", () => edit(join(steps(2), "state.json"), (text) => text.replace('"step":2', '"step":3'))],
    ["another seed", "state.json", () => edit(join(steps(2), "state.json"), (text) => text.replace('"seed":9', '"seed":8'))],
    ["no checksums, as an earlier version wrote it", "weights.safetensors", () => writeFileSync(join(steps(2), "state.json"), '{"version":1,"step":2,"seed":9}')],
    ["a version that has no checksums", "state.json", () => edit(join(steps(2), "state.json"), (text) => text.replace('"version":2', '"version":1'))],
    ["null", "state.json", () => writeFileSync(join(steps(2), "state.json"), "null")],
    ["a list", "state.json", () => writeFileSync(join(steps(2), "state.json"), "[1]")],
    ["text for a number", "state.json", () => edit(join(steps(2), "state.json"), (text) => text.replace('"step":2', '"step":"2"'))],
    ["a state that is no file", "state.json", () => {
      rmSync(join(steps(2), "state.json"));
      mkdirSync(join(steps(2), "state.json"));
    }],
    ["a checkpoint that is a link", "step-00000002", () => {
      renameSync(steps(2), join(folder, "elsewhere"));
      symlinkSync(join(folder, "elsewhere"), steps(2));
    }],
    ["weights that are a link", "weights.safetensors", () => {
      renameSync(join(steps(2), "weights.safetensors"), join(folder, "elsewhere"));
      symlinkSync(join(folder, "elsewhere"), join(steps(2), "weights.safetensors"));
    }],
    ["nothing", "step-00000002", () => rmSync(steps(2), { recursive: true })],
  ])("%s: the one before is taken, and both are named; alone it is refused", async (_, file, damage) => {
    await writeCheckpoint(folder, state(1));
    await writeCheckpoint(folder, state(2));
    damage();
    const { step, notes } = await read();
    expect(step).toBe(1);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain(join(folder, "step-00000002"));
    expect(notes[0]).toContain(file);
    expect(notes[0]).toContain(`Using ${steps(1)}`);
    rmSync(steps(1), { recursive: true });
    await expect(read()).rejects.toMatchObject({ code: "weights", message: expect.stringContaining(file) });
  });

  test.each<[string, string | (() => void)]>([
    ["missing", () => rmSync(join(folder, "latest"))],
    ["empty", ""],
    ["of NULs, as a power cut leaves it", "\0\0\0\0"],
    ["a path up", "../step-00000002\n"],
    ["an absolute path", "/etc\n"],
    ["a path down", "step-00000002/../step-00000001\n"],
    ["two lines", "step-00000002\nstep-00000001\n"],
    ["a link", () => {
      renameSync(join(folder, "latest"), join(folder, "named"));
      symlinkSync(join(folder, "named"), join(folder, "latest"));
    }],
  ])("latest that is %s: the newest whole checkpoint is taken, and that is said", async (_, latest) => {
    await writeCheckpoint(folder, state(1));
    await writeCheckpoint(folder, state(2));
    if (typeof latest === "string") writeFileSync(join(folder, "latest"), latest);
    else latest();
    const { step, notes } = await read();
    expect(step).toBe(2);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain(join(folder, "latest"));
    expect(notes[0]).toContain(`Using ${steps(2)}`);
  });

  test("latest decides, where a write was stopped before it or a person has changed it", async () => {
    await writeCheckpoint(folder, state(1));
    await writeCheckpoint(folder, state(2));
    writeFileSync(join(folder, "latest"), "step-00000001\n");
    expect(await read()).toEqual({ step: 1, notes: [] });
  });

  test("a checkpoint of an earlier version is read, and that it can't be checked is said", async () => {
    mkdirSync(steps(7));
    const { weights, optimizer } = state(7);
    writeFileSync(join(steps(7), "weights.safetensors"), writeSafetensors(weights, { format: "mrcnn" }));
    writeFileSync(join(steps(7), "optimizer.safetensors"), writeSafetensors(optimizer, { format: "mrcnn" }));
    writeFileSync(join(steps(7), "state.json"), '{"version":1,"step":7,"seed":9}');
    writeFileSync(join(folder, "latest"), "step-00000007\n");
    expect(await read()).toEqual({ step: 7, notes: [expect.stringMatching(/step-00000007 is of an earlier version of this program, without checksums/)] });
    const notes: string[] = [];
    expect((await readLatestWeights(folder, { onNote: (note) => notes.push(note) })).get("w")!.data[0]).toBe(7);
    expect(notes).toHaveLength(1);
  });

  test("weights are read though the optimizer is damaged; the other way round not", async () => {
    await writeCheckpoint(folder, state(1));
    await writeCheckpoint(folder, state(2));
    flip(join(steps(2), "optimizer.safetensors"), -1);
    expect((await readLatestWeights(folder)).get("w")!.data[0]).toBe(2);
    flip(join(steps(2), "weights.safetensors"), -1);
    const notes: string[] = [];
    expect((await readLatestWeights(folder, { onNote: (note) => notes.push(note) })).get("w")!.data[0]).toBe(1);
    expect(notes[0]).toMatch(/step-00000002.*step-00000001/);
  });

  // Bits, cuts, zeros, swapped files, wild values of state.json: 100 of them, and what is read is what was written.
  test("100 corruptions at random are refused or passed over, and never read as something else", async () => {
    const random = createRandom(20);
    const wild = [null, -1, 1.5, 1e300, "2", [], {}, true, 3, 2 ** 53];
    const whole = new Map<number, CheckpointState>([1, 2].map((step) => [step, state(step)]));
    let [refused, passed] = [0, 0];
    for (let k = 0; k < 100; k++) {
      rmSync(folder, { recursive: true, force: true });
      const alone = k % 2 === 1;
      if (!alone) await writeCheckpoint(folder, whole.get(1)!);
      const target = await writeCheckpoint(folder, whole.get(2)!);
      const file = join(target, ["weights.safetensors", "optimizer.safetensors", "state.json"][random.int(3)]!);
      const bytes = readFileSync(file);
      const at = random.int(bytes.length);
      let isSame = false;
      switch (k % 5) {
        case 0: flip(file, at); break;
        case 1: truncateSync(file, at); break;
        case 2: {
          const zeroed = Buffer.from(bytes).fill(0, at, Math.min(bytes.length, at + 1 + random.int(64)));
          isSame = zeroed.equals(bytes);
          writeFileSync(file, zeroed);
          break;
        }
        case 3: {
          const others = readdirSync(target).map((name) => readFileSync(join(target, name)));
          const other = others[random.int(others.length)]!;
          isSame = other.equals(bytes);
          writeFileSync(file, other);
          break;
        }
        default: {
          const json = JSON.parse(readFileSync(join(target, "state.json"), "utf8")) as Record<string, unknown>;
          const key = [...Object.keys(json), "extra"][random.int(Object.keys(json).length + 1)]!;
          const value = wild[random.int(wild.length)]!;
          isSame = json[key] === value;
          writeFileSync(join(target, "state.json"), JSON.stringify({ ...json, [key]: value }));
        }
      }
      const notes: string[] = [];
      const outcome = await readLatestCheckpoint(folder, { onNote: (note) => notes.push(note) }).catch((error: unknown) => error as Error);
      if (outcome instanceof Error) {
        expect(alone && !isSame, `${k}: ${outcome.message}`).toBe(true);
        expect(outcome.message).toContain(join(target, ""));
        expect(outcome).toMatchObject({ code: "weights" });
        refused++;
      } else {
        expect(outcome, `${k}`).toEqual(whole.get(outcome.step));
        if (outcome.step === 1) {
          expect(notes[0]).toMatch(/step-00000002.*step-00000001/);
          passed++;
        } else expect(isSame, `${k}`).toBe(true);
      }
    }
    expect(refused + passed).toBeGreaterThan(90);
  });
});

describe("writing", () => {
  test.each(["weights", "optimizer"] as const)("values of the %s that are not finite are not saved", async (part) => {
    await writeCheckpoint(folder, state(5));
    for (const value of [NaN, Infinity, -Infinity]) {
      const broken = { ...state(6), [part]: new Map([["layer.w", { shape: [2], data: Float32Array.of(1, value) }]]) };
      await expect(writeCheckpoint(folder, broken)).rejects.toThrow(`layer.w holds ${value}`);
    }
    expect(readdirSync(folder).toSorted()).toEqual(["latest", "step-00000005"]);
  });

  test("what a write that was killed has left is cleared away", async () => {
    mkdirSync(join(folder, "step-00000003.tmp"), { recursive: true });
    writeFileSync(join(folder, "latest.tmp"), "step");
    await writeCheckpoint(folder, state(5));
    expect(readdirSync(folder).toSorted()).toEqual(["latest", "step-00000005"]);
  });

  test("checkpoints of later steps are left alone, and don't count", async () => {
    for (const step of [50, 1, 2, 3]) await writeCheckpoint(folder, state(step), { keep: 2 });
    expect(readdirSync(folder).toSorted()).toEqual(["latest", "step-00000002", "step-00000003", "step-00000050"]);
    expect((await readLatestCheckpoint(folder)).step).toBe(3);
  });

  test("steps may have more than eight digits", async () => {
    for (const step of [99_999_999, 100_000_000, 100_000_001]) await writeCheckpoint(folder, state(step), { keep: 2 });
    expect(existsSync(join(folder, "step-99999999"))).toBe(false);
    expect((await readLatestCheckpoint(folder)).step).toBe(100_000_001);
  });
});
