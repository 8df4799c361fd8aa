/** Weights in several safetensors files with an index, as Hugging Face writes them. */
import { isRecord, printable, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import { dequantize } from "./quantize.ts";
import type { StoredArray, StoredArrays } from "./quantize.ts";
import { readSafetensors, readSafetensorsMetadata, writeSafetensors } from "./safetensors.ts";

/** The index of shards, as Hugging Face writes it in JSON: the file of each tensor. */
export interface ShardIndex {
  /** `total_size`: bytes of all tensors. Other fields are allowed. */
  readonly metadata: { readonly total_size: number };
  readonly weight_map: Readonly<Record<string, string>>;
}

/** One of several files. */
export interface Shard {
  /** Name of the file, "model-00001-of-00003.safetensors". */
  readonly file: string;
  readonly bytes: Uint8Array;
}

/** Options of `writeShards`. */
export interface WriteShardsOptions {
  /** Beginning of the files' names. Default "model". */
  readonly name?: string;
  /** Metadata of every shard, so that each is self-describing. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes arrays as several safetensors files of at most `maxBytes` of tensors each, in the order of their
 * names. A tensor is never split: one that is larger than `maxBytes` is a file of its own. Write the index
 * last, so that its existence means that all shards are there.
 *
 * @throws WeightsError when `maxBytes` is not a valid size, and as `writeSafetensors`.
 */
export function writeShards(
  arrays: StoredArrays,
  maxBytes: number,
  options: WriteShardsOptions = {},
): { readonly index: ShardIndex; readonly shards: readonly Shard[] } {
  if (!(maxBytes > 0)) throw new WeightsError(`writeShards: maxBytes must be above 0, got ${maxBytes}.`);
  const { name = "model", metadata = {} } = options;
  const groups: Map<string, StoredArray>[] = [];
  let size = Infinity;
  let total = 0;
  for (const [tensor, array] of [...arrays].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const bytes = array.data.byteLength;
    total += bytes;
    size += bytes;
    if (size > maxBytes) {
      groups.push(new Map());
      size = bytes;
    }
    groups.at(-1)!.set(tensor, array);
  }
  const digits = (n: number): string => String(n).padStart(5, "0");
  const files = groups.map((_, i) => `${name}-${digits(i + 1)}-of-${digits(groups.length)}.safetensors`);
  return {
    index: {
      metadata: { total_size: total },
      weight_map: Object.fromEntries(
        groups.flatMap((group, i) => [...group.keys()].map((tensor) => [tensor, files[i]!])),
      ),
    },
    shards: groups.map((group, i) => ({ file: files[i]!, bytes: writeSafetensors(group, metadata) })),
  };
}

/** Weights from several files. */
export interface ShardedWeights {
  readonly arrays: NamedArrays;
  /** Metadata of the shards. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads the shards that the parsed JSON of an index names, one after the other; `readShard` returns the bytes
 * of a file beside it. `where` names the index in errors. Files of this project (`format: "mrcnn"`) are
 * dequantised, as by `readWeights`.
 *
 * @throws WeightsError naming the shard that can't be read, or the tensor that is in two shards, in none, or
 * in another than the index says; when sizes don't add up; when the index is invalid.
 */
export async function readShards(
  index: unknown,
  readShard: (file: string) => Promise<Uint8Array>,
  where: string,
): Promise<ShardedWeights> {
  const { map, total } = checkIndex(index, where);
  const arrays = new Map<string, HostArray>();
  const from = new Map<string, string>();
  const metadata: Record<string, string> = {};
  let size = 0;
  for (const file of new Set(map.values())) {
    let bytes: Uint8Array;
    try {
      bytes = await readShard(file);
    } catch (cause) {
      throw new WeightsError(
        `${where}: the shard ${file} can't be read: ${cause instanceof Error ? cause.message : String(cause)}. All shards must lie beside the index.`,
        { cause },
      );
    }
    const shard = `${where}: shard ${file}`;
    Object.assign(metadata, readSafetensorsMetadata(bytes, shard));
    size += bytes.length - headerLength(bytes);
    for (const [name, array] of readSafetensors(bytes, shard)) {
      const first = from.get(name);
      if (first !== undefined)
        throw new WeightsError(
          `${where}: tensor ${printable(name)} must be in one shard, got it in ${first} and ${file}. These are shards of different models.`,
        );
      const listed = map.get(name);
      if (listed !== file) {
        throw new WeightsError(
          `${where}: tensor ${printable(name)} is in ${file}, but the index ${listed === undefined ? "doesn't list it" : `says ${listed}`}. These are shards of different models.`,
        );
      }
      from.set(name, file);
      arrays.set(name, array);
    }
  }
  for (const [name, file] of map) {
    if (!arrays.has(name))
      throw new WeightsError(
        `${where}: tensor ${printable(name)} must be in ${file}, but is in no shard. Get that file again.`,
      );
  }
  if (total !== undefined && total !== size) {
    throw new WeightsError(
      `${where}: the index says that all tensors take ${total} bytes, but they take ${size}. These are shards of different models.`,
    );
  }
  return { arrays: metadata["format"] === "mrcnn" ? dequantize(arrays) : arrays, metadata };
}

const headerLength = (bytes: Uint8Array): number =>
  8 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));

function checkIndex(
  index: unknown,
  where: string,
): { map: ReadonlyMap<string, string>; total: number | undefined } {
  const fail = (what: string): never => {
    throw new WeightsError(
      `${where}: ${what} It must be the index of shards, as model.safetensors.index.json.`,
    );
  };
  if (!isRecord(index) || !isRecord(index["weight_map"]))
    return fail("there is no weight_map of tensors to files.");
  const entries = Object.entries(index["weight_map"]);
  for (const [name, file] of entries) {
    // Only a file beside the index is allowed.
    if (typeof file !== "string" || !/^[^./\\:][^/\\:]*$/.test(file))
      fail(
        `tensor ${printable(name)}: must name a file beside the index, got ${JSON.stringify(file)?.slice(0, 60)}.`,
      );
  }
  if (entries.length === 0) fail("the weight_map is empty.");
  const total = isRecord(index["metadata"]) ? index["metadata"]["total_size"] : undefined;
  if (total !== undefined && !(Number.isSafeInteger(total) && (total as number) >= 0))
    fail(`total_size must be a number of bytes, got ${JSON.stringify(total)?.slice(0, 60)}.`);
  return { map: new Map(entries as [string, string][]), total: total as number | undefined };
}
