/** Checkpoints on disk: whole or absent. */
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { WeightsError } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";
import { readSafetensors, writeSafetensors } from "@mrcnn/weights";
import type { CheckpointState } from "./checkpoint.ts";

const VERSION = 1;
const nameOf = (step: number): string => `step-${String(step).padStart(8, "0")}`;

async function writeWhole(file: string, bytes: Uint8Array | string): Promise<void> {
  const handle = await open(file, "w");
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes `folder/step-N/{weights,optimizer}.safetensors` and `state.json`, then points `folder/latest`
 * to it. Everything is written under a temporary name and renamed, so that a crash or a full disk at
 * any moment leaves the previous checkpoint whole. Only the newest `keep` are kept.
 *
 * @returns the checkpoint's folder.
 */
export async function writeCheckpoint(folder: string, state: CheckpointState, { keep = 2 }: { keep?: number } = {}): Promise<string> {
  const name = nameOf(state.step);
  const target = join(folder, name);
  const temporary = `${target}.tmp`;
  await mkdir(folder, { recursive: true });
  try {
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary);
    await writeWhole(join(temporary, "weights.safetensors"), writeSafetensors(state.weights, { format: "mrcnn" }));
    await writeWhole(join(temporary, "optimizer.safetensors"), writeSafetensors(state.optimizer, { format: "mrcnn" }));
    await writeWhole(join(temporary, "state.json"), JSON.stringify({ version: VERSION, step: state.step, seed: state.seed }));
    await rm(target, { recursive: true, force: true });
    await rename(temporary, target);
    await writeWhole(join(folder, "latest.tmp"), `${name}\n`);
    await rename(join(folder, "latest.tmp"), join(folder, "latest"));
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true });
    await rm(join(folder, "latest.tmp"), { force: true });
    throw new WeightsError(
      `writeCheckpoint: ${target} could not be written: ${(cause as Error).message}. Free some space or choose another folder; the previous checkpoint is untouched.`,
      { cause },
    );
  }
  const steps = (await readdir(folder)).filter((entry) => /^step-\d{8}$/.test(entry)).toSorted();
  for (const old of steps.slice(0, Math.max(0, steps.length - keep))) {
    if (old !== name) await rm(join(folder, old), { recursive: true, force: true });
  }
  return target;
}

/** The folder that `latest` points to. @throws WeightsError when there is none. */
export async function latestCheckpoint(folder: string): Promise<string> {
  try {
    return join(folder, (await readFile(join(folder, "latest"), "utf8")).trim());
  } catch (cause) {
    throw new WeightsError(`latestCheckpoint: ${folder} has no whole checkpoint. Train first, or check the path.`, { cause });
  }
}

async function readArrays(file: string): Promise<NamedArrays> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw new WeightsError(`readCheckpoint: ${file} can't be read: ${(cause as Error).message}.`, { cause });
  }
  return readSafetensors(bytes, file);
}

/** The weights of the newest checkpoint in `folder`, without the optimizer. */
export async function readLatestWeights(folder: string): Promise<NamedArrays> {
  return readArrays(join(await latestCheckpoint(folder), "weights.safetensors"));
}

/**
 * The newest whole checkpoint in `folder`.
 *
 * @throws WeightsError naming the file when it is missing, cut or of a newer version.
 */
export async function readLatestCheckpoint(folder: string): Promise<CheckpointState> {
  const checkpoint = await latestCheckpoint(folder);
  const file = join(checkpoint, "state.json");
  let state: { version: number; step: number; seed: number };
  try {
    state = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    throw new WeightsError(`readCheckpoint: ${file} can't be read: ${(cause as Error).message}.`, { cause });
  }
  if (state.version !== VERSION) {
    throw new WeightsError(`readCheckpoint: ${file} has version ${state.version}, this program reads ${VERSION}. Update @mrcnn/trainer.`);
  }
  return {
    step: state.step,
    seed: state.seed,
    weights: await readArrays(join(checkpoint, "weights.safetensors")),
    optimizer: await readArrays(join(checkpoint, "optimizer.safetensors")),
  };
}
