/** Copies named arrays into a model's variables, and back. */
import { tensor } from "@tensorflow/tfjs-core";
import { misfitOf, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import type { NamedTensors, NamedVariables } from "@mrcnn/core/tensors";

/** Options of `assignWeights`. */
export interface AssignOptions {
  /** Requires an array for every variable, and no others. Default true. */
  readonly strict?: boolean;
}

/** Result of `assignWeights`. `missing` and `unexpected` are empty when strict. */
export interface AssignReport {
  readonly assigned: readonly string[];
  /** Names of variables without an array, which keep their values. */
  readonly missing: readonly string[];
  /** Names of arrays without a variable. */
  readonly unexpected: readonly string[];
}

/**
 * Copies arrays into the variables of the same name. Everything is checked first: on an error no variable has
 * changed. A wrong shape is always an error; missing and unexpected names only when strict.
 *
 * @throws WeightsError listing the names that are missing, unexpected or of the wrong shape.
 */
export function assignWeights(
  variables: NamedVariables,
  arrays: NamedArrays,
  { strict = true }: AssignOptions = {},
): AssignReport {
  const names = [...variables.keys()];
  const assigned = names.filter((name) => arrays.has(name));
  const missing = names.filter((name) => !arrays.has(name));
  const unexpected = [...arrays.keys()].filter((name) => !variables.has(name));
  const misfit = misfitOf(new Map([...variables].map(([name, { shape }]) => [name, shape])), arrays, {
    strict,
  });
  if (misfit !== undefined) {
    throw new WeightsError(
      `assignWeights: the weights must fit the model's ${names.length} variables: ${misfit}. ` +
        "This is a checkpoint of another architecture; use the configuration it was trained with.",
    );
  }
  for (const name of assigned) {
    const variable = variables.get(name)!;
    const { shape, data } = arrays.get(name)!;
    // Copied, because some backends keep the array itself.
    const value = tensor(data.slice(), [...shape], variable.dtype as "float32");
    variable.assign(value);
    value.dispose();
  }
  return { assigned, missing, unexpected };
}

/** Downloads variables (or tensors) as arrays of the same names. */
export async function toArrays(variables: NamedTensors): Promise<NamedArrays> {
  const arrays = new Map<string, HostArray>();
  for (const [name, variable] of variables) {
    // Copied, because some backends return their own memory.
    const data = (await variable.data()).slice() as HostArray["data"];
    arrays.set(name, { shape: [...variable.shape], data });
  }
  return arrays;
}
