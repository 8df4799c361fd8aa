/**
 * Reads a detector's weights from files of this project, torchvision, detectron2, Detectron and matterport.
 */
import { WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import { fromClassifier, isClassifier } from "./classifier.ts";
import { detectron2Metadata, fromDetectron2, isDetectron2 } from "./detectron2.ts";
import { formatOf } from "./file-format.ts";
import type { WeightsFormat } from "./file-format.ts";
import { inFile } from "./file-tensor.ts";
import { assertRcnn, describeNetwork, isRcnn } from "./foreign.ts";
import { dequantize } from "./quantize.ts";
import { kerasTensors } from "./keras-weights.ts";
import { fromMatterport, isMatterport } from "./matterport.ts";
import { readSafetensorsMetadata, safetensorsTensors } from "./safetensors.ts";
import { readShards } from "./shards.ts";
import { fromTorch } from "./torch-layout.ts";
import { unwrap } from "./unwrap.ts";

/** Weights of a detector, from any supported library. */
export interface SourceWeights {
  readonly format: WeightsFormat;
  /**
   * Library the weights were made with, detected by their names: its numerics belong to them. "mrcnn" is this
   * project.
   */
  readonly source: "mrcnn" | "torchvision" | "detectron2" | "matterport";
  /**
   * Kind of all norms. Batch norm is distinguished from frozen batch norm by the count of batches that torch
   * stores.
   */
  readonly norm: "frozen_batch_norm" | "batch_norm" | "group_norm";
  /** The weights in this project's names and layouts, in memory of their own. */
  readonly arrays: NamedArrays;
  /** Metadata of the file. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Sentences for the user: what was chosen where the file is ambiguous, and what beside the model was left
   * out.
   */
  readonly notes?: readonly string[];
  /**
   * Whether the weights are a classifier's, used as a detector's backbone; only where `classifiers` allows
   * it.
   */
  readonly isClassifier?: boolean;
}

/** Options of `readWeights`. */
export interface ReadWeightsOptions {
  /**
   * Accepts a ResNet classifier of torchvision too: as the backbone of a detector, without its output layer.
   * Default false.
   */
  readonly classifiers?: boolean | undefined;
}

/**
 * Reads the weights of a Mask, Faster or Keypoint R-CNN. The format is detected by the file's first bytes,
 * the library by the names in it; the file's name plays no part. Wrappers that training scripts put around a
 * model are removed: the keys that lead to it, any prefix of its names (`model.`, `_orig_mod.`, `module.`),
 * and what is stored beside it. Of a model and averages of it in one file it takes the model. No code in the
 * file is run. Reading takes about twice the file's size, the file included; four times when it holds half
 * floats or int8.
 *
 * @throws WeightsError that says what the file looks like and what is accepted, or names the tensor or
 * position where it is truncated or corrupt.
 */
export async function readWeights(
  bytes: Uint8Array,
  where: string,
  options: ReadWeightsOptions = {},
): Promise<SourceWeights> {
  const format = formatOf(bytes, where);
  try {
    const weights = tell(format, await open(bytes, format, where), where, options);
    return { ...weights, arrays: ownMemory(weights.arrays, bytes) };
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    // An allocation that the engine refuses.
    throw new WeightsError(
      `${where}: its ${bytes.length} bytes of weights don't fit into memory (${cause.message}). Close other programs, or read it on a machine with more.`,
      { cause },
    );
  }
}

/**
 * Reads weights from several files, as `readWeights` does from one. `index` is the parsed JSON of their
 * index; `readShard` returns the bytes of a file beside it.
 *
 * @throws WeightsError as `readShards` and `readWeights`.
 */
export async function readShardedWeights(
  index: unknown,
  readShard: (file: string) => Promise<Uint8Array>,
  where: string,
): Promise<SourceWeights> {
  const { arrays, metadata } = await readShards(index, readShard, where);
  return tell("safetensors", { tensors: arrays, metadata }, where, {});
}

function tell(
  format: WeightsFormat,
  { tensors, metadata, notes = [] }: Opened,
  where: string,
  { classifiers = false }: ReadWeightsOptions,
): SourceWeights {
  // Errors of these functions name the tensor, not the file.
  return inFile(where, () => {
    const bare = unwrap([{ path: [], tensors }]) ?? { tensors, notes: [] };
    const classifier =
      classifiers && isClassifier([...bare.tensors.keys()]) ? fromClassifier(bare.tensors) : undefined;
    const { source, arrays } =
      classifier === undefined ?
        translate(bare.tensors, metadata)
      : { source: "torchvision" as const, arrays: classifier.arrays };
    return {
      format,
      source,
      norm: normOf(arrays, bare.tensors, metadata),
      arrays,
      metadata: { ...metadata, ...(source === "detectron2" && detectron2Metadata(bare.tensors)) },
      notes: [...notes, ...bare.notes, ...(classifier?.notes ?? [])],
      ...(classifier !== undefined && { isClassifier: true }),
    };
  });
}

interface Opened {
  /** The tensors in the source's own names and layouts. */
  readonly tensors: NamedArrays;
  readonly metadata: Readonly<Record<string, string>>;
  readonly notes?: readonly string[];
}

async function open(bytes: Uint8Array, format: WeightsFormat, where: string): Promise<Opened> {
  switch (format) {
    case "safetensors":
      return { tensors: safetensorsTensors(bytes, where), metadata: readSafetensorsMetadata(bytes, where) };
    // Readers of other formats are loaded on demand: pages fetch only what they use.
    case "torch": {
      const { torchTensors } = await import("./torch-checkpoint.ts");
      return { ...torchTensors(bytes, where), metadata: {} };
    }
    case "pickle": {
      const { detectronTensors } = await import("./detectron-pickle.ts");
      const { tensors, notes, detectron1 } = detectronTensors(bytes, where);
      // PIXEL_MEANS of Detectron's configs; the files don't contain them.
      return {
        tensors,
        notes,
        metadata:
          detectron1 ?
            { library: "detectron1", pixel_mean: "[102.9801,115.9465,122.7717]", pixel_std: "[1,1,1]" }
          : {},
      };
    }
    case "hdf5":
      return { tensors: await kerasTensors(bytes, where), metadata: {} };
  }
}

function translate(
  tensors: NamedArrays,
  metadata: Opened["metadata"],
): Pick<SourceWeights, "source" | "arrays"> {
  const names = [...tensors.keys()];
  if (isMatterport(names)) return { source: "matterport", arrays: fromMatterport(tensors) };
  if (isRcnn(names)) {
    if (isDetectron2(names)) {
      assertRcnn(tensors, "detectron2");
      return { source: "detectron2", arrays: fromDetectron2(tensors) };
    }
    if (metadata["format"] === "mrcnn" || isOurLayout(tensors))
      return { source: "mrcnn", arrays: dequantize(tensors) };
    assertRcnn(tensors, "torchvision");
    return { source: "torchvision", arrays: fromTorch(tensors) };
  }
  throw new WeightsError(
    `the weights must be those of a Mask, Faster or Keypoint R-CNN of torchvision, detectron2, matterport or this project, got ${describeNetwork(names)}.`,
  );
}

// The stem has three input channels: [7, 7, 3, out] here, [out, 3, 7, 7] in torch.
function isOurLayout(tensors: NamedArrays): boolean {
  const shape = tensors.get("backbone.body.conv1.weight")?.shape ?? [];
  return shape.length === 4 && shape[0] === shape[1] && shape[2] === 3;
}

function normOf(
  arrays: NamedArrays,
  tensors: NamedArrays,
  metadata: Opened["metadata"],
): SourceWeights["norm"] {
  const stated = metadata["norm"];
  if (stated === "frozen_batch_norm" || stated === "batch_norm" || stated === "group_norm") return stated;
  // Only the weights of norms are vectors.
  const norms = [...arrays].flatMap(([name, { shape }]) =>
    name.endsWith(".weight") && shape.length === 1 ? [name.slice(0, -"weight".length)] : [],
  );
  const withStatistics = norms.filter((name) => arrays.has(`${name}running_mean`));
  if (norms.length > 0 && withStatistics.length === 0) return "group_norm";
  if (withStatistics.length < norms.length) {
    const [batch, group] = [withStatistics[0]!, norms.find((name) => !withStatistics.includes(name))!];
    throw new WeightsError(
      `all norms must be of one kind, got batch norm (${batch}weight) and group norm (${group}weight), or statistics are missing.`,
    );
  }
  return [...tensors.keys()].some((name) => name.endsWith(".num_batches_tracked")) ? "batch_norm" : (
      "frozen_batch_norm"
    );
}

/** Copies arrays that would keep the file in memory. */
function ownMemory(arrays: NamedArrays, file: Uint8Array): NamedArrays {
  const own = new Map<string, HostArray>();
  for (const [name, { shape, data }] of arrays)
    own.set(name, { shape, data: data.buffer === file.buffer ? data.slice() : data });
  return own;
}
