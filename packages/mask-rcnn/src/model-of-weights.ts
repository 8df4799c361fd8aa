/** Makes a model from arrays, which are checked before anything is allocated. */
import { noRandom, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import type { NamedVariables } from "@mrcnn/core/tensors";
import { assertWeightsFit, assertWeightsSound, createMaskRcnn } from "@mrcnn/model";
import type { MaskRcnn, MaskRcnnConfig } from "@mrcnn/model";
import { assignWeights } from "@mrcnn/weights";

/** Names that errors use for the options of the calling function. */
export interface OptionNames {
  /** Name of the option with other values of the config. */
  readonly config: string;
  /** Name of the option with the names of the classes. */
  readonly classes: string;
}

/** Option names of this package's functions. */
export const optionNames: OptionNames = { config: "config", classes: "classes" };

/** Options of `modelOfWeights`. */
export interface ModelOfWeightsOptions {
  /** Origin of the weights, for errors. */
  readonly where: string;
  /** Advice in errors when config and weights differ. */
  readonly advice?: string | undefined;
  /** Removes the arrays from the map one by one, so that they are not in memory twice. Default false. */
  readonly consume?: boolean | undefined;
  /** Name of the config's option in errors. Default that of this package's functions. */
  readonly configName?: string | undefined;
}

/**
 * Makes the model of `config` with these weights. The caller disposes it, and may release the arrays.
 *
 * @throws WeightsError naming the tensor when the weights don't fit the config, or nothing can be computed
 * with them.
 */
export function modelOfWeights(
  config: MaskRcnnConfig,
  arrays: NamedArrays,
  options: ModelOfWeightsOptions,
): MaskRcnn {
  const {
    where,
    advice = "These are weights of another architecture; use the config they were trained with.",
    consume = false,
    configName = optionNames.config,
  } = options;
  assertWeightsFit(config, arrays, where, advice);
  assertWeightsSound(
    config,
    arrays,
    where,
    (path, value) => `${path}=${JSON.stringify(value)} (${configName})`,
  );
  const model = createMaskRcnn(config, noRandom);
  try {
    if (consume && arrays instanceof Map) moveWeights(model.variables, arrays as Map<string, HostArray>);
    else assignWeights(model.variables, arrays);
  } catch (error) {
    model.dispose();
    throw new WeightsError(`${where}: ${(error as Error).message}`, { cause: error });
  }
  return model;
}

// Assigns as assignWeights does, but holds no array longer than needed.
function moveWeights(variables: NamedVariables, arrays: Map<string, HostArray>): void {
  for (const [name, variable] of variables) {
    assignWeights(new Map([[name, variable]]), new Map([[name, arrays.get(name)!]]));
    arrays.delete(name);
  }
}
