/** Checkpoints on disk: written atomically, and verified by checksums when they are read. */
import { createHash } from "node:crypto";
import { lstat, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { firstNotFinite, isMrcnnError, WeightsError } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";
import { readSafetensors, readSafetensorsMetadata, writeSafetensors } from "@mrcnn/weights";
import type { CheckpointState } from "./checkpoint.ts";

/**
 * Version of the format. 1: without checksums. 2: state.json holds the checksums of the other files and its
 * own.
 */
const VERSION = 2;

/** Fields of state.json in each version. */
const FIELDS: Readonly<Record<1 | 2, readonly string[]>> = {
  1: ["version", "step", "seed"],
  2: ["version", "step", "seed", "sha256", "checksum"],
};

/** Maximum size of state.json, which takes some 300 bytes. */
const MAX_STATE_BYTES = 100_000;

const NAME = /^step-(\d{8,15})$/;
const nameOf = (step: number): string => `step-${String(step).padStart(8, "0")}`;
const stepOf = (name: string): number => Number(NAME.exec(name)![1]);

const files = { weights: "weights.safetensors", optimizer: "optimizer.safetensors" } as const;
type Part = keyof typeof files;

/** Content of state.json. The checksums are absent in a checkpoint of version 1. */
interface State {
  readonly step: number;
  readonly seed: number;
  readonly sha256?: Readonly<Record<Part, string>>;
}

const sha256 = (data: Uint8Array | string): string => createHash("sha256").update(data).digest("hex");

// The values are hashed in this order, whatever their order in the file.
const stateChecksum = ({ step, seed, sha256: sums }: Required<State>): string =>
  sha256(JSON.stringify([VERSION, step, seed, sums.weights, sums.optimizer]));

async function writeWhole(file: string, bytes: Uint8Array | string): Promise<void> {
  const handle = await open(file, "w");
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

// A folder's entries are flushed to disk separately; not every system allows a folder to be opened.
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** Describes the first value that is not finite, with its tensor's name; undefined when all are. */
function notFinite(arrays: NamedArrays): string | undefined {
  for (const [name, { data }] of arrays) {
    const at = firstNotFinite(data);
    if (at !== -1) return `${name} holds ${data[at]}`;
  }
  return undefined;
}

/**
 * Writes `folder/step-N/{weights,optimizer}.safetensors` and `state.json`, then points `folder/latest` to it.
 * Everything is written under a temporary name and renamed, so that a crash or a full disk at any moment
 * leaves the previous checkpoint whole. `state.json` holds the SHA-256 of the other files, and its own
 * checksum.
 *
 * Deletes checkpoints of earlier steps once `keep` newer ones are whole, including this one. Default 2. The
 * other `keep` - 1 are verified by their checksums each time, which takes half as long as writing them (0.6 s
 * for 340 MB): a checkpoint damaged in the meantime must not be the only one left.
 *
 * @returns the checkpoint's folder.
 * @throws WeightsError when a weight or velocity is not finite (nothing is written then), or the files can't
 * be written.
 */
export async function writeCheckpoint(
  folder: string,
  state: CheckpointState,
  { keep = 2 }: { keep?: number } = {},
): Promise<string> {
  const name = nameOf(state.step);
  const target = join(folder, name);
  for (const part of ["weights", "optimizer"] as const) {
    const bad = notFinite(state[part]);
    if (bad !== undefined) {
      throw new WeightsError(
        `writeCheckpoint: after step ${state.step} ${part === "weights" ? "weight" : "velocity"} ${bad}; it is not saved, and the previous checkpoint is untouched. Lower the learning rate, lengthen the warm-up, or set gradient clipping (optimizer.clipNorm).`,
      );
    }
  }
  const temporary = `${target}.tmp`;
  const latest = join(folder, "latest");
  let isWritten = false;
  try {
    await mkdir(folder, { recursive: true });
    // Left by a write that was killed.
    for (const entry of await readdir(folder))
      if (entry.endsWith(".tmp")) await rm(join(folder, entry), { recursive: true, force: true });
    await mkdir(temporary);
    const sums = {} as Record<Part, string>;
    for (const part of ["weights", "optimizer"] as const) {
      const bytes = writeSafetensors(state[part], { format: "mrcnn", step: String(state.step) });
      sums[part] = sha256(bytes);
      await writeWhole(join(temporary, files[part]), bytes);
    }
    const body = { step: state.step, seed: state.seed, sha256: sums };
    await writeWhole(
      join(temporary, "state.json"),
      JSON.stringify({ version: VERSION, ...body, checksum: stateChecksum(body) }),
    );
    await syncFolder(temporary);
    await rm(target, { recursive: true, force: true });
    await rename(temporary, target);
    isWritten = true;
    await writeWhole(`${latest}.tmp`, `${name}\n`);
    await rename(`${latest}.tmp`, latest);
    await syncFolder(folder);
  } catch (cause) {
    // What can't be removed now is removed by the next write.
    await Promise.allSettled([temporary, `${latest}.tmp`].map((left) => rm(left, { recursive: true })));
    const why = withoutStop((cause as Error).message);
    throw new WeightsError(
      isWritten ?
        `writeCheckpoint: ${target} is written, but ${latest} could not be made to name it: ${why}. Free some space, or move away what is in its place.`
      : `writeCheckpoint: ${target} could not be written: ${why}. Free some space or choose another folder; the previous checkpoint is untouched.`,
      { cause },
    );
  }
  let whole = 1;
  for (const old of (await checkpointsIn(folder)).filter((entry) => stepOf(entry) < state.step)) {
    const path = join(folder, old);
    if (whole >= keep) await rm(path, { recursive: true, force: true });
    else if (await isWhole(path)) whole++;
  }
  return target;
}

/** Lists the entries of `folder`; none when there is no such folder. */
function entriesOf(folder: string): Promise<string[]> {
  return readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return [];
    throw new WeightsError(
      `readCheckpoint: ${folder} can't be read: ${cause.message}. Checkpoints lie in a folder: check the path and who may read it.`,
      { cause },
    );
  });
}

/** Lists the names of the checkpoints in `folder`, the latest step first. */
async function checkpointsIn(folder: string): Promise<string[]> {
  return (await entriesOf(folder))
    .filter((entry) => NAME.test(entry))
    .toSorted((a, b) => stepOf(b) - stepOf(a));
}

/** Options of the functions that read a run's checkpoint. */
export interface ReadCheckpointOptions {
  /**
   * Called with a sentence for the user: that a damaged checkpoint was skipped, or that an old one has no
   * checksums to verify.
   */
  readonly onNote?: ((note: string) => void) | undefined;
}

// No part of a checkpoint may be a link: a run folder from elsewhere must not refer to files outside itself.
async function readRegular(file: string, most = Infinity): Promise<Uint8Array> {
  const fail = (what: string, cause?: unknown): never => {
    throw new WeightsError(`${file} ${what}`, { cause });
  };
  const unread = (cause: NodeJS.ErrnoException): never =>
    fail(cause.code === "ENOENT" ? "is missing" : `can't be read: ${cause.message}`, cause);
  const found = await lstat(file).catch(unread);
  if (!found.isFile()) fail(found.isSymbolicLink() ? "is a link, which may lead anywhere" : "is not a file");
  if (found.size > most) fail(`has ${found.size} bytes, more than it ever needs`);
  return readFile(file).catch(unread);
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parseState(text: string, file: string): State {
  const fail = (what: string, cause?: unknown): never => {
    throw new WeightsError(`${file} ${what}`, { cause });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return fail(`is not JSON: ${(cause as Error).message}`, cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return fail(`must be an object, got ${text.slice(0, 40)}`);
  const { version, step, seed, sha256: sums, checksum } = value as Record<string, unknown>;
  if (isCount(version) && version > VERSION)
    return fail(`has version ${version}, this program reads ${VERSION} and earlier: update @mrcnn/trainer`);
  if (version !== 1 && version !== 2)
    return fail(`must have version 1 or ${VERSION}, got ${JSON.stringify(version)}`);
  if (!isCount(step))
    return fail(`must have a step that is a whole number from 0 up, got ${JSON.stringify(step)}`);
  if (typeof seed !== "number") return fail(`must have a seed that is a number, got ${JSON.stringify(seed)}`);
  const strange = Object.keys(value).filter((key) => !FIELDS[version].includes(key));
  if (strange.length > 0)
    return fail(
      `has ${strange.map((key) => JSON.stringify(key)).join(", ")}, which version ${version} has not`,
    );
  if (version === 1) return { step, seed };
  const { weights, optimizer } = (sums ?? {}) as Record<string, unknown>;
  if (typeof weights !== "string" || typeof optimizer !== "string")
    return fail("must have the sha256 of weights and optimizer");
  const state = { step, seed, sha256: { weights, optimizer } };
  if (checksum !== stateChecksum(state))
    return fail("doesn't have the checksum it was written with: a part of it has changed since");
  return state;
}

/** A checkpoint whose state.json is whole. */
interface Opened {
  readonly path: string;
  readonly state: State;
}

async function openCheckpoint(path: string): Promise<Opened> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) throw new WeightsError(`${path} is missing`);
  if (!found.isDirectory())
    throw new WeightsError(
      `${path} is ${found.isSymbolicLink() ? "a link, which may lead anywhere" : "not a folder"}`,
    );
  const file = join(path, "state.json");
  const state = parseState(new TextDecoder().decode(await readRegular(file, MAX_STATE_BYTES)), file);
  if (!path.endsWith(nameOf(state.step)))
    throw new WeightsError(`${file} says step ${state.step}, which is not its folder's`);
  return { path, state };
}

/** Reads the bytes of a part, and verifies them where there is a checksum. */
async function readBytes({ path, state }: Opened, part: Part): Promise<Uint8Array> {
  const file = join(path, files[part]);
  const bytes = await readRegular(file);
  if (state.sha256 !== undefined && sha256(bytes) !== state.sha256[part]) {
    throw new WeightsError(
      `${file} doesn't have the checksum that state.json says: it is cut, has changed since it was written, or is of another checkpoint`,
    );
  }
  return bytes;
}

async function readPart(opened: Opened, part: Part): Promise<NamedArrays> {
  const file = join(opened.path, files[part]);
  const bytes = await readBytes(opened, part);
  const arrays = readSafetensors(bytes, file);
  // Files whose metadata name a step are of version 2, whatever state.json says now.
  const { step } = readSafetensorsMetadata(bytes, file);
  if (opened.state.sha256 === undefined && step !== undefined)
    throw new WeightsError(
      `${file} is of step ${step} and was written with checksums, which state.json lacks`,
    );
  const bad = notFinite(arrays);
  if (bad !== undefined) throw new WeightsError(`${file}: ${bad}`);
  return arrays;
}

const readWhole = async (opened: Opened): Promise<CheckpointState> => ({
  step: opened.state.step,
  seed: opened.state.seed,
  weights: await readPart(opened, "weights"),
  optimizer: await readPart(opened, "optimizer"),
});

/**
 * Tells whether a checkpoint can be read: by its checksums, or by the content of its files where it has none.
 */
async function isWhole(path: string): Promise<boolean> {
  try {
    const opened = await openCheckpoint(path);
    if (opened.state.sha256 === undefined) await readWhole(opened);
    else for (const part of ["weights", "optimizer"] as const) await readBytes(opened, part);
    return true;
  } catch {
    return false;
  }
}

type Pointed = { readonly name: string } | { readonly problem: string };

/** Reads the checkpoint's name from `latest`, unless it can't be a valid one. */
async function pointedTo(folder: string): Promise<Pointed> {
  const file = join(folder, "latest");
  try {
    const text = new TextDecoder().decode(await readRegular(file, MAX_STATE_BYTES));
    const name = text.trimEnd();
    if (NAME.test(name)) return { name };
    const leaves = /[\\/]|\.\./.test(name) ? ": it may not lead out of its folder" : "";
    return {
      problem: `${file} must name a checkpoint beside it (step-…), got ${JSON.stringify(name.slice(0, 80))}${leaves}`,
    };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

const withoutStop = (text: string): string => text.replace(/\.$/, "");

/**
 * Returns what `read` finds in the newest whole checkpoint: the one that `latest` names, else those before
 * it, else any.
 */
async function newest<T>(
  folder: string,
  read: (checkpoint: Opened) => Promise<T>,
  { onNote }: ReadCheckpointOptions,
): Promise<T> {
  const all = await checkpointsIn(folder);
  const pointed = await pointedTo(folder);
  let order = all;
  const problems: string[] = [];
  let cause: unknown;
  if ("problem" in pointed) problems.push(pointed.problem);
  else {
    const named = stepOf(pointed.name);
    order = [
      pointed.name,
      ...all.filter((name) => stepOf(name) < named),
      ...all.filter((name) => stepOf(name) > named),
    ];
  }
  for (const name of order) {
    try {
      const opened = await openCheckpoint(join(folder, name));
      const result = await read(opened);
      if (problems.length > 0)
        onNote?.(`${problems.join("; ")}. Using ${opened.path}, the newest checkpoint that is whole.`);
      if (opened.state.sha256 === undefined)
        onNote?.(
          `${opened.path} is of an earlier version of this program, without checksums: whether it is as it was written can't be checked.`,
        );
      return result;
    } catch (error) {
      if (!isMrcnnError(error, "weights")) throw error;
      problems.push(withoutStop(error.message));
      cause ??= error;
    }
  }
  const hint =
    all.length === 0 ? "Train first, or check the path." : "Restore the files, or train into another folder.";
  throw new WeightsError(
    `readCheckpoint: ${folder} has no whole checkpoint: ${problems.join("; ")}. ${hint}`,
    { cause },
  );
}

/**
 * Returns the folder of the newest checkpoint in `folder` whose `state.json` is whole.
 *
 * @throws WeightsError when there is none.
 */
export function latestCheckpoint(folder: string, options: ReadCheckpointOptions = {}): Promise<string> {
  return newest(folder, async ({ path }) => path, options);
}

/**
 * Reads the weights of the newest whole checkpoint in `folder`, without the optimizer. Damaged checkpoints
 * are skipped, and reported to `onNote`.
 *
 * @throws WeightsError naming each damaged file when no checkpoint is whole.
 */
export function readLatestWeights(folder: string, options: ReadCheckpointOptions = {}): Promise<NamedArrays> {
  return newest(folder, (opened) => readPart(opened, "weights"), options);
}

/**
 * Reads the newest whole checkpoint in `folder` to resume from: the one that `latest` names unless a part of
 * it is missing or fails its checksum, else the one before, which is reported to `onNote`.
 *
 * @throws WeightsError naming each damaged file when no checkpoint is whole, or when `latest` is a folder, so
 * that the next checkpoint could not be written.
 */
export async function readLatestCheckpoint(
  folder: string,
  options: ReadCheckpointOptions = {},
): Promise<CheckpointState> {
  const latest = join(folder, "latest");
  const found = await lstat(latest).catch(() => undefined);
  if (found?.isDirectory() === true) {
    throw new WeightsError(
      `readCheckpoint: ${latest} must be a file, got a folder: the next checkpoint could not be written. Move it away; the newest whole checkpoint is found without it.`,
    );
  }
  return newest(folder, readWhole, options);
}

/**
 * Tells whether `folder` contains a checkpoint or `latest`, whole or not.
 *
 * @throws WeightsError when `folder` exists but can't be read, or is not a folder.
 */
export async function hasCheckpoints(folder: string): Promise<boolean> {
  return (await entriesOf(folder)).some((entry) => NAME.test(entry) || entry === "latest");
}
