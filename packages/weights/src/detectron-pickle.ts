import { WeightsError } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";
import { fromDetectron1 } from "./detectron1.ts";
import { assertTotal, loadTensors } from "./file-tensor.ts";
import type { FileTensor } from "./file-tensor.ts";
import { NumpyArray, numpyGlobals, numpyTensor } from "./numpy-pickle.ts";
import { unpickle } from "./pickle.ts";

/**
 * Reads a pickle of detectron2, `{"model": {name: ndarray}}`, or of Detectron, `{"blobs": {name: ndarray}}`,
 * of any protocol, written by Python 2 or 3. Names are detectron2's: Detectron's are turned into them, its
 * momenta dropped. Nothing of the file is ever run. dtypes become what `readTorchCheckpoint` makes of them;
 * shapes and layouts are torch's. Where they can be, the arrays are views of `bytes`. `where` names the
 * file in errors.
 *
 * @throws WeightsError naming array or position when the file is cut, corrupt or holds something else.
 */
export function readDetectronPickle(bytes: Uint8Array, where: string): NamedArrays {
  const { tensors } = detectronTensors(bytes, where);
  return loadTensors(tensors);
}

/** The same, not yet converted, and which of the two it is. */
export function detectronTensors(bytes: Uint8Array, where: string): { tensors: NamedArrays; detectron1: boolean } {
  const root = unpickle(bytes, { globals: numpyGlobals, where }).value;
  if (!(root instanceof Map)) throw new WeightsError(`${where}: the pickle must be a dict with "model" or "blobs", got ${describe(root)}.`);
  const holder = ["model", "blobs"].find((key) => root.get(key) instanceof Map);
  const arrays = (holder === undefined ? root : root.get(holder)) as ReadonlyMap<unknown, unknown>;
  const tensors = new Map<string, FileTensor>();
  for (const [name, value] of arrays) {
    if (typeof name !== "string") throw new WeightsError(`${where}: the names of the weights must be strings, got ${describe(name)}.`);
    if (holder !== "model" && name.endsWith("_momentum")) continue;
    if (!(value instanceof NumpyArray)) {
      // Detectron keeps its iteration and learning rate among the blobs.
      if (holder === "blobs" && (value === null || typeof value !== "object")) continue;
      const hint = holder === undefined ? ' Weights stand under "model" or "blobs".' : "";
      throw new WeightsError(`${where}: ${name.slice(0, 200)} must be an array, got ${describe(value)}.${hint}`);
    }
    tensors.set(name, numpyTensor(value, `${where}: array ${name}`));
  }
  assertTotal(tensors, bytes.length, where);
  const detectron1 = holder === "blobs" || (holder === undefined && tensors.size > 0 && [...tensors.keys()].every((name) => !name.includes(".")));
  return { tensors: detectron1 ? fromDetectron1(tensors) : tensors, detectron1 };
}

function describe(value: unknown): string {
  if (value instanceof NumpyArray) return "an array";
  if (value instanceof Map) return "a dict";
  if (Array.isArray(value)) return "a list";
  return value === null ? "None" : typeof value === "object" ? "an object" : `a ${typeof value}`;
}
