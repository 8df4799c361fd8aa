/** Recognition of boxes in other forms than (x, y, width, height) in pixels, by comparison with the masks. */
import { quote } from "@mrcnn/core";
import type { FindingList } from "./findings.ts";
import { boxIou } from "./iou.ts";
import type { Look } from "./review-options.ts";

type Numbers = readonly [number, number, number, number];
type Seen = Look & { readonly box: Numbers };

// Possible meanings of four numbers, each converted to (x, y, width, height).
const READINGS: readonly { readonly name: string; readonly read: (box: Numbers) => Numbers }[] = [
  { name: "corners (x1, y1, x2, y2)", read: ([a, b, c, d]) => [a, b, c - a, d - b] },
  { name: "corners, rows first (y1, x1, y2, x2)", read: ([a, b, c, d]) => [b, a, d - b, c - a] },
  { name: "(y, x, height, width), rows first", read: ([a, b, c, d]) => [b, a, d, c] },
  { name: "centres and sizes (cx, cy, width, height)", read: ([a, b, c, d]) => [a - c / 2, b - d / 2, c, d] },
];
// A cause is named when at least this share of the boxes agrees, of at least ENOUGH boxes.
const MOST = 0.9;
const ENOUGH = 3;
// Tolerances within which boxes count as equal, since annotation tools round and pixels have an extent.
const PIXELS = 2;
const SHARE = 0.05;

const isNear = (box: Numbers, bounds: Numbers): boolean => {
  const far = Math.max(PIXELS, SHARE * Math.max(bounds[2], bounds[3]));
  const [ax, ay, bx, by] = [
    box[0] - bounds[0],
    box[1] - bounds[1],
    box[0] + box[2] - bounds[0] - bounds[2],
    box[1] + box[3] - bounds[1] - bounds[3],
  ];
  return [ax, ay, bx, by].every((off) => Math.abs(off) <= far);
};

const within = (values: readonly number[]): boolean => values.every((value) => value >= 0 && value <= 1);
const isFraction = (values: readonly number[]): boolean => values.some((value) => !Number.isInteger(value));

/**
 * Reports the form in which most boxes were probably written, when it is not (x, y, width, height) in pixels;
 * otherwise reports the boxes that differ from their masks.
 */
export function readBoxesAs(
  looks: readonly Look[],
  { found, isFatal }: { readonly found: FindingList; readonly isFatal: boolean },
): void {
  const boxed = looks.filter((look): look is Seen => look.box !== undefined);
  if (boxed.length === 0) return;
  const severity = isFatal ? "error" : "note";
  const [first] = boxed;
  const say = (kind: string, what: string): void =>
    found.add(kind, { severity, example: what, advice: "Write bbox as [x, y, width, height] in pixels." });

  if (boxed.every(({ box }) => within(box)) && boxed.some(({ box }) => isFraction(box))) {
    say(
      "boxes in fractions of the image",
      `boxes are fractions of the image (from 0 to 1), not pixels, in all ${boxed.length} objects; ${first!.name}: bbox ${quote(first!.box)}`,
    );
    return;
  }
  const compared = boxed.filter(
    (look): look is Seen & { readonly bounds: Numbers } =>
      look.bounds !== undefined && !look.isCrowd && !look.isDegenerate,
  );
  const isOff = compared.filter(({ box, bounds }) => !isNear(box, bounds));
  if (isOff.length === 0) {
    sayCornersWithoutMasks(boxed, compared.length, found);
    return;
  }
  const spans = compared.map(({ bounds: [x, y, w, h] }) => [x, y, x + w, y + h]);
  if (spans.every(within) && spans.some(isFraction)) {
    say(
      "masks in fractions of the image",
      `masks are fractions of the image (from 0 to 1), not pixels, in all ${compared.length} objects that have one; ${compared[0]!.name}: from ${quote(spans[0])}`,
    );
    return;
  }
  const agreeing = READINGS.map(({ name, read }) => ({
    name,
    count: compared.filter(({ box, bounds }) => isNear(read(box), bounds)).length,
  })).toSorted((a, b) => b.count - a.count)[0]!;
  if (
    compared.length >= ENOUGH &&
    agreeing.count >= MOST * compared.length &&
    isOff.length > compared.length / 2
  ) {
    const one = isOff[0]!;
    say(
      `boxes written as ${agreeing.name}`,
      `boxes are ${agreeing.name}, not (x, y, width, height): read so, ${agreeing.count} of ${compared.length} are those of their masks, and as they stand ${compared.length - isOff.length}; ${one.name}: bbox ${quote(one.box)}, its mask's ${quote(one.bounds)}`,
    );
    return;
  }
  for (const { name, box, bounds } of isOff) {
    if (boxIou(box, bounds, [0])[0]! >= 0.75) continue;
    found.add("box that differs from its mask's box", {
      severity: "note",
      example: `${name}: bbox ${quote(box)}, its mask's ${quote(bounds)}`,
      advice: "Look which of them is right.",
    });
  }
}

// Data sets of boxes have no masks to compare with: reported are boxes that would all lie within their images
// as corners, while as sizes most reach over an edge.
function sayCornersWithoutMasks(boxed: readonly Seen[], compared: number, found: FindingList): void {
  if (compared > 0 || boxed.length < ENOUGH) return;
  let over = 0;
  for (const {
    box: [a, b, c, d],
    image,
  } of boxed) {
    const { width, height } = image ?? {};
    if (!(
      typeof width === "number" &&
      typeof height === "number" &&
      c > a &&
      d > b &&
      c <= width + 1 &&
      d <= height + 1
    ))
      return;
    if (a + c > width + 1 || b + d > height + 1) over++;
  }
  if (over <= boxed.length / 2) return;
  const one = boxed[0]!;
  found.add("boxes that look like corners", {
    severity: "note",
    example: `boxes look like corners (x1, y1, x2, y2): all ${boxed.length} would lie in their images, and as (x, y, width, height) ${over} reach over an edge; ${one.name}: bbox ${quote(one.box)}`,
    advice: "Write bbox as [x, y, width, height] if they are.",
  });
}
