import { isMrcnnError, parseJson, quoteIds, toJson, WeightsError } from "@mrcnn/core";
import { inferMaskRcnnConfig, mergeConfig, parseCategories, parseMaskRcnnConfig } from "@mrcnn/model";
import type { InferredConfig, MaskRcnn, MaskRcnnConfig, Numerics, Partially } from "@mrcnn/model";
import type { SourceWeights } from "@mrcnn/weights";
import type { CatalogEntry } from "./catalog.ts";
import { anchorsOfCells } from "./cell-anchors.ts";
import type { Category } from "./coco.ts";
import { modelOfWeights, optionNames } from "./model-of-weights.ts";
import type { OptionNames } from "./model-of-weights.ts";

/** What is known of weights beside what they say themselves. */
export interface PretrainedOptions {
  /** The model they must be of. */
  readonly entry?: CatalogEntry | undefined;
  /** Whether they are that entry's own file, of which all is known. Default false. */
  readonly published?: boolean | undefined;
  /** Names of the classes, label 1 first. */
  readonly classes?: readonly string[] | undefined;
  /** Any part of the model's config: it goes before what the file says, and before what would be assumed. */
  readonly config?: Partially<MaskRcnnConfig> | undefined;
  /** What the weights came from, for errors. */
  readonly where: string;
  /** Takes the arrays out of `weights` one by one, so that they need not be there twice. Default false. */
  readonly consume?: boolean | undefined;
  /** What errors call the options `config` and `classes`, where whoever asks has other names for them. */
  readonly names?: OptionNames | undefined;
}

/** A model with its weights, and what its labels mean. */
export interface Pretrained {
  readonly model: MaskRcnn;
  /** In the order of the labels, label 1 first. */
  readonly categories: readonly Category[];
  /**
   * What weights can't tell and nobody says, so that the library's default was taken, as `path=value` of the config with the
   * value in JSON: "backbone.eps=0". Empty where the file says it all, and for the catalog's own files.
   */
  readonly assumed: readonly string[];
  /** What was chosen where the file leaves a choice, and what beside the model was left out: sentences, as `SourceWeights.notes`. */
  readonly notes: readonly string[];
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
  throw new WeightsError(
    `${where}: these are weights of ${source}, but ${entry.name} is ${whose}'s. Name a model of ${source}, or give weights of ${whose}.`,
  );
}

// What a file's metadata has, as JSON, under `name`.
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

// Only files of this project's own state their config and classes, and whose arithmetic they want.
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

// Each part of a network in words, so that a difference can be told.
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

/** Whether a model's classes have names that somebody gave them, unlike "class 1", "class 2", … */
export const haveNames = (categories: readonly Category[]): boolean =>
  categories.some(({ name }, i) => name !== `class ${i + 1}`);

// Only who knows the model names its classes: as many as COCO has may be anything.
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

// detectron2's files may say what their input was normalised by.
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

// A config's names differ from each other; torchvision's gaps do not.
const distinct = (categories: readonly Category[]): string[] =>
  categories.map(({ id, name }) => (name === "N/A" ? `N/A ${id}` : name));

// What a file says of its input and anchors.
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
 * Builds the model that weights are of. Its config is what a file of this project's says in its metadata, else it is read off
 * names and shapes; `options.config` goes before both, and what neither tells is the library's default and is told as `assumed`.
 * Names of classes come from `options.classes`, the file's metadata or the catalog's entry, else they are "class 1", … Nothing
 * is allocated before names, shapes and values of the weights are seen to be right. The caller disposes the model, and may let
 * go of the weights.
 *
 * @throws WeightsError when they are of another library or network than `entry`, or of none that is known, or nothing can be
 * computed with them; ConfigError for a `config` that can't be meant, or contradicts the weights.
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
    // A training of this project starts from its own default.
    ...(numericsOf(weights) === undefined && { eps: 1e-5 }),
    classes: distinct(categories),
    ...(keypoints === entry?.keypoints?.names.length && { keypoints: entry?.keypoints?.names }),
    stated: settingsIn(weights, said, where),
    config: Object.keys(said).length === 0 ? undefined : said,
    where,
    configName: names.config,
  });
}

/** A config with what somebody says put over it. @throws ConfigError, beginning with `where`, for what can't be meant. */
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
