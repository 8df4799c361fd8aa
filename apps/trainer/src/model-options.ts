/**
 * What the command line says of a model that its weights don't: names of classes, and parts of its config.
 */
import { readFileSync } from "node:fs";
import { isRecord } from "@mrcnn/core";
import type { OptionNames } from "@mrcnn/mask-rcnn";
import { maskRcnnConfigSchema } from "@mrcnn/model";
import type { MaskRcnnConfig, Partially } from "@mrcnn/model";
import { CommandError, UsageError } from "./errors.ts";
import { readJson, stateOf } from "./files.ts";
import { setOption } from "./set-option.ts";

/** As they are given. */
export interface ModelOptions {
  /** Names with commas between, or a file that holds one a line. */
  readonly classes?: string | undefined;
  /** A file with a model's config, or with a training's or run's, whose `model` is meant. */
  readonly config?: string | undefined;
  /** Values of the model's config: path=value. */
  readonly set?: readonly string[] | undefined;
}

/** As they are meant. */
export interface SaidOfModel {
  readonly classes?: readonly string[] | undefined;
  readonly config?: Partially<MaskRcnnConfig> | undefined;
}

/** What errors of the packages call these options. */
export const optionNames: OptionNames = { config: "--set or --config", classes: "--classes" };

/**
 * Reads what is said of a model.
 *
 * @throws UsageError for a key that no config has, or names that can't be; CommandError for a file that is
 *   not there.
 */
export function readModelOptions({ classes, config, set = [] }: ModelOptions): SaidOfModel {
  const start = config === undefined ? undefined : readConfig(config);
  const said = set.reduce<unknown>(
    (so, assignment) => setOption(so, assignment, maskRcnnConfigSchema(so), "backbone.eps=1e-5"),
    start,
  );
  return {
    ...(classes !== undefined && { classes: readClasses(classes) }),
    ...(said !== undefined && { config: said as Partially<MaskRcnnConfig> }),
  };
}

// Parts of a config that only training reads, and those that an option of its own says.
const TRAINING = /^(rpn\.(training|targets)|box\.targets|backbone\.trainableLayers)(\.|=)/;
const OPTIONS: Readonly<Record<string, string>> = {
  "box.scoreThreshold": "--score-threshold",
  "box.maxDetections": "--max-detections",
  "image.minSize": "--min-size",
  "image.maxSize": "--max-size",
};

/**
 * Refuses settings that have no effect where a model detects.
 *
 * @throws UsageError naming the one, and what has.
 */
export function assertSettable(set: readonly string[] = []): void {
  for (const assignment of set) {
    const option = OPTIONS[assignment.split("=")[0]!];
    if (option !== undefined) throw new UsageError(`--set ${assignment}: say it with ${option}.`);
    if (TRAINING.test(assignment))
      throw new UsageError(`--set ${assignment}: that is read in training alone. Leave it out.`);
  }
}

function readConfig(file: string): object {
  const value = readJson(file, "The config");
  const model = isRecord(value) && "model" in value ? value["model"] : value;
  if (!isRecord(model))
    throw new CommandError(
      `--config ${file}: must hold a model's config, or a training's with one as "model".`,
    );
  const known = (maskRcnnConfigSchema(model) as unknown as { entries: object }).entries;
  const unknown = Object.keys(model).find((key) => !(key in known));
  if (unknown !== undefined)
    throw new CommandError(
      `--config ${file}: ${JSON.stringify(unknown)} is no key of a model's config. Known keys: ${Object.keys(known).join(", ")}.`,
    );
  return model;
}

// Names may have dots and slashes; one that alone looks like a file is more likely one with a slip in its
// path.
const looksLikeFile = (text: string): boolean =>
  /^[^,]*([/\\]|\.(txt|names|lst|list|csv|json|ya?ml))$/i.test(text) ||
  /^(\.{0,2}[/\\]|[A-Za-z]:\\)[^,]*$/.test(text);

function readClasses(text: string): string[] {
  const state = stateOf(text);
  if (state !== undefined && !state.isFile())
    throw new CommandError(
      `--classes ${text}: is ${state.isDirectory() ? "a folder" : "no regular file"}. Name a file of one name a line, or give names with commas between.`,
    );
  const isFile = state !== undefined;
  if (!isFile && looksLikeFile(text))
    throw new CommandError(
      `--classes ${text}: no such file. Check the path, or give names with commas between.`,
    );
  const source = isFile ? new TextDecoder().decode(readFileSync(text)) : text;
  if (isFile && /^\s*[[{<]/.test(source))
    throw new UsageError(
      `--classes ${text}: must hold one name a line, label 1 first, got ${JSON.stringify(source.trim().slice(0, 20))}…`,
    );
  const names = (isFile ? source.replace(/\s+$/, "").split(/\r\n|[\r\n]/) : text.split(",")).map((name) =>
    name.trim(),
  );
  const empty = names.indexOf("");
  if (empty !== -1)
    throw new UsageError(`--classes ${text}: ${isFile ? "line" : "name"} ${empty + 1} is empty.`);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new UsageError(`--classes ${text}: ${JSON.stringify(twice)} is there twice.`);
  return names;
}
