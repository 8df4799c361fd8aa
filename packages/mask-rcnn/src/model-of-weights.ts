/** The one way from arrays to a model: they are looked over before anything is allocated. */
import { noRandom, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import type { NamedVariables } from "@mrcnn/core/tensors";
import { assertWeightsFit, assertWeightsSound, createMaskRcnn } from "@mrcnn/model";
import type { MaskRcnn, MaskRcnnConfig } from "@mrcnn/model";
import { assignWeights } from "@mrcnn/weights";

/** What errors call the options of whoever asks. */
export interface OptionNames {
  /** Other values of the config. */
  readonly config: string;
  /** Names of the classes. */
  readonly classes: string;
}

/** Those of this package's functions. */
export const optionNames: OptionNames = { config: "config", classes: "classes" };

/** Where weights came from, and what may be done with them. */
export interface ModelOfWeightsOptions {
  /** For errors. */
  readonly where: string;
  /** What to do when config and weights differ. */
  readonly advice?: string | undefined;
  /** Takes the arrays out of the map one by one, so that they need not be there twice. Default false. */
  readonly consume?: boolean | undefined;
  /** What errors call this option. Default that of this package's functions. */
  readonly configName?: string | undefined;
}

/**
 * Makes the model of `config` with these weights. The caller disposes it, and may let go of the arrays.
 *
 * @throws WeightsError when the weights are not the config's, or nothing can be computed with them; it names the tensor.
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

// As assignWeights, but nothing is held longer than needed.
function moveWeights(variables: NamedVariables, arrays: Map<string, HostArray>): void {
  for (const [name, variable] of variables) {
    assignWeights(new Map([[name, variable]]), new Map([[name, arrays.get(name)!]]));
    arrays.delete(name);
  }
}
