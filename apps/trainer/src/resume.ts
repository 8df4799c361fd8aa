// What may change when a run goes on, and what must be said on purpose.
import { toJson } from "@mrcnn/core";
import type { TrainingConfig } from "./config.ts";
import { CommandError } from "./errors.ts";
import { runDirectory } from "./run-directory.ts";

/** A config's values by their paths; lists are values. */
function leaves(value: unknown, path = ""): Map<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return new Map(value === undefined ? [] : [[path, toJson(value)]]);
  return new Map(
    Object.entries(value).flatMap(([key, item]) => [...leaves(item, path === "" ? key : `${path}.${key}`)]),
  );
}

const within = (path: string, parents: readonly string[]): boolean =>
  parents.some((parent) => path === parent || path.startsWith(`${parent}.`));

/** The arithmetic of a run would be another's; the classes are compared before. */
const FIXED = [
  "model",
  "augment",
  "training.batchSize",
  "training.accumulate",
  "training.seed",
  "training.initialWeights",
];
/** May change, but never unasked. */
const ASKED = ["optimizer", "data.train"];
/** Where a data set lies. */
const PLACES = ["images", "annotations", "folder", "masks"].map((key) => `data.train.${key}`);
/** Keys that have no consequence, or are compared in another way. */
const IGNORED = ["$schema", "description", "data.categories", "data.fingerprint"];

/** A value that differs from the run's so far. */
interface Change {
  readonly path: string;
  /** As JSON; undefined where there is none. */
  readonly before: string | undefined;
  readonly now: string | undefined;
}

function changesBetween(before: TrainingConfig, now: TrainingConfig): Change[] {
  const [old, present] = [leaves(before), leaves(now)];
  return [...new Set([...old.keys(), ...present.keys()])]
    .filter((path) => old.get(path) !== present.get(path) && !within(path, IGNORED))
    .map((path) => ({ path, before: old.get(path), now: present.get(path) }));
}

const imagesOf = (fingerprint: string): string => `${fingerprint.split("-")[0]} images`;
const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const shown = (value: string | undefined): string => value ?? "nothing";

export interface ResumeOptions {
  /** The run's folder, as it was given. */
  readonly run: string;
  /** The config that was given; undefined: the run's own. */
  readonly file: string | undefined;
  /** Each --set. */
  readonly assignments: readonly string[];
  /** The fingerprint of the training data that was said on purpose. */
  readonly stated: string | undefined;
}

/**
 * Throws unless a run may go on with `now`. What decides its arithmetic stays; optimizer and training data
 * change only by a --set beside --resume; the rest may change. Data are compared by their content, wherever
 * they lie.
 *
 * @returns what is to be said of the changes.
 * @throws CommandError naming each value that differs, and what to do.
 */
export function assertResumable(
  before: TrainingConfig,
  now: TrainingConfig,
  { run, file, assignments, stated }: ResumeOptions,
): string[] {
  const set = assignments.map((assignment) => assignment.slice(0, assignment.indexOf("=")));
  const isSet = (path: string): boolean => set.some((key) => within(path, [key]) || within(key, [path]));
  const changes = changesBetween(before, now);
  const own = runDirectory(run).config;
  // Without a config, a --set or an edit of the run's own makes a difference.
  const back = (changed: readonly Change[]): string =>
    file !== undefined ? "leave the config out to go on with the run's own"
    : changed.every(({ path }) => isSet(path)) ? "leave the --set out"
    : `put it back as it was in ${own}`;
  const other = `train into another --out (with --set training.initialWeights=${run} it starts from this run's weights)`;

  const fixed = changes.filter(({ path }) => within(path, FIXED));
  if (fixed.length > 0) {
    const each = fixed.map(
      ({ path, before: old, now: value }) =>
        `${path} is ${shown(value)}, the run in ${run} has ${shown(old)}`,
    );
    throw new CommandError(
      `--resume: ${each.join("; ")}. That can't change on the way: ${back(fixed)}, or ${other}.`,
    );
  }

  const [was, is] = [before.data.fingerprint?.train, now.data.fingerprint?.train];
  const isSameData = was !== undefined && was === is;
  const asked = changes.filter(({ path }) => within(path, ASKED) && !(isSameData && PLACES.includes(path)));
  const unasked = asked.filter(({ path }) => !isSet(path));
  if (unasked.length > 0) {
    const each = unasked.map(
      ({ path, before: old, now: value }) =>
        `${path} is ${shown(value)} in ${file ?? own}, the run in ${run} has ${shown(old)}`,
    );
    const say = unasked.flatMap(({ path, now: value }) =>
      value === undefined ? [] : [`--set ${path}=${value.replaceAll(/^"|"$/g, "")}`],
    );
    throw new CommandError(
      `--resume: ${each.join("; ")}. ${capitalized(back(unasked))}, ${say.length > 0 ? `say on purpose what changes (${say.join(" ")}), ` : ""}or ${other}.`,
    );
  }
  const notes: string[] = [];
  if (was === undefined)
    notes.push(
      `The run in ${run} is of an earlier version, which did not keep what its data are known by: whether they are the same can't be checked.`,
    );
  else if (!isSameData) {
    const sizes = `${imagesOf(is!)} now, ${imagesOf(was)} then`;
    if (stated !== is && !asked.some(({ path }) => within(path, ["data.train"]))) {
      throw new CommandError(
        `--resume: the training data are not those that the run in ${run} began with (${sizes}), though they lie in the same place. Put those back, say on purpose that these are meant (--set data.fingerprint.train=${is}), or ${other}.`,
      );
    }
    notes.push(`The training data are others than so far (${sizes}).`);
  }
  const [wasSeen, isSeen] = [before.data.fingerprint?.validation, now.data.fingerprint?.validation];
  if (wasSeen !== undefined && isSeen !== undefined && wasSeen !== isSeen)
    notes.push(
      `The validation data are others than so far (${imagesOf(isSeen)} now, ${imagesOf(wasSeen)} then): earlier lines of eval.jsonl don't compare.`,
    );
  if (changes.length > 0)
    notes.push(
      `Changed from the run so far: ${changes.map(({ path, before: old, now: value }) => `${path} ${shown(old)} → ${shown(value)}`).join("; ")}.`,
    );
  return notes;
}

/**
 * Throws when the data have other classes than the run.
 *
 * @throws CommandError that says how to go on with them.
 */
export function assertSameClasses(
  before: readonly string[] | undefined,
  classes: readonly string[],
  run: string,
): void {
  if (before === undefined || JSON.stringify(before) === JSON.stringify(classes)) return;
  throw new CommandError(
    `--resume: the data now has the classes ${classes.join(", ")}; the run has ${before.join(", ")}. Train into another --out with training.initialWeights=${run}.`,
  );
}
