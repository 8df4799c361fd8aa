/**
 * Removes what training scripts wrap around a model: keys that lead to its state_dict, and prefixes of its
 * names.
 */
import { printable, WeightsError } from "@mrcnn/core";

/** Named tensors that are together in a file, and the keys that lead to them. */
export interface StateDict<T> {
  readonly path: readonly string[];
  readonly tensors: ReadonlyMap<string, T>;
}

/** A model's tensors without their wrappers. */
export interface Unwrapped<T> {
  readonly tensors: ReadonlyMap<string, T>;
  /** Sentences for the user: what was chosen or left out. */
  readonly notes: readonly string[];
}

/**
 * Attributes under which wrappers hold their model: DataParallel and AveragedModel, torch.compile, FSDP,
 * checkpointed activations, DeepSpeed.
 */
const WRAPPERS: ReadonlySet<string> = new Set([
  "module",
  "_orig_mod",
  "_fsdp_wrapped_module",
  "_checkpoint_wrapped_module",
  "_forward_module",
]);

/** Beginning of the names of a detector of torchvision, detectron2 or this project, after any prefix. */
const DETECTOR =
  /(?:^|\.)(?:backbone\.(?:body|fpn|bottom_up|fpn_lateral\d|fpn_output\d|stem|res[2-5])|rpn\.head|proposal_generator\.rpn_head|roi_heads\.(?:(?:box|mask|keypoint)_(?:head|predictor)|res5|layer4))\./;

/** Keys that lead to a model's own state_dict; where several do, the first in this list counts. */
export const HOLDERS: readonly string[] = [
  "model",
  "state_dict",
  "model_state_dict",
  "model_state",
  "net",
  "network",
  "weights",
];

/**
 * Words for averages over the steps of a training: exponential ones, stochastic weight averaging, mean
 * teachers.
 */
const AVERAGED = /(?:^|[._])(?:ema|avg|averaged?|swa|shadow|polyak|teacher)(?:[._]|$)/i;

/** Keys of optimizers' state, which has the model's own names. */
const NO_WEIGHTS =
  /optim|scheduler|scaler|^(?:momentum(?:_buffers?)?|velocit(?:y|ies)|exp_avg(?:_sq)?|grad(?:ient)?s?)$/i;

/** Maximum nesting of the keys that lead to a model. */
const MAX_DEPTH = 6;
const MAX_DICTS = 4096;

interface Candidate<T> extends StateDict<T> {
  /** The keys and the prefix of the names, as in the file. */
  readonly label: string;
}

/**
 * Finds the dicts of named tensors in an unpickled object, outermost first. Among a detector's names, values
 * that are not tensors are ignored; any other dict with such values is not a dict of tensors.
 */
export function stateDicts<T>(root: unknown, isTensor: (value: unknown) => value is T): StateDict<T>[] {
  const found: StateDict<T>[] = [];
  const seen = new Set<unknown>();
  const queue: { readonly path: readonly string[]; readonly value: unknown }[] = [{ path: [], value: root }];
  for (const { path, value } of queue) {
    if (!(value instanceof Map) || seen.has(value)) continue;
    seen.add(value);
    const tensors = new Map<string, T>();
    let others = 0;
    for (const [key, item] of value as Map<unknown, unknown>) {
      if (isTensor(item) && typeof key === "string") tensors.set(key, item);
      else if (
        item instanceof Map &&
        typeof key === "string" &&
        path.length < MAX_DEPTH &&
        queue.length < MAX_DICTS
      )
        queue.push({ path: [...path, key], value: item });
      else if (!(typeof key === "string" && key.endsWith("_extra_state"))) others++;
    }
    if (
      tensors.size > 0 &&
      (others === 0 || [...tensors.keys()].some((name) => DETECTOR.test(withoutWrappers(name))))
    )
      found.push({ path, tensors });
  }
  return found.filter(({ path }) => !path.some((key) => NO_WEIGHTS.test(key)));
}

/**
 * Finds the one model in a file and removes what is wrapped around it: any prefix of a detector's names
 * (`model.`, `_orig_mod.`, `state_dict.net.module.`), the wrappers of torch within them, and what is stored
 * beside the model (the count of an average, a loss's weights). In a file of several models, trained weights
 * come before averages of them (EMA, SWA, a mean teacher), then the first of the keys `model`, `state_dict`,
 * `model_state_dict`, `model_state`, `net`, `network`, `weights`; `notes` tell the choice. From other
 * networks only torch's wrappers are removed.
 *
 * @returns undefined where there are no tensors at all.
 * @throws WeightsError naming the models of a file where more than one remains, and different names that
 * become equal.
 */
export function unwrap<T>(dicts: readonly StateDict<T>[]): Unwrapped<T> | undefined {
  const detectors = dicts.flatMap(splitDetectors);
  const candidates = detectors.length > 0 ? detectors : dicts.map(withoutCommonWrappers);
  if (candidates.length === 0) return undefined;
  const chosen = choose(candidates);
  const others = candidates.filter((candidate) => candidate !== chosen);
  const home = dicts.find(({ path }) => path === chosen.path)!;
  const left =
    detectors.length === 0 ?
      []
    : [...home.tensors.keys()].filter(
        (name) =>
          !candidates.some(
            ({ path, label }) => path === home.path && name.startsWith(label.slice(joined(path).length)),
          ),
      );
  const strangers = left.filter((name) => name !== "n_averaged");
  return {
    tensors: chosen.tensors,
    notes: [
      ...(others.length > 0 ?
        [
          `The file holds ${candidates.length} sets of weights (${[chosen, ...others].map(quoted).join(", ")}): ${quoted(chosen)} is taken${
            isAveraged(chosen) ? ""
            : others.every(isAveraged) ? ", which was trained, not the average"
            : ""
          }.`,
        ]
      : []),
      ...(strangers.length > 0 ?
        [
          `Beside the model the file holds ${strangers
            .slice(0, 3)
            .map((name) => printable(name, 80))
            .join(
              ", ",
            )}${strangers.length > 3 ? ` and ${strangers.length - 3} more` : ""}, which ${strangers.length > 1 ? "are" : "is"} left out.`,
        ]
      : []),
    ],
  };
}

const joined = (path: readonly string[]): string => path.map((key) => `${key}.`).join("");
const quoted = ({ label }: { readonly label: string }): string =>
  JSON.stringify(label === "" ? "(top level)" : printable(label.replace(/\.$/, ""), 80));
const isAveraged = ({ label }: { readonly label: string }): boolean =>
  AVERAGED.test(label.replace(/([a-z])(?=[A-Z])/g, "$1_"));
const withoutWrappers = (name: string): string =>
  name
    .split(".")
    .filter((part) => !WRAPPERS.has(part))
    .join(".");

function choose<T>(candidates: readonly Candidate<T>[]): Candidate<T> {
  if (candidates.length === 1) return candidates[0]!;
  const trained = candidates.filter((candidate) => !isAveraged(candidate));
  const rest = trained.length > 0 ? trained : candidates;
  if (rest.length === 1) return rest[0]!;
  for (const holder of HOLDERS) {
    const held = rest.filter(({ path }) => path[0] === holder);
    if (held.length === 1) return held[0]!;
    if (held.length > 1) break;
  }
  throw new WeightsError(
    `the file must hold one model, got ${rest.length}: ${rest.slice(0, 5).map(quoted).join(", ")}${rest.length > 5 ? ", ..." : ""}. Save the state_dict of the one that is meant.`,
  );
}

/**
 * Splits a name where the detector's own part begins: the prefix as in the file, and the rest without
 * wrappers.
 */
function splitName(name: string): { prefix: string; rest: string } | undefined {
  const parts = name.split(".");
  const kept = parts.flatMap((part, i) => (WRAPPERS.has(part) ? [] : [i]));
  const plain = kept.map((i) => parts[i]!).join(".");
  const match = DETECTOR.exec(plain);
  if (match === null) return undefined;
  const begin = match[0].startsWith(".") ? match.index + 1 : match.index;
  const skipped = begin === 0 ? 0 : plain.slice(0, begin - 1).split(".").length;
  return {
    prefix: parts
      .slice(0, kept[skipped])
      .map((part) => `${part}.`)
      .join(""),
    rest: plain.slice(begin),
  };
}

/** Groups the tensors of a dict into detectors, by the prefix of their names. */
function splitDetectors<T>({ path, tensors }: StateDict<T>): Candidate<T>[] {
  const groups = new Map<string, Map<string, T>>();
  const strangers: [string, T][] = [];
  const put = (prefix: string, rest: string, name: string, tensor: T): void => {
    const group = groups.get(prefix) ?? groups.set(prefix, new Map()).get(prefix)!;
    if (group.has(rest))
      throw new WeightsError(
        `tensor ${printable(name)}: without its wrappers it is ${printable(rest)}, and so is another. Save the state_dict of the model alone.`,
      );
    group.set(rest, tensor);
  };
  for (const [name, tensor] of tensors) {
    const split = splitName(name);
    if (split === undefined) strangers.push([name, tensor]);
    else put(split.prefix, split.rest, name, tensor);
  }
  // The longest first: "model.ema." before "model.".
  const prefixes = [...groups.keys()].toSorted((a, b) => b.length - a.length);
  for (const [name, tensor] of strangers) {
    const prefix = prefixes.find((one) => name.startsWith(one));
    if (prefix !== undefined) put(prefix, withoutWrappers(name.slice(prefix.length)), name, tensor);
  }
  return [...groups].map(([prefix, group]) => ({ path, tensors: group, label: joined(path) + prefix }));
}

/** Removes the wrappers that all names begin with, and then the count of torch's AveragedModel too. */
function withoutCommonWrappers<T>({ path, tensors }: StateDict<T>): Candidate<T> {
  let names = [...tensors.keys()];
  const counted = names.filter((name) => name !== "n_averaged");
  let length = 0;
  for (;;) {
    const part = counted[0]?.slice(length).split(".", 1)[0] ?? "";
    if (!WRAPPERS.has(part) || !counted.every((name) => name.startsWith(`${part}.`, length))) break;
    length += part.length + 1;
  }
  if (length > 0) names = counted;
  return {
    path,
    tensors: new Map(names.map((name) => [name.slice(length), tensors.get(name)!])),
    label: joined(path),
  };
}
