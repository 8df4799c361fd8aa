/** Breakdown of detection errors by kind, as TIDE (tidecv 1.0.1). */
import type { CocoId } from "@mrcnn/core";
import type { Entries } from "./entries.ts";
import type { Overlap } from "./overlap.ts";

/**
 * Kind of an error, as in TIDE. A detection is wrong as it overlaps an object of another category (`class`),
 * overlaps one of its own too little (`localization`), both at once (`both`), overlaps an object that is
 * already found (`duplicate`), or overlaps no object (`background`); `missed` are objects that none of these
 * would find if corrected.
 */
export type ErrorKind = "class" | "localization" | "both" | "duplicate" | "background" | "missed";

/** The errors of a data set at overlap 0.5, and their costs. */
export interface ErrorBreakdown {
  /** Number of errors of each kind, and by how much AP50, in [0, 1], would rise without them. */
  readonly kinds: Readonly<Record<ErrorKind, { readonly count: number; readonly costs: number }>>;
  /**
   * For every image the number of objects not found and of wrong detections, and `weight`, the number missed
   * plus the scores of the wrong ones.
   */
  readonly images: readonly {
    readonly imageId: CocoId;
    readonly missed: number;
    readonly wrong: number;
    readonly weight: number;
  }[];
}

/** An image's entries as indices into the stores. */
export interface ImageOfEntries {
  readonly imageId: CocoId;
  readonly detections: readonly number[];
  readonly objects: readonly number[];
}

const KINDS: readonly ErrorKind[] = ["class", "localization", "both", "duplicate", "background", "missed"];
const FOUND = 0.5;
const BACKGROUND = 0.1;
/** Most detections per image that TIDE evaluates, over all categories. */
const MOST = 100;

interface Point {
  readonly category: number;
  readonly score: number;
  readonly right: boolean;
}

interface Failure {
  readonly kind: ErrorKind;
  readonly score: number;
  /** The detection's point in the precision curve, unless it is ignored or the failure is a missed object. */
  readonly point?: Point;
  /** The free object that it would find if corrected, or that is missed. */
  readonly object?: number;
}

/** Breaks the errors down with TIDE's arithmetic (tidecv 1.0.1). */
export function breakErrorsDown(
  images: Iterable<ImageOfEntries>,
  found: Entries,
  truth: Entries,
  overlap: Overlap,
): ErrorBreakdown {
  const failures: Failure[] = [];
  // In the order of images and scores, which decides the rank of equal scores.
  const points: Point[] = [];
  const objects = new Map<number, number>();
  // The best detection that would find each object; others of the same object remain wrong when errors are
  // corrected.
  const bestFor = new Map<number, Failure>();
  const perImage: ErrorBreakdown["images"][number][] = [];

  for (const { imageId, detections: all, objects: everything } of images) {
    const gts = everything.filter((g) => truth.isIgnored[g] === 0);
    const crowds = everything.filter((g) => truth.isIgnored[g] === 1);
    for (const g of gts) objects.set(truth.category[g]!, (objects.get(truth.category[g]!) ?? 0) + 1);
    const detections = all.toSorted((a, b) => found.score[b]! - found.score[a]! || a - b).slice(0, MOST);
    const overlaps = detections.map((d) => gts.map((g) => overlap(d, g, 0)));
    const finder = new Set<number>();
    const taken = new Set<number>();
    detections.forEach((d, i) => {
      let best = -1;
      let most = 0;
      gts.forEach((g, j) => {
        if (truth.category[g] !== found.category[d] || taken.has(j) || overlaps[i]![j]! <= most) return;
        most = overlaps[i]![j]!;
        best = j;
      });
      if (most < FOUND) return;
      taken.add(best);
      finder.add(i);
    });

    let wrong = 0;
    let weight = 0;
    const usable = new Set<number>();
    detections.forEach((d, i) => {
      const category = found.category[d]!;
      const score = found.score[d]!;
      if (finder.has(i)) {
        points.push({ category, score, right: true });
        return;
      }
      const isIgnored = crowds.some((g) => truth.category[g] === category && overlap(d, g, 0) > FOUND);
      const largest = (among: (g: number, j: number) => boolean): [most: number, at: number] => {
        let most = 0;
        let at = 0;
        gts.forEach((g, j) => {
          if (among(g, j) && overlaps[i]![j]! > most) [most, at] = [overlaps[i]![j]!, j];
        });
        return [most, at];
      };
      const [own, ownAt] = largest((g) => truth.category[g] === category);
      const [other, otherAt] = largest((g) => truth.category[g] !== category);
      const [used] = largest((g, j) => truth.category[g] === category && taken.has(j));
      let kind: ErrorKind;
      let at = -1;
      if (gts.length === 0) kind = "background";
      else if (own >= BACKGROUND && own <= FOUND) [kind, at] = ["localization", ownAt];
      else if (other >= FOUND) [kind, at] = ["class", otherAt];
      else if (used >= FOUND) kind = "duplicate";
      else kind = Math.max(own, other) <= BACKGROUND ? "background" : "both";
      const object = at >= 0 && !taken.has(at) ? gts[at]! : undefined;
      const point = { category, score, right: false };
      const failure: Failure = {
        kind,
        score,
        ...(isIgnored ? {} : { point }),
        ...(object === undefined ? {} : { object }),
      };
      failures.push(failure);
      if (object !== undefined) {
        usable.add(at);
        const before = bestFor.get(object);
        if (before === undefined || before.score < score) bestFor.set(object, failure);
      }
      if (isIgnored) return;
      points.push(point);
      wrong++;
      weight += score;
    });
    let missed = 0;
    gts.forEach((object, j) => {
      if (taken.has(j)) return;
      missed++;
      if (!usable.has(j)) failures.push({ kind: "missed", score: 0, object });
    });
    perImage.push({ imageId, missed, wrong, weight: weight + missed });
  }

  const meanPrecision = (some: Iterable<Point>, positives: ReadonlyMap<number, number>): number => {
    const byCategory = new Map<number, Point[]>(
      [...positives].flatMap(([k, count]) => (count > 0 ? [[k, []]] : [])),
    );
    for (const point of some) {
      const known = byCategory.get(point.category);
      if (known === undefined) byCategory.set(point.category, [point]);
      else known.push(point);
    }
    let sum = 0;
    for (const [k, known] of byCategory) sum += averagePrecision(known, positives.get(k) ?? 0);
    return byCategory.size === 0 ? 0 : sum / byCategory.size;
  };
  const now = meanPrecision(points, objects);
  const without = (kind: ErrorKind): number => {
    const positives = new Map(objects);
    const left: Point[] = [];
    for (const failure of failures) {
      const { object, point, score } = failure;
      if (failure.kind !== kind) {
        if (point !== undefined) left.push(point);
      } else if (object !== undefined) {
        const category = truth.category[object]!;
        if (kind === "missed") positives.set(category, positives.get(category)! - 1);
        else if (bestFor.get(object) === failure) left.push({ category, score, right: true });
      }
    }
    for (const point of points) if (point.right) left.push(point);
    return meanPrecision(left, positives);
  };
  const kinds = Object.fromEntries(
    KINDS.map((kind) => [
      kind,
      {
        count: failures.filter((failure) => failure.kind === kind).length,
        costs: Math.max(0, without(kind) - now),
      },
    ]),
  ) as Record<ErrorKind, { count: number; costs: number }>;
  return { kinds, images: perImage };
}

// Returns the mean precision at recalls 0, 0.01, ..., 1.
function averagePrecision(points: readonly Point[], positives: number): number {
  if (positives <= 0) return 0;
  const peaks: number[] = [];
  let all = 0;
  for (const point of points.toSorted((a, b) => b.score - a.score)) {
    all++;
    if (point.right) peaks.push((peaks.length + 1) / all);
  }
  for (let i = peaks.length - 1; i > 0; i--) peaks[i - 1] = Math.max(peaks[i - 1]!, peaks[i]!);
  let sum = 0;
  for (let r = 0, i = 0; r <= 100; r++) {
    while (i < peaks.length && (i + 1) / positives < r / 100) i++;
    sum += i < peaks.length ? peaks[i]! : 0;
  }
  return sum / 101;
}
