import { printable, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import { hostBytes, toHostData } from "./dtype.ts";
import type { DType, rawData } from "./dtype.ts";

/** No array of weights has more axes; a file may claim any number. */
export const MAX_RANK = 32;

/**
 * An array that still lies in its file: `data` converts it anew each time it is asked for, so that a
 * caller who rearranges one array after the other holds one at a time.
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

/** The number of values of a shape read from a file, or undefined when it isn't one. */
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
 * Refuses tensors that would take more than four times their file: a few bytes can claim any number of
 * values by strides of 0 or by naming the same storage again and again. Four is what int8 becomes.
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

/** What `work` gives; its errors name the file, as those that know only a tensor's name don't. */
export function inFile<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const named = `${where}: `;
    // As the message shows it.
    if (!(error instanceof WeightsError) || error.message.startsWith(new WeightsError(named).message))
      throw error;
    throw new WeightsError(named + error.message, { cause: error });
  }
}

/** All of them in memory. */
export function loadTensors(tensors: NamedArrays): NamedArrays {
  const arrays = new Map<string, HostArray>();
  for (const [name, { shape, data }] of tensors) arrays.set(name, { shape, data });
  return arrays;
}
