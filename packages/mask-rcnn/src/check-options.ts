/** Checks the options of `loadMaskRcnn` before anything is read. */
import { assertOptions, ConfigError, numberFrom, ofType } from "@mrcnn/core";
import type { OptionRule, OptionRules } from "@mrcnn/core";
import { assertSizesAgree, detectRules } from "@mrcnn/model";
import type { DetectOptions } from "@mrcnn/model";

const names: OptionRule = {
  fits: (value) =>
    Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string" && one !== ""),
  what: "a list of names, label 1 first",
};

/** Rules of the options that exist in every environment. */
export const loaderRules: OptionRules = {
  ...detectRules,
  weights: {
    fits: (value) =>
      value !== "" && (typeof value === "string" || (typeof value === "object" && value !== null)),
    what: "a name of the catalog, a place or bytes",
  },
  model: ofType("string", "a name of the catalog"),
  classes: names,
  config: ofType("object", "a part of a model's config"),
  signal: ofType("object", "an AbortSignal"),
  onProgress: ofType("function", "a function"),
  fetch: ofType("function", "a function like fetch"),
  retries: numberFrom(0, 1000, { whole: true }),
  backoffMs: numberFrom(0, 3_600_000),
  idleMs: numberFrom(1, 86_400_000),
  offline: ofType("boolean", "true or false"),
  redownload: ofType("boolean", "true or false"),
};

// Options of downloads, without effect where nothing is downloaded. `offline`, a signal and a listener are
// accepted all the same.
const OF_DOWNLOADS = ["cacheDir", "fetch", "retries", "backoffMs", "idleMs", "redownload"] as const;

export interface AskedOptions extends DetectOptions {
  readonly weights: unknown;
  readonly model?: string | undefined;
  readonly offline?: boolean | undefined;
  readonly redownload?: boolean | undefined;
}

/**
 * Rejects options that are unknown, have an impossible value, or contradict each other.
 *
 * @throws ConfigError naming the option.
 */
export function assertLoadOptions(
  options: AskedOptions,
  rules: OptionRules,
  elsewhere: Readonly<Record<string, string>>,
): void {
  assertOptions(options, rules, "loadMaskRcnn", elsewhere);
  if (options.weights === undefined)
    throw new ConfigError(
      "loadMaskRcnn: weights must be a name of the catalog, a place or bytes, got undefined.",
    );
  assertSizesAgree(options, "loadMaskRcnn");
  if (options.offline === true && options.redownload === true)
    throw new ConfigError("loadMaskRcnn: offline and redownload exclude each other.");
}

/**
 * Rejects options that have no effect with weights of the kind that was found.
 *
 * @throws ConfigError naming one.
 */
export function assertEffect(
  options: AskedOptions,
  { isOfCatalog, isHere }: { readonly isOfCatalog: boolean; readonly isHere: boolean },
): void {
  if (isOfCatalog && options.model !== undefined)
    throw new ConfigError(
      `loadMaskRcnn: model has no effect beside weights that the catalog names (${JSON.stringify(options.weights)}). Leave it out, or give weights of your own.`,
    );
  const idle =
    isHere ?
      OF_DOWNLOADS.find(
        (name) =>
          (options as unknown as Record<string, unknown>)[name] !== undefined &&
          (options as unknown as Record<string, unknown>)[name] !== false,
      )
    : undefined;
  if (idle !== undefined)
    throw new ConfigError(
      `loadMaskRcnn: ${idle} has no effect with weights that are here: nothing is downloaded. Leave it out.`,
    );
}
