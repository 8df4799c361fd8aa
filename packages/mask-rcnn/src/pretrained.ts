/** Builds the model that weights belong to, from their metadata, names and shapes. */
import { isMrcnnError, parseJson, quoteIds, toJson, WeightsError } from "@mrcnn/core";
import { inferMaskRcnnConfig, mergeConfig, parseCategories, parseMaskRcnnConfig } from "@mrcnn/model";
import type { InferredConfig, MaskRcnn, MaskRcnnConfig, Numerics, Partially } from "@mrcnn/model";
import type { SourceWeights } from "@mrcnn/weights";
import type { CatalogEntry } from "./catalog.ts";
import { anchorsOfCells } from "./cell-anchors.ts";
import type { Category } from "./coco.ts";
import { modelOfWeights, optionNames } from "./model-of-weights.ts";
import type { OptionNames } from "./model-of-weights.ts";

/** Options of `createPretrained`: what is known about weights beside what they state themselves. */
export interface PretrainedOptions {
  /** The catalog's model that the weights must be of. */
  readonly entry?: CatalogEntry | undefined;
  /** Whether they are that entry's own file, about which everything is known. Default false. */
  readonly published?: boolean | undefined;
  /** Names of the classes, label 1 first. */
  readonly classes?: readonly string[] | undefined;
  /** Any part of the model's config; it has precedence over the file's metadata and over the defaults. */
  readonly config?: Partially<MaskRcnnConfig> | undefined;
  /** Origin of the weights, for errors. */
  readonly where: string;
  /** Removes the arrays from `weights` one by one, so that they are not in memory twice. Default false. */
  readonly consume?: boolean | undefined;
  /** Names of the options `config` and `classes` in errors. Default those of this package's functions. */
  readonly names?: OptionNames | undefined;
}

/** A model with its weights, and the meaning of its labels. */
export interface Pretrained {
  readonly model: MaskRcnn;
  /** The classes in the order of the labels, label 1 first. */
  readonly categories: readonly Category[];
  /**
   * Settings that neither the weights nor the options state, so that the library's default was taken, as
   * `path=value` of the config with the value in JSON: "backbone.eps=0". Empty where the file states
   * everything, and for the catalog's own files.
   */
  readonly assumed: readonly string[];
  /**
   * What was chosen where the file is ambiguous, and what beside the model was left out: sentences, as
   * `SourceWeights.notes`.
   */
  readonly notes: readonly string[];
}

const libraries: readonly Numerics[] = ["torchvision", "detectron2", "matterport"];

// This project's own files may state the library whose arithmetic their weights need.
function numericsOf({ source, metadata }: SourceWeights): Numerics | undefined {
  if (source !== "mrcnn") return source;
  return libraries.find((name) => name === (metadata["numerics"] ?? metadata["source"]));
}

function assertSource(weights: SourceWeights, entry: CatalogEntry, where: string): void {
  const own = weights.source === "mrcnn" && (weights.metadata["source"] ?? "mrcnn") === "mrcnn";
  const source = entry.source === "mrcnn" && own ? "mrcnn" : numericsOf(weights);
  if (source === undefined || source === entry.source) return;
  const whose = entry.source === "mrcnn" ? "this project" : entry.source;
  throw new WeightsError(
    `${where}: these are weights of ${source}, but ${entry.name} is ${whose}'s. Name a model of ${source}, or give weights of ${whose}.`,
  );
}

// Parses the JSON under `name` in a file's metadata.
function statedIn<T>(
  { metadata }: SourceWeights,
  name: string,
  { where, parse }: { readonly where: string; readonly parse: (value: unknown, where: string) => T },
): T | undefined {
  const text = metadata[name];
  if (text === undefined) return undefined;
  try {
    return parse(parseJson(text), `${where}: its metadata's ${name}`);
  } catch (cause) {
    if (isMrcnnError(cause)) throw new WeightsError(`${cause.message} Convert the weights anew.`, { cause });
    throw new WeightsError(
      `${where}: its metadata's ${name} must be JSON (${(cause as Error).message}). Convert the weights anew.`,
      { cause },
    );
  }
}

// Only this project's own files state their config, classes and arithmetic.
function statedConfig(weights: SourceWeights, where: string): MaskRcnnConfig | undefined {
  return weights.source === "mrcnn" ?
      statedIn(weights, "config", { where, parse: parseMaskRcnnConfig })
    : undefined;
}

function statedCategories(weights: SourceWeights, where: string): readonly Category[] | undefined {
  return weights.source === "mrcnn" ?
      statedIn(weights, "categories", { where, parse: parseCategories })
    : undefined;
}

function assertStated({ source, metadata }: SourceWeights, where: string): void {
  const known: Readonly<Record<string, readonly string[]>> = {
    numerics: libraries,
    source: [...libraries, "mrcnn"],
  };
  for (const [name, values] of source === "mrcnn" ? Object.entries(known) : []) {
    const value = metadata[name];
    if (value !== undefined && value !== "" && !values.includes(value))
      throw new WeightsError(
        `${where}: its metadata's ${name} must be one of ${values.join(", ")}, got ${JSON.stringify(value)}. Convert the weights anew.`,
      );
  }
}

// Describes each part of a network in words, to report differences.
const inWords = (network: CatalogEntry["network"], keypoints: boolean): Record<string, string> => ({
  depth: `ResNet-${network.depth}`,
  cardinality:
    network.cardinality === 1 ? "plain convolutions" : `${network.cardinality} groups of convolutions`,
  architecture: network.architecture.toUpperCase(),
  mask: network.mask ? "a mask head" : "no mask head",
  keypoints: keypoints ? "a keypoint head" : "no keypoint head",
  rpnConvs: `${network.rpnConvs} RPN convolution${network.rpnConvs === 1 ? "" : "s"}`,
});

function assertNetwork(
  { architecture, backbone, rpn, mask, keypoints }: MaskRcnnConfig,
  entry: CatalogEntry,
  where: string,
): void {
  const { depth, cardinality } = backbone;
  const given = { architecture, depth, cardinality, rpnConvs: rpn.convs, mask } as CatalogEntry["network"];
  const [got, wanted] = [
    inWords(given, keypoints.length > 0),
    inWords(entry.network, entry.keypoints !== undefined),
  ];
  const differing = Object.keys(wanted).filter((part) => got[part] !== wanted[part]);
  if (differing.length === 0) return;
  const listed = (words: Record<string, string>): string => differing.map((part) => words[part]).join(", ");
  throw new WeightsError(
    `${where}: ${entry.name} has ${listed(wanted)}; these weights are of a network with ${listed(got)}. Name the model they are of.`,
  );
}

const numbered = (names: readonly string[]): Category[] => names.map((name, i) => ({ id: i + 1, name }));
const unnamed = (count: number): Category[] =>
  numbered(Array.from({ length: count }, (_, i) => `class ${i + 1}`));

/** Tells whether a model's classes have been given names, other than "class 1", "class 2", … */
export const haveNames = (categories: readonly Category[]): boolean =>
  categories.some(({ name }, i) => name !== `class ${i + 1}`);

// Names come only from a known model: as many classes as COCO has may be any classes.
function categoriesOf(
  count: number,
  stated: MaskRcnnConfig | undefined,
  weights: SourceWeights,
  options: PretrainedOptions,
): readonly Category[] {
  const { entry, classes = options.config?.classes, where, names = optionNames } = options;
  if (classes !== undefined) {
    if (classes.length === count) return numbered(classes);
    throw new WeightsError(
      `${where}: the weights tell ${count} classes apart, ${classes.length} names were given. Give ${count} as ${names.classes}, label 1 first; the background has no name.`,
    );
  }
  const listed = statedCategories(weights, where);
  if (listed !== undefined && stated !== undefined && toJson(distinct(listed)) !== toJson(stated.classes)) {
    throw new WeightsError(
      `${where}: its metadata's categories are ${quoteIds(distinct(listed))}, but those of its config ${quoteIds(stated.classes)}. Give the names as ${names.classes}, or convert the weights anew.`,
    );
  }
  const own = listed ?? (stated && numbered(stated.classes));
  if (own !== undefined) {
    if (own.length === count) return own;
    throw new WeightsError(
      `${where}: the weights tell ${count} classes apart, but its metadata names ${own.length}. Give ${count} names as ${names.classes}.`,
    );
  }
  return entry?.categories.length === count ? entry.categories : unnamed(count);
}

// detectron2's files may state how their input was normalised.
function pixelsOf(weights: SourceWeights, where: string): { mean?: Triple; std?: Triple } {
  const tripleAbove =
    (least: number) =>
    (value: unknown, at: string): Triple => {
      if (
        Array.isArray(value) &&
        value.length === 3 &&
        value.every((one) => Number.isFinite(one) && one > least)
      )
        return value as unknown as Triple;
      throw new WeightsError(
        `${at} must be three numbers${least === 0 ? " above 0" : ""}, got ${JSON.stringify(value).slice(0, 80)}.`,
      );
    };
  const mean = statedIn(weights, "pixel_mean", { where, parse: tripleAbove(-Infinity) });
  const std = statedIn(weights, "pixel_std", { where, parse: tripleAbove(0) });
  return { ...(mean && { mean }), ...(std && { std }) };
}

type Triple = readonly [number, number, number];

// The names in a config must be distinct; those of torchvision's gaps are not.
const distinct = (categories: readonly Category[]): string[] =>
  categories.map(({ id, name }) => (name === "N/A" ? `N/A ${id}` : name));

// Returns the settings of input and anchors in a file.
function settingsIn(
  weights: SourceWeights,
  said: Partially<MaskRcnnConfig>,
  where: string,
): Partially<MaskRcnnConfig> {
  const isSaid = said.anchors?.sizes !== undefined && said.anchors.aspectRatios !== undefined;
  const cells = isSaid ? undefined : weights.metadata["cell_anchors"];
  return {
    image: pixelsOf(weights, where),
    ...(cells !== undefined && { anchors: anchorsOfCells(parsed(cells), where) }),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Builds the model that weights belong to. Its config is that in the metadata of a file of this project, else
 * it is derived from names and shapes; `options.config` has precedence over both, and what neither states is
 * the library's default, and is listed in `assumed`. The names of the classes are `options.classes`, those in
 * the file's metadata or those of the catalog's entry, else "class 1", … Names, shapes and values of the
 * weights are checked before anything is allocated. The caller disposes the model, and may release the
 * weights.
 *
 * @throws WeightsError when they are of another library or network than `entry`, or of an unknown one, or
 * nothing can be computed with them; ConfigError for a `config` that is invalid, or contradicts the weights.
 */
export function createPretrained(weights: SourceWeights, options: PretrainedOptions): Pretrained {
  const { entry, where, names = optionNames, config: said = {}, consume } = options;
  assertStated(weights, where);
  if (entry !== undefined) assertSource(weights, entry, where);
  const stated = statedConfig(weights, where);
  const categories = categoriesOf(classCount(weights, where), stated, weights, options);
  const { config, assumed } =
    stated === undefined ?
      inferred(weights, categories, options)
    : { config: amended(stated, categories, said, `${where}: ${names.config}`), assumed: [] };
  if (entry !== undefined) assertNetwork(config, entry, where);
  const advice =
    options.config !== undefined ? `Leave out of ${names.config} what weights tell themselves: their network.`
    : stated === undefined ? "This project builds no such network."
    : "The config in its metadata is not that of its weights. Convert the weights anew.";
  const model = modelOfWeights(config, weights.arrays, { where, advice, consume, configName: names.config });
  return {
    model,
    categories,
    assumed: options.published === true ? [] : assumed,
    notes: weights.notes ?? [],
  };
}

function inferred(
  weights: SourceWeights,
  categories: readonly Category[],
  { entry, config: said = {}, where, names = optionNames }: PretrainedOptions,
): InferredConfig {
  const { arrays, norm } = weights;
  const keypoints = arrays.get("roi_heads.keypoint_predictor.kps_score_lowres.weight")?.shape[2];
  const numerics = libraries.find((name) => name === entry?.source) ?? numericsOf(weights) ?? "torchvision";
  return inferMaskRcnnConfig(arrays, {
    numerics,
    norm,
    // Trainings of this project start from its own default.
    ...(numericsOf(weights) === undefined && { eps: 1e-5 }),
    classes: distinct(categories),
    ...(keypoints === entry?.keypoints?.names.length && { keypoints: entry?.keypoints?.names }),
    stated: settingsIn(weights, said, where),
    config: Object.keys(said).length === 0 ? undefined : said,
    where,
    configName: names.config,
  });
}

/**
 * Returns a config with the given values replaced.
 *
 * @throws ConfigError, beginning with `where`, for invalid values.
 */
export function amended(
  config: MaskRcnnConfig,
  categories: readonly Category[],
  said: Partially<MaskRcnnConfig>,
  where: string,
): MaskRcnnConfig {
  return parseMaskRcnnConfig(mergeConfig(config, { ...said, classes: distinct(categories) }), where);
}

function classCount({ arrays }: SourceWeights, where: string): number {
  const bias = arrays.get("roi_heads.box_predictor.cls_score.bias");
  if (bias === undefined)
    throw new WeightsError(
      `${where}: roi_heads.box_predictor.cls_score.bias is missing. These are not the weights of a Mask, Faster or Keypoint R-CNN.`,
    );
  if (bias.data.length < 2)
    throw new WeightsError(
      `${where}: roi_heads.box_predictor.cls_score.bias must tell the background and a class apart, got ${bias.data.length} values. The file is damaged.`,
    );
  return bias.data.length - 1;
}
