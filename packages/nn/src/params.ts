/** Trees of parameters whose paths are torchvision's state_dict names. */
import { variable } from "@tensorflow/tfjs-core";
import type { Rank, Tensor, Variable } from "@tensorflow/tfjs-core";
import { ConfigError } from "@mrcnn/core";

/**
 * Parameters of a network: records and arrays, nested so that the path to a variable is its name in
 * torchvision's state_dict; undefined entries are skipped. Declare such records with `type`, not `interface`:
 * only types match an index signature.
 */
export type ParamTree =
  Variable | readonly (ParamTree | undefined)[] | { readonly [name: string]: ParamTree | undefined };

/**
 * Parameters of a convolution: `weight` [height, width, in, out], of a transposed one
 * [height, width, out, in]; `bias` [out].
 */
export type Conv2dParams = {
  readonly weight: Variable<Rank.R4>;
  readonly bias?: Variable<Rank.R1>;
};

/** Parameters of a fully connected layer: `weight` [in, out], `bias` [out]. */
export type DenseParams = {
  readonly weight: Variable<Rank.R2>;
  readonly bias?: Variable<Rank.R1>;
};

// Tested by structure, since two copies of tfjs-core would break instanceof.
const isVariable = (value: object): value is Variable => "assign" in value && "dataId" in value;

/**
 * Returns every variable by its dotted name: `{ layer1: [{ conv1: { weight } }] }` has
 * "layer1.0.conv1.weight". `prefix` is put before each name ("backbone.body").
 *
 * @throws ConfigError when a leaf is not a variable.
 */
export function flattenParams(tree: ParamTree, prefix = ""): Map<string, Variable> {
  const found = new Map<string, Variable>();
  const walk = (value: ParamTree | undefined, name: string): void => {
    if (value === undefined) return;
    if (value === null || typeof value !== "object") {
      throw new ConfigError(
        `flattenParams: ${name} must be a variable, a record or an array, got ${String(value)}.`,
      );
    }
    if (isVariable(value)) found.set(name, value);
    else for (const [key, child] of Object.entries(value)) walk(child, name === "" ? key : `${name}.${key}`);
  };
  walk(tree, prefix);
  return found;
}

/** Disposes every variable of the tree. */
export function disposeParams(tree: ParamTree): void {
  for (const v of flattenParams(tree).values()) v.dispose();
}

/** Tells whether a state_dict name is a running statistic: kept in checkpoints, never trained. */
export function isStatistic(name: string): boolean {
  return /(^|\.)running_(mean|var)$/.test(name);
}

/** Turns a tensor into a variable and disposes the tensor. */
export function toVariable<R extends Rank>(
  initial: Tensor<R>,
  { trainable = true }: { trainable?: boolean } = {},
): Variable<R> {
  const result = variable(initial, trainable);
  initial.dispose();
  return result;
}
