import { isMrcnnError, noRandom, parseJson, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedVariables } from "@mrcnn/core";
import { createMaskRcnn, inferMaskRcnnConfig, parseCategories, parseMaskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnn, MaskRcnnConfig, Numerics } from "@mrcnn/model";
import { assignWeights } from "@mrcnn/weights";
import type { SourceWeights } from "@mrcnn/weights";
import type { CatalogEntry } from "./catalog.ts";
import { coco80, coco90, cocoKeypoints, cocoPerson } from "./coco.ts";
import type { Category } from "./coco.ts";

/** What is known of weights beside what they say themselves. */
export interface PretrainedOptions {
  /** The model they must be of. */
  readonly entry?: CatalogEntry | undefined;
  /** Names of the classes, label 1 first, for weights that were trained on others. */
  readonly classes?: readonly string[] | undefined;
  /** In place of what the file says, or is read off the weights. */
  readonly config?: MaskRcnnConfig | undefined;
  /** What the weights came from, for errors. */
  readonly where: string;
  /** Takes the arrays out of `weights` one by one, so that they need not be there twice. Default false. */
  readonly consume?: boolean | undefined;
}

/** A model with its weights, and what its labels mean. */
export interface Pretrained {
  readonly model: MaskRcnn;
  /** In the order of the labels, label 1 first. */
  readonly categories: readonly Category[];
}

const libraries: readonly Numerics[] = ["torchvision", "detectron2", "matterport"];

// A file of this project's own may say whose arithmetic its weights want.
function numericsOf({ source, metadata }: SourceWeights): Numerics | undefined {
  if (source !== "mrcnn") return source;
  return libraries.find((name) => name === (metadata["numerics"] ?? metadata["source"]));
}

function assertSource(weights: SourceWeights, entry: CatalogEntry, where: string): void {
  const own = weights.source === "mrcnn" && (weights.metadata["source"] ?? "mrcnn") === "mrcnn";
  const source = entry.source === "mrcnn" && own ? "mrcnn" : numericsOf(weights);
  if (source === undefined || source === entry.source) return;
  const whose = entry.source === "mrcnn" ? "this project" : entry.source;
  throw new WeightsError(`${where}: these are weights of ${source}, but ${entry.name} is ${whose}'s. Name a model of ${source}, or give weights of ${whose}.`);
}

// What a file's metadata has, as JSON, under `name`.
function statedIn<T>({ metadata }: SourceWeights, name: string, { where, parse }: { readonly where: string; readonly parse: (value: unknown, where: string) => T }): T | undefined {
  const text = metadata[name];
  if (text === undefined) return undefined;
  try {
    return parse(parseJson(text), `${where}: its metadata's ${name}`);
  } catch (cause) {
    if (isMrcnnError(cause)) throw new WeightsError(`${cause.message} Convert the weights anew.`, { cause });
    throw new WeightsError(`${where}: its metadata's ${name} must be JSON (${(cause as Error).message}). Convert the weights anew.`, { cause });
  }
}

// Only files of this project's own state their config and classes, and whose arithmetic they want.
function statedConfig(weights: SourceWeights, where: string): MaskRcnnConfig | undefined {
  return weights.source === "mrcnn" ? statedIn(weights, "config", { where, parse: parseMaskRcnnConfig }) : undefined;
}

function statedCategories(weights: SourceWeights, where: string): readonly Category[] | undefined {
  return weights.source === "mrcnn" ? statedIn(weights, "categories", { where, parse: parseCategories }) : undefined;
}

function assertStated({ source, metadata }: SourceWeights, where: string): void {
  const known: Readonly<Record<string, readonly string[]>> = { numerics: libraries, source: [...libraries, "mrcnn"] };
  for (const [name, values] of source === "mrcnn" ? Object.entries(known) : []) {
    const value = metadata[name];
    if (value !== undefined && value !== "" && !values.includes(value)) throw new WeightsError(`${where}: its metadata's ${name} must be one of ${values.join(", ")}, got ${JSON.stringify(value)}. Convert the weights anew.`);
  }
}

// Each part of a network in words, so that a difference can be told.
const inWords = (network: CatalogEntry["network"], keypoints: boolean): Record<string, string> => ({
  depth: `ResNet-${network.depth}`,
  cardinality: network.cardinality === 1 ? "plain convolutions" : `${network.cardinality} groups of convolutions`,
  architecture: network.architecture.toUpperCase(),
  mask: network.mask ? "a mask head" : "no mask head",
  keypoints: keypoints ? "a keypoint head" : "no keypoint head",
  rpnConvs: `${network.rpnConvs} RPN convolution${network.rpnConvs === 1 ? "" : "s"}`,
});

function assertNetwork({ architecture, backbone, rpn, mask, keypoints }: MaskRcnnConfig, entry: CatalogEntry, where: string): void {
  const { depth, cardinality } = backbone;
  const given = { architecture, depth, cardinality, rpnConvs: rpn.convs, mask } as CatalogEntry["network"];
  const [got, wanted] = [inWords(given, keypoints.length > 0), inWords(entry.network, entry.keypoints !== undefined)];
  const differing = Object.keys(wanted).filter((part) => got[part] !== wanted[part]);
  if (differing.length === 0) return;
  const listed = (words: Record<string, string>): string => differing.map((part) => words[part]).join(", ");
  throw new WeightsError(`${where}: ${entry.name} has ${listed(wanted)}; these weights are of a network with ${listed(got)}. Name the model they are of.`);
}

/** The categories of a model that tells `count` classes apart. */
function categoriesOf(count: number, numerics: Numerics, { entry, classes, stated }: PretrainedOptions & { readonly stated: readonly Category[] | undefined }): readonly Category[] {
  const numbered = (names: readonly string[]): Category[] => names.map((name, i) => ({ id: i + 1, name }));
  if (classes !== undefined) return numbered(classes);
  if (stated !== undefined) return stated;
  const known = entry !== undefined ? [entry.categories] : numerics === "torchvision" ? [coco90, cocoPerson] : [coco80, cocoPerson];
  return known.find((categories) => categories.length === count) ?? numbered(Array.from({ length: count }, (_, i) => `class ${i + 1}`));
}

// detectron2's files may say what their input was normalised by.
function pixelsOf(weights: SourceWeights, where: string): { mean?: Triple; std?: Triple } {
  const tripleAbove = (least: number) => (value: unknown, at: string): Triple => {
    if (Array.isArray(value) && value.length === 3 && value.every((one) => Number.isFinite(one) && one > least)) return value as unknown as Triple;
    throw new WeightsError(`${at} must be three numbers${least === 0 ? " above 0" : ""}, got ${JSON.stringify(value).slice(0, 80)}.`);
  };
  const mean = statedIn(weights, "pixel_mean", { where, parse: tripleAbove(-Infinity) });
  const std = statedIn(weights, "pixel_std", { where, parse: tripleAbove(0) });
  return { ...(mean && { mean }), ...(std && { std }) };
}

type Triple = readonly [number, number, number];

// A config's names differ from each other; torchvision's gaps do not.
const distinct = (categories: readonly Category[]): string[] => categories.map(({ id, name }) => (name === "N/A" ? `N/A ${id}` : name));

/**
 * Builds the model that weights are of: its config and classes are what a file of this project's says in its
 * metadata (`config`, `categories`), else the config is read off names and shapes, the number of classes
 * follows the weights, and their names the catalog where the numbers agree. The caller disposes the model,
 * and may let go of the weights.
 *
 * @throws WeightsError when they are of another library or network than `entry`, or of none that is known.
 */
export function createPretrained(weights: SourceWeights, options: PretrainedOptions): Pretrained {
  const { entry, where } = options;
  assertStated(weights, where);
  if (entry !== undefined) assertSource(weights, entry, where);
  const stated = options.config ?? statedConfig(weights, where);
  const numerics = libraries.find((name) => name === entry?.source) ?? numericsOf(weights) ?? "torchvision";
  const count = classCount(weights, where);
  const categories = categoriesOf(count, numerics, { ...options, stated: statedCategories(weights, where) });
  if (categories.length !== count) throw new WeightsError(`${where}: the weights tell ${count} classes apart, ${categories.length} names were given.`);
  const { arrays, norm } = weights;
  const keypoints = arrays.get("roi_heads.keypoint_predictor.kps_score_lowres.weight")?.shape[2];
  const config =
    stated ??
    inferMaskRcnnConfig(arrays, {
      numerics,
      norm,
      // A training of this project starts from its own default.
      ...(numericsOf(weights) === undefined && { eps: 1e-5 }),
      classes: distinct(categories),
      ...(keypoints === cocoKeypoints.length && { keypoints: cocoKeypoints }),
      image: pixelsOf(weights, where),
      where,
    });
  if (entry !== undefined) assertNetwork(config, entry, where);
  const model = createMaskRcnn(config, noRandom);
  try {
    if (options.consume === true && arrays instanceof Map) moveWeights(model.variables, arrays as Map<string, HostArray>);
    else assignWeights(model.variables, arrays);
  } catch (error) {
    model.dispose();
    throw new WeightsError(`${where}: ${(error as Error).message}`, { cause: error });
  }
  return { model, categories };
}

// As assignWeights, but nothing is held longer than needed.
function moveWeights(variables: NamedVariables, arrays: Map<string, HostArray>): void {
  const fits = arrays.size === variables.size && [...variables].every(([name, { shape }]) => String(arrays.get(name)?.shape) === String(shape));
  if (!fits) {
    assignWeights(variables, arrays); // it says what differs
    return;
  }
  for (const [name, variable] of variables) {
    assignWeights(new Map([[name, variable]]), new Map([[name, arrays.get(name)!]]));
    arrays.delete(name);
  }
}

function classCount({ arrays }: SourceWeights, where: string): number {
  const bias: HostArray | undefined = arrays.get("roi_heads.box_predictor.cls_score.bias");
  if (bias === undefined) throw new WeightsError(`${where}: roi_heads.box_predictor.cls_score.bias is missing. These are not the weights of a Mask, Faster or Keypoint R-CNN.`);
  return bias.data.length - 1;
}
