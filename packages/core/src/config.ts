/** Validation of plain configuration values with valibot schemas. */
import * as v from "valibot";
import { ConfigError } from "./errors.ts";

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Returns the name among `known` nearest to a misspelled `word`, or undefined when none is near. */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((name) => ({ name, d: distance(word.toLowerCase(), name.toLowerCase()) }))
    .toSorted((a, b) => a.d - b.d);
  const best = ranked[0];
  return best !== undefined && best.d <= Math.max(2, word.length / 3) ? best.name : undefined;
}

// Returns the keys allowed where an unknown one was found, by walking the issue's path through the schema.
function keysAt(schema: v.GenericSchema, path: readonly string[]): string[] {
  let here: unknown = schema;
  const unwrap = (s: unknown): unknown => {
    while (s !== null && typeof s === "object") {
      if ("wrapped" in s) s = s.wrapped;
      else if ("getter" in s)
        s = (s.getter as (value: unknown) => unknown)(undefined); // lazy
      else break;
    }
    return s;
  };
  for (const key of path) {
    here = unwrap(here);
    here = (here as { entries?: Record<string, unknown> } | undefined)?.entries?.[key];
  }
  here = unwrap(here);
  return Object.keys((here as { entries?: object } | undefined)?.entries ?? {});
}

const MOST_PROBLEMS = 8;

/**
 * Checks a plain value against a valibot schema and returns it with defaults filled in. `where` names the
 * file or argument in errors.
 *
 * @throws ConfigError listing the problems (at most the first eight), each with its path; for an unknown key
 * it suggests the nearest known one.
 */
export function parseConfig<const S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  where: string,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const problems = result.issues.map((issue) => {
    const path = issue.path?.map((p) => String(p.key)) ?? [];
    const at = path.join(".") || "(top level)";
    if (issue.type === "strict_object" && issue.expected === "never") {
      const key = path.at(-1) ?? "";
      const known = keysAt(schema, path.slice(0, -1));
      const near = didYouMean(key, known);
      const hint = near !== undefined ? `Did you mean "${near}"?` : `Known keys: ${known.join(", ")}.`;
      return `${at} is not a known key. ${hint}`;
    }
    // valibot's message for a missing key says that the key itself is expected.
    if (issue.received === "undefined") return `${at} must be given.`;
    return `${at}: expected ${issue.expected ?? issue.message}, got ${issue.received}.`;
  });
  // A thousand wrong entries usually have one cause.
  const more = problems.length > MOST_PROBLEMS ? ` And ${problems.length - MOST_PROBLEMS} more.` : "";
  throw new ConfigError(`${where}: ${problems.slice(0, MOST_PROBLEMS).join(" ")}${more}`);
}
