import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { createRandom } from "@mrcnn/core";
import { readSafetensorsMetadata, writeSafetensors } from "@mrcnn/weights";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CheckpointState } from "../src/index.ts";
import {
  hasCheckpoints,
  latestCheckpoint,
  readLatestCheckpoint,
  readLatestWeights,
  writeCheckpoint,
} from "../src/node.ts";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "mrcnn-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const state = (step: number): CheckpointState => ({
  step,
  seed: 9,
  weights: new Map([["w", { shape: [2], data: Float32Array.of(step, 0.1) }]]),
  optimizer: new Map([["w", { shape: [2], data: Float32Array.of(-1, 1e-7) }]]),
});

const steps = (step: number): string => join(folder, `step-0000000${step}`);
const latest = (): string => join(folder, "latest");
const restore = "Restore the files, or train into another folder.";
const readersOf = { latestCheckpoint, readLatestWeights, readLatestCheckpoint };

/** What a checkpoint of an earlier version is: without checksums. */
function writeOld(
  step: number,
  { weights, optimizer }: Pick<CheckpointState, "weights" | "optimizer"> = state(step),
): void {
  mkdirSync(steps(step));
  writeFileSync(join(steps(step), "weights.safetensors"), writeSafetensors(weights, { format: "mrcnn" }));
  writeFileSync(join(steps(step), "optimizer.safetensors"), writeSafetensors(optimizer, { format: "mrcnn" }));
  writeFileSync(join(steps(step), "state.json"), JSON.stringify({ version: 1, step, seed: 9 }));
  writeFileSync(latest(), `step-0000000${step}\n`);
}

test("what was written is read back exactly, and latest is the newest", async () => {
  await writeCheckpoint(folder, state(5));
  await writeCheckpoint(folder, state(10));
  const found = await readLatestCheckpoint(folder);
  expect(found).toMatchObject({ step: 10, seed: 9 });
  expect(found.weights.get("w")).toEqual({ shape: [2], data: Float32Array.of(10, 0.1) });
  expect((await readLatestWeights(folder)).get("w")!.data).toEqual(Float32Array.of(10, 0.1));
});

test("files say which step they are of", async () => {
  const target = await writeCheckpoint(folder, state(5));
  expect(target).toBe(steps(5));
  for (const name of ["weights.safetensors", "optimizer.safetensors"]) {
    expect(readSafetensorsMetadata(readFileSync(join(target, name)), name)).toEqual({
      format: "mrcnn",
      step: "5",
    });
  }
});

describe("where there is no checkpoint", () => {
  test.each<[string, string, () => void]>([
    ["an empty folder", "latest is missing", () => {}],
    ["no folder", "latest is missing", () => rmSync(folder, { recursive: true })],
    [
      "latest of a checkpoint that is missing",
      "step-00000003 is missing",
      () => writeFileSync(latest(), "step-00000003\n"),
    ],
    [
      "latest that names none",
      'latest must name a checkpoint beside it (step-…), got "last"',
      () => writeFileSync(latest(), "last"),
    ],
  ])("%s: every reader says so, and what to do", async (_, what, prepare) => {
    prepare();
    const message = `readCheckpoint: ${folder} has no whole checkpoint: ${join(folder, what)}. Train first, or check the path.`;
    for (const read of Object.values(readersOf))
      await expect(read(folder)).rejects.toMatchObject({ code: "weights", message });
  });

  test("a file in the folder's place is an error of its own, also to the question whether there is one", async () => {
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "");
    for (const read of [hasCheckpoints, ...Object.values(readersOf)]) {
      const error = await (read(folder) as Promise<unknown>).catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        code: "weights",
        message: `readCheckpoint: ${folder} can't be read: ENOTDIR: not a directory, scandir '${folder}'. Checkpoints lie in a folder: check the path and who may read it.`,
        cause: { code: "ENOTDIR" },
      });
    }
    await expect(writeCheckpoint(folder, state(1))).rejects.toMatchObject({
      code: "weights",
      message: `writeCheckpoint: ${steps(1)} could not be written: EEXIST: file already exists, mkdir '${folder}'. Free some space or choose another folder; the previous checkpoint is untouched.`,
      cause: { code: "EEXIST" },
    });
  });

  test.each<[boolean, string[]]>([
    [false, []],
    [false, ["step-1", "step-00000001.tmp", "old-step-00000001", "latest.tmp", "notes.txt"]],
    [true, ["step-00000001"]],
    [true, ["latest"]],
    [true, ["notes.txt", "latest"]],
    [true, ["notes.txt", "step-00000001"]],
  ])("hasCheckpoints is %s of a folder with %j", async (expected, entries) => {
    for (const entry of entries) mkdirSync(join(folder, entry));
    expect(await hasCheckpoints(folder)).toBe(expected);
  });

  test("a folder that is missing has no checkpoints", async () => {
    expect(await hasCheckpoints(join(folder, "missing"))).toBe(false);
  });
});

describe("checksums", () => {
  const sum = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");

  test("state.json has those of the files", async () => {
    const target = await writeCheckpoint(folder, state(5));
    const { sha256 } = JSON.parse(readFileSync(join(target, "state.json"), "utf8")) as {
      sha256: Record<string, string>;
    };
    expect(sha256).toEqual({
      weights: sum(join(target, "weights.safetensors")),
      optimizer: sum(join(target, "optimizer.safetensors")),
    });
  });

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
  const edit = (file: string, change: (text: string) => string): void =>
    writeFileSync(file, change(readFileSync(file, "utf8")));

  const changed =
    "doesn't have the checksum that state.json says: it is cut, has changed since it was written, or is of another checkpoint";
  const inState = (change: (state: Record<string, unknown>) => unknown) => (): void =>
    edit(join(steps(2), "state.json"), (text) =>
      JSON.stringify(change(JSON.parse(text) as Record<string, unknown>)),
    );
  const link = (file: string): void => {
    renameSync(file, join(folder, "elsewhere"));
    symlinkSync(join(folder, "elsewhere"), file);
  };

  test.each<[string, string, () => void]>([
    [
      "a bit of a weight",
      `/weights.safetensors ${changed}`,
      () => flip(join(steps(2), "weights.safetensors"), -2),
    ],
    [
      "weights cut in the middle",
      `/weights.safetensors ${changed}`,
      () => truncateSync(join(steps(2), "weights.safetensors"), 60),
    ],
    [
      "zeros in place of velocities",
      `/optimizer.safetensors ${changed}`,
      () => zero(join(steps(2), "optimizer.safetensors")),
    ],
    [
      "the optimizer of another step",
      `/optimizer.safetensors ${changed}`,
      () => cpSync(join(steps(1), "optimizer.safetensors"), join(steps(2), "optimizer.safetensors")),
    ],
    [
      "the weights of another step",
      `/weights.safetensors ${changed}`,
      () => cpSync(join(steps(1), "weights.safetensors"), join(steps(2), "weights.safetensors")),
    ],
    [
      "files that changed places",
      `/weights.safetensors ${changed}`,
      () => {
        renameSync(join(steps(2), "weights.safetensors"), join(steps(2), "x"));
        renameSync(join(steps(2), "optimizer.safetensors"), join(steps(2), "weights.safetensors"));
        renameSync(join(steps(2), "x"), join(steps(2), "optimizer.safetensors"));
      },
    ],
    [
      "no checksums, as an earlier version wrote it",
      "/weights.safetensors is of step 2 and was written with checksums, which state.json lacks",
      () => writeFileSync(join(steps(2), "state.json"), '{"version":1,"step":2,"seed":9}'),
    ],
    ["no weights", "/weights.safetensors is missing", () => rmSync(join(steps(2), "weights.safetensors"))],
    [
      "weights that are a link",
      "/weights.safetensors is a link, which may lead anywhere",
      () => link(join(steps(2), "weights.safetensors")),
    ],
    ["a checkpoint that is a link", " is a link, which may lead anywhere", () => link(steps(2))],
    [
      "a checkpoint that is a file",
      " is not a folder",
      () => {
        rmSync(steps(2), { recursive: true });
        writeFileSync(steps(2), "");
      },
    ],
    ["no state", "/state.json is missing", () => rmSync(join(steps(2), "state.json"))],
    [
      "a state that is no file",
      "/state.json is not a file",
      () => {
        rmSync(join(steps(2), "state.json"));
        mkdirSync(join(steps(2), "state.json"));
      },
    ],
    [
      "a state of 100 kB",
      "/state.json has 100001 bytes, more than it ever needs",
      () => edit(join(steps(2), "state.json"), (text) => text.padEnd(100_001)),
    ],
    [
      "the state of another step",
      "/state.json says step 1, which is not its folder's",
      () => cpSync(join(steps(1), "state.json"), join(steps(2), "state.json")),
    ],
    ["null", "/state.json must be an object, got null", inState(() => null)],
    ["a number", "/state.json must be an object, got 2", inState(() => 2)],
    ["a list", `/state.json must be an object, got [${"1,".repeat(19)}1`, inState(() => Array(30).fill(1))],
    [
      "a later version",
      "/state.json has version 3, this program reads 2 and earlier: update @mrcnn/trainer",
      inState((all) => ({ ...all, version: 3, more: 1 })),
    ],
    ["version 0", "/state.json must have version 1 or 2, got 0", inState((all) => ({ ...all, version: 0 }))],
    [
      "half a version",
      "/state.json must have version 1 or 2, got 2.5",
      inState((all) => ({ ...all, version: 2.5 })),
    ],
    [
      "a version in words",
      '/state.json must have version 1 or 2, got "3"',
      inState((all) => ({ ...all, version: "3" })),
    ],
    [
      "a version that has no checksums",
      '/state.json has "sha256", "checksum", which version 1 has not',
      inState((all) => ({ ...all, version: 1 })),
    ],
    [
      "what no version has",
      '/state.json has "more", "most", which version 2 has not',
      inState((all) => ({ ...all, more: 1, most: 2 })),
    ],
    [
      "a step before the first",
      "/state.json must have a step that is a whole number from 0 up, got -1",
      inState((all) => ({ ...all, step: -1 })),
    ],
    [
      "half a step",
      "/state.json must have a step that is a whole number from 0 up, got 1.5",
      inState((all) => ({ ...all, step: 1.5 })),
    ],
    [
      "text for a step",
      '/state.json must have a step that is a whole number from 0 up, got "2"',
      inState((all) => ({ ...all, step: "2" })),
    ],
    [
      "text for a seed",
      '/state.json must have a seed that is a number, got "9"',
      inState((all) => ({ ...all, seed: "9" })),
    ],
    [
      "no sums",
      "/state.json must have the sha256 of weights and optimizer",
      inState((all) => ({ ...all, sha256: undefined })),
    ],
    [
      "no sum of the weights",
      "/state.json must have the sha256 of weights and optimizer",
      inState((all) => ({ ...all, sha256: { optimizer: "0" } })),
    ],
    [
      "no sum of the optimizer",
      "/state.json must have the sha256 of weights and optimizer",
      inState((all) => ({ ...all, sha256: { weights: "0" } })),
    ],
    [
      "other sums",
      "/state.json doesn't have the checksum it was written with: a part of it has changed since",
      inState((all) => ({ ...all, sha256: { weights: "0", optimizer: "0" } })),
    ],
    [
      "another step number",
      "/state.json doesn't have the checksum it was written with: a part of it has changed since",
      inState((all) => ({ ...all, step: 3 })),
    ],
    [
      "another seed",
      "/state.json doesn't have the checksum it was written with: a part of it has changed since",
      inState((all) => ({ ...all, seed: 8 })),
    ],
  ])("%s: the one before is taken, and both are named; alone it is refused", async (_, what, damage) => {
    await writeCheckpoint(folder, state(1));
    await writeCheckpoint(folder, state(2));
    damage();
    expect(await read()).toEqual({
      step: 1,
      notes: [`${steps(2)}${what}. Using ${steps(1)}, the newest checkpoint that is whole.`],
    });
    // Nobody has to listen.
    expect((await readLatestCheckpoint(folder)).step).toBe(1);
    rmSync(steps(1), { recursive: true });
    await expect(read()).rejects.toMatchObject({
      code: "weights",
      message: `readCheckpoint: ${folder} has no whole checkpoint: ${steps(2)}${what}. ${restore}`,
    });
  });

  test("a state that is no JSON is told with the parser's words, which are the error's cause", async () => {
    await writeCheckpoint(folder, state(2));
    writeFileSync(join(steps(2), "state.json"), '{"version":2,');
    const error = (await latestCheckpoint(folder).catch((reason: unknown) => reason)) as Error & {
      cause: { cause: SyntaxError };
    };
    const { cause } = error.cause;
    expect(cause).toBeInstanceOf(SyntaxError);
    expect(error.message).toBe(
      `readCheckpoint: ${folder} has no whole checkpoint: ${steps(2)}/state.json is not JSON: ${cause.message}. ${restore}`,
    );
  });

  // Root may read everything, and only the main thread can become another user.
  const isRoot = process.geteuid?.() === 0;
  test.skipIf(process.platform === "win32" || (isRoot && !isMainThread))(
    "files that may not be read are named with why",
    async () => {
      for (const step of [1, 2, 3]) await writeCheckpoint(folder, state(step), { keep: 3 });
      chmodSync(folder, 0o755);
      for (const [file, mode] of [
        [steps(1), 0o755],
        [join(steps(1), "state.json"), 0o644],
        [steps(2), 0o755],
        [join(steps(2), "state.json"), 0],
        [steps(3), 0],
      ] as const)
        chmodSync(file, mode);
      if (isRoot) process.seteuid!(65_534);
      try {
        const notes: string[] = [];
        expect(await latestCheckpoint(folder, { onNote: (note) => notes.push(note) })).toBe(steps(1));
        const [third, second] = [join(steps(3), "state.json"), join(steps(2), "state.json")];
        expect(notes).toEqual([
          `${third} can't be read: EACCES: permission denied, lstat '${third}'; ${second} can't be read: EACCES: permission denied, open '${second}'. Using ${steps(1)}, the newest checkpoint that is whole.`,
        ]);
      } finally {
        if (isRoot) process.seteuid!(0);
        chmodSync(steps(3), 0o755);
      }
    },
  );

  test("state.json may be as long as 100000 bytes, and the step 0", async () => {
    await writeCheckpoint(folder, state(0));
    edit(join(steps(0), "state.json"), (text) => text.padEnd(100_000));
    expect(await read()).toEqual({ step: 0, notes: [] });
  });

  const leaves = ": it may not lead out of its folder";
  test.each<[string, string, string | (() => void)]>([
    ["missing", "is missing", () => rmSync(latest())],
    ["empty", 'must name a checkpoint beside it (step-…), got ""', ""],
    [
      "of NULs, as a power cut leaves it",
      String.raw`must name a checkpoint beside it (step-…), got "\u0000\u0000"`,
      "\0\0",
    ],
    [
      "a path up",
      `must name a checkpoint beside it (step-…), got "../step-00000002"${leaves}`,
      "../step-00000002\n",
    ],
    ["the folder above", `must name a checkpoint beside it (step-…), got ".."${leaves}`, "..\n"],
    ["an absolute path", `must name a checkpoint beside it (step-…), got "/etc"${leaves}`, "/etc\n"],
    [
      "a path of Windows",
      String.raw`must name a checkpoint beside it (step-…), got "C:\\runs"${leaves}`,
      "C:\\runs\n",
    ],
    [
      "a path down",
      `must name a checkpoint beside it (step-…), got "step-00000002/../step-00000001"${leaves}`,
      "step-00000002/../step-00000001\n",
    ],
    ["another name", 'must name a checkpoint beside it (step-…), got "step.2"', "step.2\n"],
    [
      "two lines",
      String.raw`must name a checkpoint beside it (step-…), got "step-00000002\nstep-00000001"`,
      "step-00000002\nstep-00000001\n",
    ],
    ["long", `must name a checkpoint beside it (step-…), got "${"x".repeat(80)}"`, "x".repeat(100)],
    ["longer than any", "has 100001 bytes, more than it ever needs", "x".repeat(100_001)],
    ["a link", "is a link, which may lead anywhere", () => link(latest())],
  ])(
    "latest that is %s: the newest whole checkpoint is taken, and that is said",
    async (_, what, content) => {
      await writeCheckpoint(folder, state(1));
      await writeCheckpoint(folder, state(2));
      if (typeof content === "string") writeFileSync(latest(), content);
      else content();
      expect(await read()).toEqual({
        step: 2,
        notes: [`${latest()} ${what}. Using ${steps(2)}, the newest checkpoint that is whole.`],
      });
    },
  );

  test("after the one that latest names come those before it, then those after it, newest first", async () => {
    for (const step of [1, 2, 3, 4, 5]) await writeCheckpoint(folder, state(step), { keep: 5 });
    writeFileSync(latest(), "step-00000003\n");
    const damaged: string[] = [];
    for (const step of [3, 2, 1, 5, 4]) {
      const notes: string[] = [];
      expect(await latestCheckpoint(folder, { onNote: (note) => notes.push(note) })).toBe(steps(step));
      expect(notes).toEqual(
        damaged.length === 0 ?
          []
        : [`${damaged.join("; ")}. Using ${steps(step)}, the newest checkpoint that is whole.`],
      );
      rmSync(join(steps(step), "state.json"));
      damaged.push(`${steps(step)}/state.json is missing`);
    }
    await expect(latestCheckpoint(folder)).rejects.toThrow(
      `readCheckpoint: ${folder} has no whole checkpoint: ${damaged.join("; ")}. ${restore}`,
    );
  });

  test("latestCheckpoint looks at state.json alone", async () => {
    for (const step of [1, 2]) await writeCheckpoint(folder, state(step));
    rmSync(join(steps(2), "weights.safetensors"));
    expect(await latestCheckpoint(folder)).toBe(steps(2));
  });

  test("an error of onNote is the caller's", async () => {
    await writeCheckpoint(folder, state(1));
    rmSync(latest());
    await expect(
      readLatestCheckpoint(folder, {
        onNote: () => {
          throw new Error("the log is closed");
        },
      }),
    ).rejects.toThrow(/^the log is closed$/);
  });

  test("latest decides, where a write was stopped before it or a person has changed it", async () => {
    await writeCheckpoint(folder, state(1));
    await writeCheckpoint(folder, state(2));
    writeFileSync(join(folder, "latest"), "step-00000001\n");
    expect(await read()).toEqual({ step: 1, notes: [] });
  });

  test("a checkpoint of an earlier version is read, and that it can't be checked is said", async () => {
    writeOld(7);
    const note = `${steps(7)} is of an earlier version of this program, without checksums: whether it is as it was written can't be checked.`;
    expect(await read()).toEqual({ step: 7, notes: [note] });
    const notes: string[] = [];
    expect((await readLatestWeights(folder, { onNote: (text) => notes.push(text) })).get("w")!.data[0]).toBe(
      7,
    );
    expect(notes).toEqual([note]);
    // Nobody has to listen.
    expect(await latestCheckpoint(folder)).toBe(steps(7));
  });

  test("what can be seen without checksums is: a file that is cut, and a value that is no number", async () => {
    writeOld(7);
    writeFileSync(join(steps(7), "weights.safetensors"), "cut");
    const file = join(steps(7), "weights.safetensors");
    await expect(read()).rejects.toThrow(
      `readCheckpoint: ${folder} has no whole checkpoint: ${file}: a file of 3 bytes is shorter than the header's length. The file is cut, corrupt, or not safetensors. ${restore}`,
    );
    writeOld(8, {
      ...state(8),
      weights: new Map([["layer.w", { shape: [2], data: Float32Array.of(1, NaN) }]]),
    });
    await expect(read()).rejects.toThrow(
      `${join(steps(8), "weights.safetensors")}: layer.w holds NaN; ${file}: a file of 3 bytes`,
    );
  });

  test("weights are read though the optimizer is damaged; the other way round not", async () => {
    await writeCheckpoint(folder, state(1));
    await writeCheckpoint(folder, state(2));
    flip(join(steps(2), "optimizer.safetensors"), -1);
    expect((await readLatestWeights(folder)).get("w")!.data[0]).toBe(2);
    flip(join(steps(2), "weights.safetensors"), -1);
    const notes: string[] = [];
    expect((await readLatestWeights(folder, { onNote: (note) => notes.push(note) })).get("w")!.data[0]).toBe(
      1,
    );
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
      const file = join(
        target,
        ["weights.safetensors", "optimizer.safetensors", "state.json"][random.int(3)]!,
      );
      const bytes = readFileSync(file);
      const at = random.int(bytes.length);
      let isSame = false;
      switch (k % 5) {
        case 0:
          flip(file, at);
          break;
        case 1:
          truncateSync(file, at);
          break;
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
          const json = JSON.parse(readFileSync(join(target, "state.json"), "utf8")) as Record<
            string,
            unknown
          >;
          const key = [...Object.keys(json), "extra"][random.int(Object.keys(json).length + 1)]!;
          const value = wild[random.int(wild.length)]!;
          isSame = json[key] === value;
          writeFileSync(join(target, "state.json"), JSON.stringify({ ...json, [key]: value }));
        }
      }
      const notes: string[] = [];
      const outcome = await readLatestCheckpoint(folder, { onNote: (note) => notes.push(note) }).catch(
        (error: unknown) => error as Error,
      );
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
  test.each([
    ["weights", "weight"],
    ["optimizer", "velocity"],
  ] as const)("values of the %s that are not finite are not saved", async (part, word) => {
    await writeCheckpoint(folder, state(5));
    for (const value of [NaN, Infinity, -Infinity]) {
      const broken = {
        ...state(6),
        [part]: new Map([["layer.w", { shape: [2], data: Float32Array.of(1, value) }]]),
      };
      await expect(writeCheckpoint(folder, broken)).rejects.toMatchObject({
        code: "weights",
        message:
          `writeCheckpoint: after step 6 ${word} layer.w holds ${value}; it is not saved, and the previous checkpoint is untouched. ` +
          "Lower the learning rate, lengthen the warm-up, or set gradient clipping (optimizer.clipNorm).",
      });
    }
    expect(readdirSync(folder).toSorted()).toEqual(["latest", "step-00000005"]);
  });

  test("a write that fails half-way leaves the previous checkpoint and no litter", async () => {
    await writeCheckpoint(folder, state(5));
    const broken = { ...state(6), optimizer: new Map([["w", { shape: [3], data: new Float32Array(2) }]]) };
    const why = "writeSafetensors: tensor w of shape [3] must hold 3 values, got 2.";
    await expect(writeCheckpoint(folder, broken)).rejects.toMatchObject({
      code: "weights",
      message: `writeCheckpoint: ${steps(6)} could not be written: ${why} Free some space or choose another folder; the previous checkpoint is untouched.`,
      cause: { message: why },
    });
    expect(readdirSync(folder).toSorted()).toEqual(["latest", "step-00000005"]);
    expect((await readLatestCheckpoint(folder)).step).toBe(5);
  });

  test("a folder in latest's place is refused before a run goes on, and a checkpoint written beside it is not lost", async () => {
    await writeCheckpoint(folder, state(5));
    rmSync(latest());
    mkdirSync(latest());
    writeFileSync(join(latest(), "mine.txt"), "");
    await expect(readLatestCheckpoint(folder)).rejects.toMatchObject({
      code: "weights",
      message: `readCheckpoint: ${latest()} must be a file, got a folder: the next checkpoint could not be written. Move it away; the newest whole checkpoint is found without it.`,
    });
    await expect(writeCheckpoint(folder, state(6))).rejects.toMatchObject({
      code: "weights",
      message: expect.stringMatching(
        /^writeCheckpoint: \S+step-00000006 is written, but \S+latest could not be made to name it: EISDIR: .*\. Free some space, or move away what is in its place\.$/,
      ),
      cause: { code: "EISDIR" },
    });
    expect(readdirSync(folder).toSorted()).toEqual(["latest", "step-00000005", "step-00000006"]);
    // Who only looks at the weights needs no latest.
    const notes: string[] = [];
    expect((await readLatestWeights(folder, { onNote: (note) => notes.push(note) })).get("w")!.data[0]).toBe(
      6,
    );
    expect(notes).toEqual([
      `${latest()} is not a file. Using ${steps(6)}, the newest checkpoint that is whole.`,
    ]);
    renameSync(latest(), join(folder, "mine"));
    expect((await readLatestCheckpoint(folder)).step).toBe(6);
  });

  test.each<[string, number | undefined, number[]]>([
    ["two", undefined, [3, 4]],
    ["one", 1, [4]],
    ["three", 3, [2, 3, 4]],
    ["at least that which is written", 0, [4]],
  ])("of whole checkpoints the newest are kept: %s", async (_, keep, kept) => {
    for (const step of [1, 2, 3, 4])
      await writeCheckpoint(folder, state(step), keep === undefined ? {} : { keep });
    expect(readdirSync(folder).toSorted()).toEqual(["latest", ...kept.map((step) => basename(steps(step)))]);
  });

  test.each<[string, () => void]>([
    ["weights are cut", () => truncateSync(join(steps(2), "weights.safetensors"), 60)],
    ["optimizer is missing", () => rmSync(join(steps(2), "optimizer.safetensors"))],
    ["state is empty", () => writeFileSync(join(steps(2), "state.json"), "")],
  ])("one whose %s takes no whole one's place, and goes with those before it", async (_, damage) => {
    for (const step of [1, 2]) await writeCheckpoint(folder, state(step));
    damage();
    await writeCheckpoint(folder, state(3));
    expect(readdirSync(folder).toSorted()).toEqual([
      "latest",
      "step-00000001",
      "step-00000002",
      "step-00000003",
    ]);
    rmSync(steps(3), { recursive: true });
    expect((await readLatestCheckpoint(folder)).step).toBe(1);
    await writeCheckpoint(folder, state(3));
    await writeCheckpoint(folder, state(4));
    expect(readdirSync(folder).toSorted()).toEqual(["latest", "step-00000003", "step-00000004"]);
  });

  test("of those without checksums, one counts that can be read", async () => {
    await writeCheckpoint(folder, state(1));
    for (const step of [2, 3]) writeOld(step);
    truncateSync(join(steps(3), "optimizer.safetensors"), 60);
    await writeCheckpoint(folder, state(4));
    expect(readdirSync(folder).toSorted()).toEqual([
      "latest",
      "step-00000002",
      "step-00000003",
      "step-00000004",
    ]);
  });

  test("a step that was saved before is saved anew", async () => {
    await writeCheckpoint(folder, state(5));
    writeFileSync(join(steps(5), "left.txt"), "");
    await writeCheckpoint(folder, { ...state(5), seed: 10 });
    expect((await readLatestCheckpoint(folder)).seed).toBe(10);
    expect(readdirSync(steps(5)).toSorted()).toEqual([
      "optimizer.safetensors",
      "state.json",
      "weights.safetensors",
    ]);
  });

  test.skipIf(!existsSync("/proc/self/fd"))("no file stays open", async () => {
    const count = (): number => readdirSync("/proc/self/fd").length;
    const before = count();
    for (let step = 0; step < 10; step++) await writeCheckpoint(folder, state(step));
    expect(count() - before).toBeLessThan(10);
  });

  test("what a write that was killed has left is cleared away", async () => {
    mkdirSync(join(folder, "step-00000003.tmp"));
    writeFileSync(join(folder, "step-00000003.tmp", "weights.safetensors"), "");
    writeFileSync(join(folder, "latest.tmp"), "step");
    await writeCheckpoint(folder, state(5));
    expect(readdirSync(folder).toSorted()).toEqual(["latest", "step-00000005"]);
  });

  test("checkpoints of later steps are left alone, and don't count", async () => {
    for (const step of [50, 1, 2, 3]) await writeCheckpoint(folder, state(step), { keep: 2 });
    expect(readdirSync(folder).toSorted()).toEqual([
      "latest",
      "step-00000002",
      "step-00000003",
      "step-00000050",
    ]);
    expect((await readLatestCheckpoint(folder)).step).toBe(3);
  });

  test("steps may have more than eight digits", async () => {
    for (const step of [99_999_999, 100_000_000, 100_000_001])
      await writeCheckpoint(folder, state(step), { keep: 2 });
    expect(existsSync(join(folder, "step-99999999"))).toBe(false);
    expect((await readLatestCheckpoint(folder)).step).toBe(100_000_001);
  });
});
