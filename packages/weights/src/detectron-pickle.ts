/** Reader of the pickles of detectron2 and Detectron. */
import { printable, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import { fromDetectron1 } from "./detectron1.ts";
import { assertTotal, inFile, loadTensors } from "./file-tensor.ts";
import { NumpyArray, numpyGlobals, numpyTensor } from "./numpy-pickle.ts";
import { unpickle } from "./pickle.ts";
import { withSettings } from "./plain-globals.ts";
import { stateDicts, unwrap } from "./unwrap.ts";
import type { Unwrapped } from "./unwrap.ts";

const GLOBALS = /* @__PURE__ */ withSettings(numpyGlobals);

/**
 * Reads a pickle of detectron2, `{"model": {name: ndarray}}`, or of Detectron, `{"blobs": {name: ndarray}}`,
 * of any protocol, written by Python 2 or 3, or a pickle with its arrays under other keys, without the
 * wrappers that `readTorchCheckpoint` removes. Names are detectron2's: Detectron's are translated, its
 * momenta dropped. No code in the file is ever run. dtypes are converted as by `readTorchCheckpoint`; shapes
 * and layouts are torch's. The arrays are views of `bytes` where possible. `where` names the file in errors.
 *
 * @throws WeightsError naming the array or position when the file is truncated, corrupt or holds something
 * else.
 */
export function readDetectronPickle(bytes: Uint8Array, where: string): NamedArrays {
  const { tensors } = detectronTensors(bytes, where);
  return loadTensors(tensors);
}

/**
 * Reads the tensors as `readDetectronPickle` does but without converting them, and tells whether they are
 * Detectron's and what was chosen.
 */
export function detectronTensors(
  bytes: Uint8Array,
  where: string,
): Unwrapped<HostArray> & { readonly detectron1: boolean } {
  const root = unpickle(bytes, { globals: GLOBALS, where }).value;
  if (!(root instanceof Map))
    throw new WeightsError(
      `${where}: the pickle must be a dict with "model" or "blobs", got ${describe(root)}.`,
    );
  const hasBlobs = root.get("blobs") instanceof Map && !(root.get("model") instanceof Map);
  const { tensors: arrays, notes } = (hasBlobs ? undefined : (
    inFile(where, () => unwrap(stateDicts(root, isArray)))
  )) ?? { tensors: arraysOf(root, where), notes: [] };
  const tensors = new Map(
    [...arrays].map(([name, array]) => [name, numpyTensor(array, `${where}: array ${printable(name)}`)]),
  );
  assertTotal(tensors, bytes.length, where);
  const detectron1 =
    hasBlobs || (tensors.size > 0 && [...tensors.keys()].every((name) => !name.includes(".")));
  return { tensors: detectron1 ? inFile(where, () => fromDetectron1(tensors)) : tensors, notes, detectron1 };
}

const isArray = (value: unknown): value is NumpyArray => value instanceof NumpyArray;

/** Returns Detectron's blobs, or throws the errors for a file of neither library. */
function arraysOf(root: ReadonlyMap<unknown, unknown>, where: string): ReadonlyMap<string, NumpyArray> {
  const holder = ["model", "blobs"].find((key) => root.get(key) instanceof Map);
  const arrays = new Map<string, NumpyArray>();
  for (const [name, value] of (holder === undefined ? root : root.get(holder)) as ReadonlyMap<
    unknown,
    unknown
  >) {
    if (typeof name !== "string")
      throw new WeightsError(`${where}: the names of the weights must be strings, got ${describe(name)}.`);
    if (holder !== "model" && name.endsWith("_momentum")) continue;
    if (isArray(value)) {
      arrays.set(name, value);
      continue;
    }
    // Detectron stores its iteration and learning rate among the blobs.
    if (holder === "blobs" && (value === null || typeof value !== "object")) continue;
    throw new WeightsError(
      `${where}: ${printable(name)} must be an array, got ${describe(value)}.${holder === undefined ? ' Weights stand under "model" or "blobs".' : ""}`,
    );
  }
  return arrays;
}

function describe(value: unknown): string {
  if (value instanceof NumpyArray) return "an array";
  if (value instanceof Map) return "a dict";
  if (Array.isArray(value)) return "a list";
  return (
    value === null ? "None"
    : typeof value === "object" ? "an object"
    : `a ${typeof value}`
  );
}
