import { didYouMean } from "./config.ts";
import { ConfigError } from "./errors.ts";
import { quote } from "./json.ts";

/** What an option's value must be. */
export interface OptionRule {
  readonly fits: (value: unknown) => boolean;
  /** In words, to follow "must be". */
  readonly what: string;
}

/** The rule of each option that a function knows. */
export type OptionRules = Readonly<Record<string, OptionRule>>;

/** A rule for numbers. */
export const numberFrom = (
  least: number,
  most: number,
  { whole = false }: { readonly whole?: boolean } = {},
): OptionRule => ({
  fits: (value) =>
    typeof value === "number" && value >= least && value <= most && (!whole || Number.isInteger(value)),
  what: `a ${whole ? "whole " : ""}number from ${least} to ${most}`,
});

/** A rule for one of some texts. */
export const oneOf = (...known: readonly string[]): OptionRule => ({
  fits: (value) => known.includes(value as string),
  what: known
    .map((name) => JSON.stringify(name))
    .join(", ")
    .replace(/, ([^,]*)$/, " or $1"),
});

/** A rule for a type. */
export const ofType = (type: "boolean" | "string" | "function" | "object", what: string): OptionRule => ({
  fits: (value) => typeof value === type && value !== null && !Array.isArray(value),
  what,
});

/**
 * Throws unless every option is one that the function `where` knows, with a value it can have; undefined is as good as left out.
 *
 * @param elsewhere options of the same name's function in another environment, and what to say of them.
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
