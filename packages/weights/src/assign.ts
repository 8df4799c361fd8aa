import { tensor } from "@tensorflow/tfjs-core";
import { misfitOf, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import type { NamedTensors, NamedVariables } from "@mrcnn/core/tensors";

/** How names must agree. */
export interface AssignOptions {
  /** Default true: every variable must be there and nothing else. */
  readonly strict?: boolean;
}

/** What happened to each name. `missing` and `unexpected` are empty when strict. */
export interface AssignReport {
  readonly assigned: readonly string[];
  /** Variables without an array, left as they were. */
  readonly missing: readonly string[];
  /** Arrays without a variable. */
  readonly unexpected: readonly string[];
}

/**
 * Copies arrays into the variables of the same name. Everything is checked first: on an error no
 * variable has changed. A wrong shape is always an error; missing and unexpected names only when
 * strict.
 *
 * @throws WeightsError listing what is missing, unexpected and of the wrong shape.
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
    // A copy: some backends keep the array itself.
    const value = tensor(data.slice(), [...shape], variable.dtype as "float32");
    variable.assign(value);
    value.dispose();
  }
  return { assigned, missing, unexpected };
}

/** Downloads variables (or tensors) as arrays by the same names. */
export async function toArrays(variables: NamedTensors): Promise<NamedArrays> {
  const arrays = new Map<string, HostArray>();
  for (const [name, variable] of variables) {
    // A copy: some backends hand out their own memory.
    const data = (await variable.data()).slice() as HostArray["data"];
    arrays.set(name, { shape: [...variable.shape], data });
  }
  return arrays;
}
