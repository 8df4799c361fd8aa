/** Tensors that are converted only when they are read from their file. */
import { printable, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import { hostBytes, toHostData } from "./dtype.ts";
import type { DType, rawData } from "./dtype.ts";

/** Maximum rank of a tensor; a file may claim any number of axes. */
export const MAX_RANK = 32;

/**
 * An array that is still in its file: each access to `data` converts it anew, so that a caller who rearranges
 * one array after the other holds one at a time.
 */
export class FileTensor implements HostArray {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly #load: () => ReturnType<typeof rawData>;
  readonly #label: string;

  constructor(shape: readonly number[], dtype: DType, load: () => ReturnType<typeof rawData>, label: string) {
    this.shape = shape;
    this.dtype = dtype;
    this.#load = load;
    this.#label = label;
  }

  get data(): HostArray["data"] {
    return toHostData(this.#load(), this.dtype, this.#label);
  }
}

export type FileTensors = ReadonlyMap<string, FileTensor>;

/** Returns the number of values of a shape read from a file, or undefined when it isn't a valid shape. */
export function countOf(shape: unknown): number | undefined {
  if (!Array.isArray(shape) || shape.length > MAX_RANK) return undefined;
  let count = 1;
  let isEmpty = false;
  for (const size of shape as unknown[]) {
    if (!Number.isSafeInteger(size) || (size as number) < 0) return undefined;
    if (size === 0) isEmpty = true;
    else count *= size as number;
  }
  return (
    isEmpty ? 0
    : Number.isSafeInteger(count) ? count
    : undefined
  );
}

/**
 * Rejects tensors that would take more than four times the size of their file: a few bytes can claim any
 * number of values by strides of 0 or by naming the same storage repeatedly. Conversion of int8 takes four
 * times.
 */
export function assertTotal(tensors: FileTensors, fileLength: number, where: string): void {
  let total = 0;
  for (const [name, { shape, dtype }] of tensors) {
    total += (countOf(shape) ?? Infinity) * hostBytes(dtype);
    if (total > 4 * fileLength) {
      throw new WeightsError(
        `${where}: tensor ${printable(name)}: with it the tensors take ${total} bytes, more than a file of ${fileLength} bytes may hold. The file is corrupt or hostile.`,
      );
    }
  }
}

/** Returns the result of `work`. Errors that name only a tensor are rethrown with the name of the file. */
export function inFile<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const named = `${where}: `;
    // Compared in the form that messages have after `WeightsError` has formatted them.
    if (!(error instanceof WeightsError) || error.message.startsWith(new WeightsError(named).message))
      throw error;
    throw new WeightsError(named + error.message, { cause: error });
  }
}

/** Loads all tensors into memory. */
export function loadTensors(tensors: NamedArrays): NamedArrays {
  const arrays = new Map<string, HostArray>();
  for (const [name, { shape, data }] of tensors) arrays.set(name, { shape, data });
  return arrays;
}
