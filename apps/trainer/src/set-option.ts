/** Values that the command line puts over a config: `--set path=value`. */
import { didYouMean, isRecord } from "@mrcnn/core";
import { UsageError } from "./errors.ts";

type Plain = Record<string, unknown>;
// The keys a schema knows at a place, or undefined where any key goes. Valibot keeps an object's
// children in `entries`, what is optional in `wrapped`, and makes what is lazy with `getter`.
function entriesOf(schema: unknown): Plain | undefined {
  let here = schema;
  while (isRecord(here) && ("wrapped" in here || "getter" in here)) {
    here = "wrapped" in here ? here["wrapped"] : (here["getter"] as (value: unknown) => unknown)(undefined);
  }
  return isRecord(here) && isRecord(here["entries"]) ? here["entries"] : undefined;
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * Applies one `path=value` of --set and returns a new config. Values are JSON; what is not JSON is a
 * string. `[` in paths is not needed: whole arrays are set.
 *
 * @param example an assignment, for whoever writes none.
 * @throws UsageError for a key that `schema` does not know, naming the nearest one.
 */
export function setOption(
  config: unknown,
  assignment: string,
  schema: unknown,
  example = "training.steps=1000",
): unknown {
  const equals = assignment.indexOf("=");
  if (equals <= 0)
    throw new UsageError(`--set ${assignment}: write it as path=value, for example ${example}.`);
  const path = assignment.slice(0, equals).split(".");
  const value = parseValue(assignment.slice(equals + 1));

  let known = entriesOf(schema);
  for (const [i, key] of path.entries()) {
    if (known !== undefined && !(key in known)) {
      const near = didYouMean(key, Object.keys(known));
      const hint =
        near === undefined ?
          `Known keys: ${Object.keys(known).join(", ")}.`
        : `Did you mean "${[...path.slice(0, i), near].join(".")}"?`;
      throw new UsageError(
        `--set ${assignment}: ${path.slice(0, i + 1).join(".")} is not a known key. ${hint}`,
      );
    }
    known = entriesOf(known?.[key]);
  }

  const put = (target: unknown, [key, ...rest]: readonly string[]): unknown => {
    if (key === undefined) return value;
    const object = isRecord(target) ? target : {};
    return { ...object, [key]: put(object[key], rest) };
  };
  return put(config, path);
}
