/** Findings of the review of annotations, grouped by kind, and the error that reports them. */
import { DatasetError } from "@mrcnn/core";

/** A choice that makes a finding harmless; each surface (functions, command line) words it differently. */
export type CocoRemedy =
  "drop degenerate" | "drop empty categories" | "boxes alone" | "more pixels" | "turn photos";

/** A surface's wording of each remedy. Default the options of the functions. */
export type CocoAdvice = Readonly<Partial<Record<CocoRemedy, string>>>;

/** An error or oddity in annotations, and its number of occurrences. */
export interface CocoFinding {
  /** Kind of the finding in a few words: "box without area". */
  readonly kind: string;
  /** Severity: an error prevents the use for which the annotations were read; a note does not. */
  readonly severity: "error" | "note";
  readonly count: number;
  /**
   * The first five occurrences, each a clause that names the entry: "annotation 4 of a.png: bbox must be …,
   * got [1,2,0,4]".
   */
  readonly examples: readonly string[];
  /** Advice in whole sentences. */
  readonly advice: string;
}

const functionOptions: Readonly<Record<CocoRemedy, string>> = {
  "drop degenerate": 'Or leave such objects out with degenerate: "drop".',
  "drop empty categories": 'Or leave categories without objects out with emptyCategories: "drop".',
  "more pixels": "Or raise maxPixels if there is the memory.",
  "turn photos": 'Where photos were annotated upright, as EXIF turns them, choose orientation: "exif".',
  "boxes alone": 'Or read boxes alone with masks: "unneeded".',
};

/** A rule's report on one entry. */
export interface Said {
  readonly severity?: CocoFinding["severity"];
  readonly example: string;
  readonly advice: string;
  readonly remedy?: CocoRemedy | undefined;
}

/** A collection of findings. */
export interface FindingList {
  add(kind: string, said: Said): void;
  /** Returns the findings, errors first. */
  all(): CocoFinding[];
}

const SHOWN = 5;

export function createFindingList(advice: CocoAdvice = {}): FindingList {
  const found = new Map<
    string,
    { severity: CocoFinding["severity"]; count: number; examples: string[]; advice: string }
  >();
  const words = { ...functionOptions, ...advice };
  return {
    add(kind, { severity = "error", example, advice: text, remedy }) {
      const key = `${severity} ${kind}`;
      let entry = found.get(key);
      if (entry === undefined)
        found.set(
          key,
          (entry = {
            severity,
            count: 0,
            examples: [],
            advice: remedy === undefined ? text : `${text} ${words[remedy]}`,
          }),
        );
      entry.count++;
      if (entry.examples.length < SHOWN) entry.examples.push(example);
    },
    all: () =>
      [...found]
        .map(([key, entry]) => ({ kind: key.slice(key.indexOf(" ") + 1), ...entry }))
        .toSorted((a, b) => Number(a.severity === "note") - Number(b.severity === "note")),
  };
}

/** Describes a finding in one line, without the file's name. */
export function describeFinding({ count, examples, advice }: CocoFinding): string {
  const others =
    count === 1 ? ""
    : count <= examples.length ? `; ${examples.slice(1).map(nameOf).join(", ")} likewise`
    : ` (${count} in all)`;
  return `${examples[0]}${others}. ${advice}`;
}

// Returns "annotation 4 of a.png" for "annotation 4 of a.png: bbox must be …".
const nameOf = (example: string): string => example.split(": ")[0]!;

/**
 * Returns the error that reports the findings of a file, or undefined when there are no errors among them.
 */
export function errorOf(findings: readonly CocoFinding[], where: string): DatasetError | undefined {
  const [first, ...others] = findings.filter(({ severity }) => severity === "error");
  if (first === undefined) return undefined;
  const also =
    others.length === 0 ?
      ""
    : ` Wrong as well: ${others.map(({ kind, count }) => `${kind} (${count})`).join(", ")}.`;
  return new DatasetError(`${where}: ${describeFinding(first)}${also}`);
}
