import { WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import { detectron2Metadata, fromDetectron2, isDetectron2 } from "./detectron2.ts";
import { formatOf } from "./file-format.ts";
import type { WeightsFormat } from "./file-format.ts";
import { dequantize } from "./quantize.ts";
import { kerasTensors } from "./keras-weights.ts";
import { fromMatterport, isMatterport } from "./matterport.ts";
import { readSafetensorsMetadata, safetensorsTensors } from "./safetensors.ts";
import { readShards } from "./shards.ts";
import { fromTorch } from "./torch-layout.ts";

/** Weights of a detector, whoever trained it. */
export interface SourceWeights {
  readonly format: WeightsFormat;
  /** The library they were made with, told by their names: its numerics belong to them. "mrcnn" is this project. */
  readonly source: "mrcnn" | "torchvision" | "detectron2" | "matterport";
  /** Of all norms. Batch norm is told from frozen batch norm by the count of batches that torch keeps. */
  readonly norm: "frozen_batch_norm" | "batch_norm" | "group_norm";
  /** Under this project's names and in its layouts, in memory of their own. */
  readonly arrays: NamedArrays;
  /** What the file says beside the weights. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads the weights of a Mask, Faster or Keypoint R-CNN. The format is told by the file's first bytes, the
 * library by the names in it; what it is called plays no part. Nothing of the file is run. It takes about
 * twice the file's size, the file included; four times when it holds half floats or int8.
 *
 * @throws WeightsError that says what the file looks like and what is accepted, or names the tensor or
 * position where it is cut or corrupt.
 */
export async function readWeights(bytes: Uint8Array, where: string): Promise<SourceWeights> {
  const format = formatOf(bytes, where);
  const weights = tell(format, await open(bytes, format, where), where);
  return { ...weights, arrays: ownMemory(weights.arrays, bytes) };
}

/**
 * The same of weights in several files: the parsed JSON of their index, and what gives the bytes of a file
 * beside it.
 *
 * @throws WeightsError as `readShards` and `readWeights`.
 */
export async function readShardedWeights(index: unknown, readShard: (file: string) => Promise<Uint8Array>, where: string): Promise<SourceWeights> {
  const { arrays, metadata } = await readShards(index, readShard, where);
  return tell("safetensors", { tensors: arrays, metadata }, where);
}

function tell(format: WeightsFormat, { tensors, metadata }: Opened, where: string): SourceWeights {
  try {
    const { source, arrays } = translate(withoutPrefix(tensors), metadata);
    return { format, source, norm: normOf(arrays, tensors, metadata), arrays, metadata: { ...metadata, ...(source === "detectron2" && detectron2Metadata(tensors)) } };
  } catch (error) {
    // Names of tensors come without the file's.
    if (error instanceof WeightsError && !error.message.startsWith(where)) throw new WeightsError(`${where}: ${error.message}`, { cause: error });
    throw error;
  }
}

interface Opened {
  /** By the source's own names and in its layouts. */
  readonly tensors: NamedArrays;
  readonly metadata: Readonly<Record<string, string>>;
}

async function open(bytes: Uint8Array, format: WeightsFormat, where: string): Promise<Opened> {
  switch (format) {
    case "safetensors":
      return { tensors: safetensorsTensors(bytes, where), metadata: readSafetensorsMetadata(bytes, where) };
    // Readers of other formats are loaded when they are needed: pages fetch what they use.
    case "torch": {
      const { torchTensors } = await import("./torch-checkpoint.ts");
      return { tensors: torchTensors(bytes, where), metadata: {} };
    }
    case "pickle": {
      const { detectronTensors } = await import("./detectron-pickle.ts");
      const { tensors, detectron1 } = detectronTensors(bytes, where);
      // Its configs' PIXEL_MEANS; the files don't say.
      return { tensors, metadata: detectron1 ? { library: "detectron1", pixel_mean: "[102.9801,115.9465,122.7717]", pixel_std: "[1,1,1]" } : {} };
    }
    case "hdf5":
      return { tensors: await kerasTensors(bytes, where), metadata: {} };
  }
}

// What torch's DataParallel puts before every name.
function withoutPrefix(tensors: NamedArrays): NamedArrays {
  const prefix = "module.";
  if (tensors.size === 0 || ![...tensors.keys()].every((name) => name.startsWith(prefix))) return tensors;
  return new Map([...tensors].map(([name, array]) => [name.slice(prefix.length), array]));
}

function translate(tensors: NamedArrays, metadata: Opened["metadata"]): Pick<SourceWeights, "source" | "arrays"> {
  const names = [...tensors.keys()];
  if (isDetectron2(names)) return { source: "detectron2", arrays: fromDetectron2(tensors) };
  if (isMatterport(names)) return { source: "matterport", arrays: fromMatterport(tensors) };
  if (names.some((name) => name.startsWith("backbone.body.")) && names.some((name) => name.startsWith("rpn.head."))) {
    return metadata["format"] === "mrcnn" || isOurLayout(tensors) ? { source: "mrcnn", arrays: dequantize(tensors) } : { source: "torchvision", arrays: fromTorch(tensors) };
  }
  throw new WeightsError(
    `the weights must be those of a Mask, Faster or Keypoint R-CNN of torchvision, detectron2, matterport or this project, got ${describeNames(names)}.`,
  );
}

// The stem reads three colours: [7, 7, 3, out] here, [out, 3, 7, 7] in torch.
function isOurLayout(tensors: NamedArrays): boolean {
  const shape = tensors.get("backbone.body.conv1.weight")?.shape ?? [];
  return shape.length === 4 && shape[0] === shape[1] && shape[2] === 3;
}

function describeNames(names: readonly string[]): string {
  const has = (pattern: RegExp): boolean => names.some((name) => pattern.test(name));
  if (names.length === 0) return "a file without weights";
  if (has(/^(neck|rpn_head|roi_head|bbox_head)\./)) return "a model of mmdetection";
  if (has(/^(layer4|features|classifier|fc|head)\./) && !has(/rpn|roi_heads/)) return "an ImageNet classifier: a backbone alone";
  if (has(/^(backbone\.)?(stem\.conv1|res2)\./) && !has(/rpn/)) return "an ImageNet classifier for detectron2: a backbone alone";
  if (has(/^(res5|conv5_block|fc1000|predictions|block5)/) && !has(/rpn|mrcnn/)) return "an ImageNet classifier of Keras: a backbone alone";
  const some = names.slice(0, 4).map((name) => name.slice(0, 80)).join(", ");
  return `a model of another kind, with the names ${some}${names.length > 4 ? ` and ${names.length - 4} more` : ""}`;
}

function normOf(arrays: NamedArrays, tensors: NamedArrays, metadata: Opened["metadata"]): SourceWeights["norm"] {
  const stated = metadata["norm"];
  if (stated === "frozen_batch_norm" || stated === "batch_norm" || stated === "group_norm") return stated;
  // Only the weights of norms are vectors.
  const norms = [...arrays].flatMap(([name, { shape }]) => (name.endsWith(".weight") && shape.length === 1 ? [name.slice(0, -"weight".length)] : []));
  const withStatistics = norms.filter((name) => arrays.has(`${name}running_mean`));
  if (norms.length > 0 && withStatistics.length === 0) return "group_norm";
  if (withStatistics.length < norms.length) {
    const [batch, group] = [withStatistics[0]!, norms.find((name) => !withStatistics.includes(name))!];
    throw new WeightsError(`all norms must be of one kind, got batch norm (${batch}weight) and group norm (${group}weight), or statistics are missing.`);
  }
  return [...tensors.keys()].some((name) => name.endsWith(".num_batches_tracked")) ? "batch_norm" : "frozen_batch_norm";
}

/** Arrays that don't keep the file in memory. */
function ownMemory(arrays: NamedArrays, file: Uint8Array): NamedArrays {
  const own = new Map<string, HostArray>();
  for (const [name, { shape, data }] of arrays) own.set(name, { shape, data: data.buffer === file.buffer ? data.slice() : data });
  return own;
}
