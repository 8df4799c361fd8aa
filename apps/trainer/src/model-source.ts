/** Loads the model that a command names: a catalog name, a file or a run folder. */
import { existsSync, statSync } from "node:fs";
import { assertOptions, ConfigError, isMrcnnError } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";
import {
  amended,
  createPretrained,
  downloadFile,
  fileInCatalog,
  findInCatalog,
  forget,
  haveNames,
  modelOfWeights,
  nearestInCatalog,
  readWeightsFile,
} from "@mrcnn/mask-rcnn";
import type { CachedFile, CatalogEntry, DownloadProgress, Pretrained } from "@mrcnn/mask-rcnn";
import { assertSizesAgree, detectRules, parseMaskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnn, MaskRcnnConfig } from "@mrcnn/model";
import { readLatestWeights } from "@mrcnn/trainer/node";
import type { Category } from "./data-source.ts";
import type { DetectionSettings } from "./detection.ts";
import { CommandError, inOptions, InterruptedError, UsageError } from "./errors.ts";
import { onInterrupt } from "./interrupt.ts";
import { optionNames, readModelOptions } from "./model-options.ts";
import type { ModelOptions, SaidOfModel } from "./model-options.ts";
import { plural } from "./plural.ts";
import { createProgress } from "./progress.ts";
import type { Progress } from "./progress.ts";
import { isRun, readRunConfig, runDirectory } from "./run-directory.ts";
import type { Terminal } from "./terminal.ts";

/** A model with its weights, and how it is meant to be used. */
export interface LoadedModel {
  readonly model: MaskRcnn;
  /** In the order of the labels: label 1 first. */
  readonly categories: readonly Category[];
  readonly settings: DetectionSettings;
}

/** Where weights come from, where downloads are kept, and what is said of the model. */
export interface ModelSourceOptions extends ModelOptions {
  /** A file to use instead of the model's own weights: nothing is downloaded. */
  readonly weights?: string | undefined;
  /** The folder of downloads, instead of the user's. */
  readonly cache?: string | undefined;
  /** Nothing is downloaded. */
  readonly offline?: boolean | undefined;
  /** What is in the cache is not used. */
  readonly redownload?: boolean | undefined;
  /** Edges of the network's input, where the command says them: nothing is assumed of those. */
  readonly minSize?: number | undefined;
  readonly maxSize?: number | undefined;
  readonly maxDetections?: number | undefined;
  /** Says nothing of what is assumed, for who can't say otherwise. Default false. */
  readonly quiet?: boolean | undefined;
}

/**
 * Loads `name`: a run directory of `mrcnn train`, a file of weights, or a model of the catalog, whose weights
 * are downloaded once unless others are given. The caller disposes the model.
 *
 * @throws CommandError for an unknown name; WeightsError for weights that can't be had, are cut, or are of
 * another model; InterruptedError when Ctrl-C stops a download.
 */
export async function loadModel(
  name: string,
  options: ModelSourceOptions,
  terminal: Terminal,
): Promise<LoadedModel> {
  const { weights, offline, redownload } = options;
  if (offline === true && redownload === true)
    throw new UsageError("--offline and --redownload exclude each other.");
  const entry = isRun(name) ? undefined : findInCatalog(name);
  if (redownload === true && (weights !== undefined || (entry === undefined && existsSync(name))))
    throw new UsageError(
      "--redownload: the weights are a file that is here, and nothing is downloaded. Leave it out.",
    );
  assertDetectOptions(options);
  const said = readModelOptions(options);
  const known = { ...said, names: optionNames, consume: true };
  if (isRun(name)) return loadRun(name, weights, said, terminal);
  if (entry === undefined && statSync(name, { throwIfNoEntry: false })?.isFile() === true) {
    if (weights !== undefined)
      throw new UsageError(`--model ${name} is a file of weights itself. Leave --weights out.`);
    const published = await fileInCatalog(name);
    if (published !== undefined && options.quiet !== true)
      terminal.note(`${name} is ${published.name} of the catalog, by its checksum.`);
    return loaded(
      name,
      createPretrained(await readWeightsFile(name), {
        ...known,
        entry: published,
        published: published !== undefined,
        where: name,
      }),
      options,
      terminal,
    );
  }
  if (entry === undefined) {
    const reason =
      existsSync(name) ?
        "has no config.json, so it is no run of `mrcnn train`"
      : "is neither a run directory nor a file of weights, nor in the catalog";
    const near = nearestInCatalog(name);
    throw new CommandError(
      `--model ${name} ${reason}. ${near === undefined ? "`mrcnn models` lists the catalog." : `Did you mean "${near}"?`}`,
    );
  }
  const fetched = weights === undefined ? await download(entry, options, terminal) : undefined;
  const file = weights ?? fetched!.path;
  try {
    const pretrained = createPretrained(await readWeightsFile(file), {
      ...known,
      entry,
      published: fetched !== undefined,
      where: file,
    });
    if (fetched?.downloaded === true && fetched.checkedBy === "first download") {
      terminal.note(
        `${entry.name}: its source publishes no checksum; the SHA-256 of this first download, ${fetched.sha256}, is kept and looked at on every use.`,
      );
    }
    return loaded(file, pretrained, options, terminal);
  } catch (error) {
    // What was taken for weights because nobody publishes a hash of it.
    if (
      fetched?.downloaded === true &&
      fetched.checkedBy === "first download" &&
      isMrcnnError(error, "weights")
    )
      await forget(entry.url, { cacheDir: options.cache });
    throw error;
  }
}

// Once, and not of every image.
function assertDetectOptions({ minSize, maxSize, maxDetections }: ModelSourceOptions): void {
  try {
    assertOptions({ minSize, maxSize, maxDetections }, detectRules, "detect");
    assertSizesAgree({ minSize, maxSize }, "detect");
  } catch (error) {
    throw new UsageError(inOptions((error as Error).message.replace(/^detect: /, "")), { cause: error });
  }
}

function loaded(
  file: string,
  { model, categories, assumed, notes }: Pretrained,
  options: ModelSourceOptions,
  terminal: Terminal,
): LoadedModel {
  const unsaid = assumed.filter(
    (guess) =>
      !(["minSize", "maxSize"] as const).some(
        (edge) => options[edge] !== undefined && guess.startsWith(`image.${edge}=`),
      ),
  );
  if (options.quiet !== true)
    for (const line of guesses(file, { categories, assumed: unsaid, notes })) terminal.note(line);
  return { model, categories, settings: {} };
}

/**
 * What was chosen and guessed of the model in `file`: a line for each choice, one for its config and one for
 * its names.
 */
export function guesses(
  file: string,
  { categories, assumed, notes }: Pick<Pretrained, "categories" | "assumed" | "notes">,
): string[] {
  return [
    ...notes.map((note) => `${file}: ${note}`),
    ...(assumed.length > 0 ?
      [
        `${file} does not say, so this is assumed: ${assumed.join(" ")}. Say otherwise with --set path=value or --config FILE.`,
      ]
    : []),
    ...(haveNames(categories) ?
      []
    : [
        `${file} has no names for its ${plural(categories.length, "class")}: --classes gives them, or --model NAME --weights ${file} if it is one of the catalog's.`,
      ]),
  ];
}

/** The file of a catalog entry, downloaded where needed, with a bar. */
async function download(
  { name, url, checksum }: CatalogEntry,
  { cache, offline, redownload }: ModelSourceOptions,
  terminal: Terminal,
): Promise<CachedFile> {
  const interrupt = onInterrupt(terminal, "Stopping the download; what has come is kept.");
  let progress: Progress | undefined;
  const onProgress = ({ bytes, total }: DownloadProgress): void => {
    if (total === undefined) return; // then there is nothing to draw
    if (progress === undefined) {
      terminal.note(
        `Downloading the weights of ${name} (${Math.round(total / 1e6)} MB)${bytes > 0 ? `, of which ${Math.round(bytes / 1e6)} MB are here already` : ""}.`,
      );
      progress = createProgress(terminal, {
        label: "download",
        unit: "MB",
        total: megabytes(total),
        start: megabytes(bytes),
      });
    }
    progress.update(megabytes(bytes));
  };
  try {
    return await downloadFile(
      { url, checksum },
      { cacheDir: cache, offline, redownload, signal: interrupt.signal, onProgress },
    );
  } catch (error) {
    if (interrupt.signal.aborted) throw new InterruptedError("The download was stopped.", { cause: error });
    throw error;
  } finally {
    progress?.stop();
    interrupt.release();
  }
}

const megabytes = (bytes: number): number => Math.round(bytes / 1e5) / 10;

/**
 * The model's config of the run at `path`, and what its labels mean.
 *
 * @throws ConfigError or CommandError naming the file.
 */
export function runModel(path: string): {
  readonly config: MaskRcnnConfig;
  readonly categories: readonly Category[];
  readonly settings: DetectionSettings;
} {
  const file = runDirectory(path).config;
  const { model, data, evaluation } = readRunConfig(path);
  const config = parseMaskRcnnConfig(model, `${file}: model`);
  const categories =
    data.categories ?? config.classes.map((className, i) => ({ id: i + 1, name: className }));
  if (categories.length !== config.classes.length)
    throw new ConfigError(`${file}: data.categories and model.classes must be of the same length.`);
  return { config, categories, settings: evaluation };
}

async function loadRun(
  name: string,
  weights: string | undefined,
  said: SaidOfModel,
  terminal: Terminal,
): Promise<LoadedModel> {
  const { checkpoints } = runDirectory(name);
  const { config, categories, settings } = runModelAs(name, said);
  const read = async (file: string): Promise<NamedArrays> => {
    const { arrays, notes = [] } = await readWeightsFile(file);
    for (const note of notes) terminal.note(`${file}: ${note}`);
    return arrays;
  };
  const arrays =
    weights === undefined ?
      await readLatestWeights(checkpoints, { onNote: (note) => terminal.note(note) })
    : await read(weights);
  const model = modelOfWeights(config, arrays, {
    where: weights ?? checkpoints,
    configName: optionNames.config,
  });
  return { model, categories, settings };
}

/** `runModel` with what is said on the command line put over it. */
export function runModelAs(
  path: string,
  { classes, config: given = {} }: SaidOfModel,
): ReturnType<typeof runModel> {
  const run = runModel(path);
  const names = classes ?? given.classes;
  if (names !== undefined && names.length !== run.categories.length) {
    throw new UsageError(
      `--classes: ${path} tells ${run.categories.length} classes apart, ${names.length} names were given. The background has no name.`,
    );
  }
  const categories = names?.map((one, i) => ({ id: i + 1, name: one })) ?? run.categories;
  const config = amended(run.config, categories, given, optionNames.config);
  // What was said goes before how the run evaluated.
  const settings = { ...run.settings };
  for (const key of ["minSize", "maxSize"] as const)
    if (given.image?.[key] !== undefined)
      Object.assign(settings, { [key]: undefined, nativeSize: undefined });
  for (const key of ["scoreThreshold", "maxDetections"] as const)
    if (given.box?.[key] !== undefined) Object.assign(settings, { [key]: undefined });
  return { config, categories, settings };
}
