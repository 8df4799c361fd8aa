/** Validation of the options of public functions. */
import { didYouMean } from "./config.ts";
import { ConfigError } from "./errors.ts";
import { quote } from "./json.ts";

/** A rule for the value of an option. */
export interface OptionRule {
  readonly fits: (value: unknown) => boolean;
  /** Description to follow "must be". */
  readonly what: string;
}

/** The rules of all options of a function, by name. */
export type OptionRules = Readonly<Record<string, OptionRule>>;

/** Returns a rule for numbers from `least` to `most`. */
export const numberFrom = (
  least: number,
  most: number,
  { whole = false }: { readonly whole?: boolean } = {},
): OptionRule => ({
  fits: (value) =>
    typeof value === "number" && value >= least && value <= most && (!whole || Number.isInteger(value)),
  what: `a ${whole ? "whole " : ""}number from ${least} to ${most}`,
});

/** Returns a rule for one of some known texts. */
export const oneOf = (...known: readonly string[]): OptionRule => ({
  fits: (value) => known.includes(value as string),
  what: known
    .map((name) => JSON.stringify(name))
    .join(", ")
    .replace(/, ([^,]*)$/, " or $1"),
});

/** Returns a rule for values of a type, which `what` describes. */
export const ofType = (type: "boolean" | "string" | "function" | "object", what: string): OptionRule => ({
  fits: (value) => typeof value === type && value !== null && !Array.isArray(value),
  what,
});

/**
 * Throws unless every option is known to the function `where` and has a valid value; undefined counts as left
 * out.
 *
 * @param elsewhere options of the function of the same name in another environment, each with a hint for the
 * message.
 * @throws ConfigError naming the option, the nearest name of an unknown one, and the value as JSON.
 */
export function assertOptions(
  options: unknown,
  rules: OptionRules,
  where: string,
  elsewhere: Readonly<Record<string, string>> = {},
): void {
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new ConfigError(`${where}: options must be an object, got ${quote(options)}.`);
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) {
      const near = didYouMean(name, Object.keys(rules));
      const hint =
        elsewhere[name] ??
        (near === undefined ? `Known are ${Object.keys(rules).join(", ")}.` : `Did you mean "${near}"?`);
      throw new ConfigError(`${where}: ${name} is not an option here. ${hint}`);
    }
    if (value !== undefined && !rule.fits(value))
      throw new ConfigError(`${where}: ${name} must be ${rule.what}, got ${quote(value)}.`);
  }
}
