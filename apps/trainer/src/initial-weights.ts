import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import type { MaskRcnn } from "@mrcnn/model";
import { readWeightsFile } from "@mrcnn/mask-rcnn";
import { assignWeights, fromTorch, readSafetensors, readSafetensorsMetadata } from "@mrcnn/weights";
import { CommandError } from "./errors.ts";

/** Reads a little-endian, C-ordered float32 .npy file. @throws WeightsError naming the file. */
export function readNpy(bytes: Uint8Array, where: string): HostArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isNpy = bytes.length > 12 && new TextDecoder("latin1").decode(bytes.subarray(1, 6)) === "NUMPY";
  if (!isNpy) throw new WeightsError(`${where}: not a .npy file, or cut short.`);
  const [length, start] = bytes[6] === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  const header = new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  const shape = /'shape': \(([^)]*)\)/.exec(header)?.[1]?.split(",").filter((n) => n.trim() !== "").map(Number);
  if (!header.includes("'<f4'") || !header.includes("'fortran_order': False") || shape === undefined) {
    throw new WeightsError(`${where}: must hold float32 in C order, its header is ${header.trim()}.`);
  }
  const size = shape.reduce((a, b) => a * b, 1);
  const data = new Uint8Array(bytes.subarray(start + length)); // a Buffer's slice would be no copy
  if (data.length !== size * 4) throw new WeightsError(`${where}: must hold ${size} values, has ${data.length} bytes. It may be cut short.`);
  return { shape, data: new Float32Array(data.buffer) };
}

// A folder of .npy files holds a backbone whose batch norms are folded into its convolutions: their
// biases are those of frozen batch norms that are otherwise the identity.
function readFolded(folder: string): NamedArrays {
  const arrays = new Map<string, HostArray>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".npy"))) {
    const array = readNpy(readFileSync(join(folder, file)), join(folder, file));
    const name = file.slice(0, -".npy".length);
    const conv = /^(.*?)(conv(\d)|downsample\.0)\.bias$/.exec(name);
    if (conv === null) {
      arrays.set(`backbone.body.${name}`, array);
      continue;
    }
    const norm = `backbone.body.${conv[1]}${conv[3] === undefined ? "downsample.1" : `bn${conv[3]}`}`;
    const filled = (value: number): HostArray => ({ shape: array.shape, data: new Float32Array(array.data.length).fill(value) });
    arrays.set(`${norm}.bias`, array).set(`${norm}.weight`, filled(1)).set(`${norm}.running_mean`, filled(0)).set(`${norm}.running_var`, filled(1));
  }
  if (arrays.size === 0) throw new CommandError(`${folder}: holds no .npy files. Name a folder of weights or a safetensors file.`);
  return fromTorch(arrays);
}

// Of a safetensors file any names are taken, a backbone's alone too; other formats are a detector's.
async function readArrays(file: string): Promise<NamedArrays> {
  if (!file.endsWith(".safetensors")) return (await readWeightsFile(file)).arrays;
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new WeightsError(`${file}: the weights can't be read: ${(cause as Error).message}. Check the path.`, { cause });
  }
  const arrays = readSafetensors(bytes, file);
  return readSafetensorsMetadata(bytes, file)["format"] === "mrcnn" ? arrays : fromTorch(arrays);
}

/**
 * Puts initial weights into a model: those of `path` (a file of torchvision, detectron2, matterport or this
 * project, or a folder of .npy files) whose names and shapes are the model's. The others keep their random
 * start.
 *
 * @returns how many of the model's weights were found.
 * @throws WeightsError when none fits.
 */
export async function loadInitialWeights(model: MaskRcnn, path: string): Promise<{ readonly found: number; readonly of: number }> {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (isFolder && model.config.backbone.norm !== "frozen_batch_norm") {
    throw new CommandError(`${path}: these weights have batch norm folded in; a backbone with ${model.config.backbone.norm} can't use them. Set model.backbone.norm to "frozen_batch_norm".`);
  }
  const arrays = isFolder ? readFolded(path) : await readArrays(path);
  const fitting = new Map([...arrays].filter(([name, { shape }]) => String(model.variables.get(name)?.shape) === String(shape)));
  if (fitting.size === 0) throw new WeightsError(`${path}: no weight has the name and shape of one of the model's. It is of another architecture.`);
  assignWeights(new Map([...model.variables].filter(([name]) => fitting.has(name))), fitting);
  return { found: fitting.size, of: model.variables.size };
}
