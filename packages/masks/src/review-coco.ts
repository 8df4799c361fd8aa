/**
 * The review of COCO annotations: all rules that training and evaluation require, checked when a file is
 * opened.
 */
import { DatasetError, isCocoId, isRecord, quote, quoteIds } from "@mrcnn/core";
import type { CocoId } from "@mrcnn/core";
import type { CocoAnnotation, CocoCategory, CocoJson } from "./coco.ts";
import { readBoxesAs } from "./box-readings.ts";
import { createFindingList, errorOf } from "./findings.ts";
import type { CocoFinding, FindingList, Said } from "./findings.ts";
import type { CocoReviewOptions, Look, Loose } from "./review-options.ts";
import { reviewSegmentation } from "./review-segmentation.ts";
import { reviewImageSizes, reviewMaskSizes } from "./review-sizes.ts";

/** The result of a review of annotations. */
export interface CocoReview {
  readonly findings: readonly CocoFinding[];
  /**
   * The annotations to use: without dropped objects, and without parts of fewer than three points. The
   * reviewed value itself where nothing changed.
   */
  readonly json: CocoJson;
  /** Annotations dropped by `degenerate: "drop"`. */
  readonly dropped: readonly CocoAnnotation[];
  /** Whether every remaining object has a usable mask. */
  readonly hasMasks: boolean;
  /** Ids of the categories without objects. */
  readonly emptyCategories: readonly CocoId[];
}

const CORRECT = "Correct it or remove it.";

/**
 * Reviews parsed annotations by all rules, without stopping at the first mistake. `where` is the file's name.
 *
 * @throws DatasetError when the value is no COCO annotation object at all.
 */
export function reviewCoco(value: unknown, where: string, options: CocoReviewOptions = {}): CocoReview {
  const { purpose = "training", images: files = purpose === "training" ? "needed" : "unneeded" } = options;
  const { images, annotations, categories } = listsOf(value, where);
  const review: Review = {
    ...options,
    purpose,
    images: files,
    degenerate: options.degenerate ?? (purpose === "training" ? "error" : "keep"),
    found: createFindingList(options.advice),
  };
  const imageOf = reviewImages(images, review);
  reviewImageSizes(images, review);
  const categoryOf = reviewCategories(categories, review);
  reviewIds(annotations, "annotation", review);

  const named = { images: idsOf(images), categories: idsOf(categories) };
  const looks = annotations.map((annotation) =>
    lookAt(
      annotation,
      { image: imageOf.get(annotation.image_id), category: categoryOf.get(annotation.category_id), named },
      review,
    ),
  );
  reviewMaskSizes(looks, review);
  if (review.boxes !== "unneeded")
    readBoxesAs(looks, { found: review.found, isFatal: purpose === "training" });

  const isMasked = judgeMasks(looks, review);
  const dropped = review.degenerate === "drop" ? looks.filter(({ isDegenerate }) => isDegenerate) : [];
  const left = dropped.length === 0 ? looks : looks.filter(({ isDegenerate }) => !isDegenerate);
  for (const { name, reason } of dropped)
    review.found.add("object left out", {
      severity: "note",
      example: `${name}: ${reason!}`,
      advice: "It can't be learned.",
    });
  judgeObjects(looks, left, review);
  const used = new Set(left.map(({ annotation }) => annotation.category_id));
  const kept = judgeCategories(categories, used, review);

  const isChanged =
    dropped.length > 0 || kept.length < categories.length || left.some(({ mended }) => mended !== undefined);
  const json =
    isChanged ?
      {
        ...(value as Loose),
        categories: kept,
        annotations: left.map(({ annotation, mended }) => mended ?? annotation),
      }
    : value;
  return {
    findings: review.found.all(),
    json: json as CocoJson,
    dropped: dropped.map(({ annotation }) => annotation as unknown as CocoAnnotation),
    hasMasks: isMasked,
    emptyCategories: kept.filter(({ id }) => !used.has(id)).map(({ id }) => id as CocoId),
  };
}

/**
 * Checks parsed annotations by the rules of `reviewCoco` and returns them typed, without dropped objects.
 *
 * @throws DatasetError naming the file and the first entry of the first kind of error, their number, and the
 * other kinds.
 */
export function parseCocoJson(value: unknown, where: string, options: CocoReviewOptions = {}): CocoJson {
  const { findings, json } = reviewCoco(value, where, options);
  const error = errorOf(findings, where);
  if (error !== undefined) throw error;
  return json;
}

interface Review extends CocoReviewOptions {
  readonly purpose: "training" | "evaluation";
  readonly degenerate: "error" | "drop" | "keep";
  readonly found: FindingList;
}

function listsOf(
  value: unknown,
  where: string,
): Record<"images" | "annotations" | "categories", readonly Loose[]> {
  if (!isRecord(value))
    throw new DatasetError(`${where}: must be a COCO annotation object, got ${quote(value)}.`);
  const list = (key: string): readonly Loose[] => {
    const entries = value[key];
    if (!Array.isArray(entries))
      throw new DatasetError(
        `${where}: key "${key}" must be a list, got ${quote(entries)}. Is it a COCO annotation file?`,
      );
    const odd = entries.findIndex((entry) => !isRecord(entry));
    if (odd >= 0)
      throw new DatasetError(`${where}: ${key}[${odd}] must be an object, got ${quote(entries[odd])}.`);
    return entries as Loose[];
  };
  return { images: list("images"), categories: list("categories"), annotations: list("annotations") };
}

const idsOf = (entries: readonly Loose[]): ReadonlySet<unknown> => new Set(entries.map(({ id }) => id));

function reviewIds(
  entries: readonly Loose[],
  what: "image" | "category" | "annotation",
  { found }: Review,
): void {
  const key = what === "category" ? "categories" : `${what}s`;
  const seen = new Set<unknown>();
  const texts: string[] = [];
  entries.forEach(({ id }, i) => {
    if (!isCocoId(id)) {
      const isRounded = typeof id === "number" && Number.isInteger(id);
      found.add(`${what} id that is neither a whole number nor text`, {
        example: `${key}[${i}]: id must be a whole number or text, got ${quote(id)}`,
        advice:
          isRounded ?
            "Whole numbers beyond 2^53 are rounded by JSON.parse: parse the file with parseJson of @mrcnn/core, which keeps them."
          : "Give it an id.",
      });
    } else if (seen.has(id)) {
      found.add(`${what} id used twice`, {
        example: `${key}[${i}]: id ${quote(id)} is used twice`,
        advice: "Ids must be unique.",
      });
    } else if (typeof id === "string") texts.push(id);
    seen.add(id);
  });
  if (texts.length > 0) {
    const all = texts.length === entries.length ? "" : `some `;
    found.add(`${what} ids are text`, {
      severity: "note",
      example: `${all}${what} ids are text, for example ${quote(texts[0])}`,
      advice: 'They are kept as they stand: the text "1" and the number 1 are different ids.',
    });
  }
}

function reviewImages(images: readonly Loose[], review: Review): ReadonlyMap<unknown, Loose> {
  const { found, purpose } = review;
  const isNeeded = review.images === "needed";
  reviewIds(images, "image", review);
  const names = new Map<string, unknown>();
  for (const { id, width, height, file_name } of images) {
    const name = `image ${quote(id)}`;
    const severity = isNeeded || review.masks !== "unneeded" ? "error" : "note";
    for (const [key, value] of Object.entries({ width, height })) {
      if (Number.isSafeInteger(value) && (value as number) > 0) continue;
      found.add(`image whose ${key} is not a whole number above 0`, {
        severity,
        example: `${name}: ${key} must be a whole number > 0, got ${quote(value)}`,
        advice: "Write the size of its file.",
      });
    }
    if (typeof file_name !== "string" || file_name === "") {
      found.add("image without a file name", {
        severity: isNeeded ? "error" : "note",
        example: `${name}: file_name must be a string, got ${quote(file_name)}`,
        advice: "Write the name of its file.",
      });
    } else if (names.has(file_name)) {
      found.add("file that is listed twice", {
        severity: "note",
        example: `${name}: file_name ${quote(file_name)} is that of image ${quote(names.get(file_name))} too`,
        advice: "Its objects are then taken for two pictures': merge them unless that is meant.",
      });
    } else names.set(file_name, id);
  }
  if (images.length === 0)
    found.add("no images", {
      severity: purpose === "training" ? "error" : "note",
      example: "images must hold at least one, got none",
      advice: "Is it the right file?",
    });
  return new Map(images.map((image) => [image.id, image]));
}

function reviewCategories(categories: readonly Loose[], review: Review): ReadonlyMap<unknown, Loose> {
  reviewIds(categories, "category", review);
  for (const { id, name } of categories) {
    if (typeof name === "string" && name !== "") continue;
    review.found.add("category without a name", {
      example: `category ${quote(id)}: name must be a string, got ${quote(name)}`,
      advice: "Give it a name.",
    });
  }
  if (categories.length === 0 && review.purpose === "training")
    review.found.add("no categories", {
      example: "categories must hold at least one, got none",
      advice: "List the classes of the objects.",
    });
  return new Map(categories.map((category) => [category.id, category]));
}

interface Context {
  readonly image: Loose | undefined;
  readonly category: Loose | undefined;
  readonly named: Readonly<Record<"images" | "categories", ReadonlySet<unknown>>>;
}

function lookAt(annotation: Loose, { image, category, named }: Context, review: Review): Look {
  const { found } = review;
  const { id, image_id, category_id, bbox, area, iscrowd } = annotation;
  const file = typeof image?.file_name === "string" ? ` of ${image.file_name}` : "";
  const name = `annotation ${quote(id)}${file}`;
  const add = (kind: string, wanted: string, got: unknown, more: Partial<Said> = {}): void =>
    found.add(kind, { example: `${name}: ${wanted}, got ${quote(got)}`, advice: CORRECT, ...more });

  if (image === undefined)
    add(
      "annotation of an image that is not listed",
      `image_id must be the id of an image of the file${otherType(image_id, named.images, "images")}`,
      image_id,
      { advice: "List the image, or remove the annotation." },
    );
  if (category === undefined)
    add(
      "annotation of a category that is not listed",
      `category_id must be the id of a category of the file${otherType(category_id, named.categories, "categories")}`,
      category_id,
      { advice: "List the category, or remove the annotation." },
    );
  if (iscrowd !== undefined && iscrowd !== 0 && iscrowd !== 1 && typeof iscrowd !== "boolean") {
    add("iscrowd that is neither 0 nor 1", "iscrowd must be the number 0 or 1", iscrowd, {
      advice: typeof iscrowd === "string" ? "It is text: write it without quotes." : CORRECT,
    });
  }
  if (area !== undefined && !(isNumber(area) && area >= 0))
    add("area that is no number", "area must be a number >= 0", area, {
      advice: "Correct it, or leave area out: it is worked out then.",
    });

  const boxSeverity = review.boxes === "unneeded" ? "note" : "error";
  const isBox = Array.isArray(bbox) && bbox.length === 4 && bbox.every(isNumber);
  if (!isBox && !(bbox === undefined && boxSeverity === "note"))
    add("box that is not four numbers", "bbox must be [x, y, width, height] in numbers", bbox, {
      severity: boxSeverity,
    });
  const box = isBox ? (bbox as unknown as Look["box"]) : undefined;

  const isCrowd = iscrowd === 1 || iscrowd === true;
  const size = { height: image?.height, width: image?.width };
  const { mask, bounds, parts } = reviewSegmentation(annotation.segmentation, size, (kind, said) =>
    found.add(kind, {
      ...said,
      example: `${name}: ${said.example}`,
      severity: review.masks === "unneeded" ? "note" : (said.severity ?? "error"),
    }),
  );
  reviewKeypoints(annotation, category, (kind, wanted, got) =>
    add(kind, wanted, got, { severity: review.keypoints === "unneeded" ? "note" : "error" }),
  );

  const look: Look = {
    annotation,
    name,
    image,
    box,
    mask,
    bounds,
    isCrowd,
    mended: parts === undefined ? undefined : { ...annotation, segmentation: parts },
    isDegenerate: false,
    reason: undefined,
  };
  if (box !== undefined) judgeBox(look, box, review);
  return look;
}

// Explains why an id that looks like one of the list is not in it.
function otherType(id: unknown, listed: ReadonlySet<unknown>, what: string): string {
  if (typeof id === "string" && /^-?\d{1,30}$/.test(id) && (listed.has(Number(id)) || listed.has(BigInt(id))))
    return `, and those of ${what} are numbers: ${id} without quotes`;
  if ((typeof id === "number" || typeof id === "bigint") && listed.has(String(id)))
    return `, and those of ${what} are text: ${quote(String(id))} with quotes`;
  return "";
}

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

const tells = (look: Look, reason: string): void => {
  look.isDegenerate = true;
  look.reason ??= reason;
};

function judgeBox(
  look: Look,
  [x, y, w, h]: NonNullable<Look["box"]>,
  { found, purpose, degenerate, boxes }: Review,
): void {
  const { name, image } = look;
  if (purpose === "evaluation" && (w < 0 || h < 0)) {
    found.add("box of a negative size", {
      severity: boxes === "unneeded" ? "note" : "error",
      example: `${name}: bbox must have a width and height of 0 or more, got ${quote([x, y, w, h])}`,
      advice: CORRECT,
    });
    return;
  }
  const [width, height] = [image?.width, image?.height];
  const isSized = isNumber(width) && isNumber(height) && width > 0 && height > 0;
  const isEmpty = !(w > 0 && h > 0);
  const isOutside =
    isSized &&
    !isEmpty &&
    !(Math.min(x + w, width) > Math.max(x, 0) && Math.min(y + h, height) > Math.max(y, 0));
  if (isEmpty || isOutside) {
    const kind = isEmpty ? "box without area" : "box outside its image";
    const reason = `bbox ${quote([x, y, w, h])} ${isEmpty ? "has no area" : `is outside its image (${quote(width)}x${quote(height)})`}`;
    tells(look, reason);
    if (degenerate === "drop") return;
    const wanted =
      isEmpty ?
        "bbox must have a positive width and height"
      : `bbox must lie within its image (${quote(width)}x${quote(height)})`;
    if (degenerate === "error")
      found.add(kind, {
        example: `${name}: ${wanted}, got ${quote([x, y, w, h])}`,
        advice: "Correct it.",
        remedy: "drop degenerate",
      });
    else
      found.add(kind, {
        severity: "note",
        example: `${name}: ${reason}`,
        advice: "It counts as an object all the same.",
      });
  } else if (isSized && (x < -1 || y < -1 || x + w > width + 1 || y + h > height + 1)) {
    found.add("box that reaches over its image's edge", {
      severity: "note",
      example: `${name}: bbox ${quote([x, y, w, h])} in ${width}x${height}`,
      advice: purpose === "training" ? "It is cut there." : "It counts as it stands.",
    });
  }
}

function reviewKeypoints(
  { keypoints, num_keypoints }: Loose,
  category: Loose | undefined,
  add: (kind: string, wanted: string, got: unknown) => void,
): void {
  if (num_keypoints !== undefined && !(Number.isSafeInteger(num_keypoints) && (num_keypoints as number) >= 0))
    add("num_keypoints that is no count", "num_keypoints must be a whole number >= 0", num_keypoints);
  if (keypoints === undefined || keypoints === null || (Array.isArray(keypoints) && keypoints.length === 0))
    return;
  if (!(Array.isArray(keypoints) && keypoints.every(isNumber)))
    return add(
      "keypoints that are not numbers",
      "keypoints must be (x, y, visibility) of each keypoint, flat and in numbers",
      keypoints,
    );
  const names = category?.keypoints;
  const count = Array.isArray(names) ? names.length : undefined;
  if (keypoints.length % 3 !== 0 || (count !== undefined && keypoints.length !== 3 * count)) {
    add(
      "keypoints of another length",
      `keypoints must hold 3 numbers for each of ${count === undefined ? "the" : `its category's ${count}`} keypoints`,
      `${keypoints.length} numbers`,
    );
  }
}

// Checks whether objects have masks, and whether that suffices. Wrong masks are reported by other findings.
function judgeMasks(looks: readonly Look[], { found, masks = "consistent", degenerate }: Review): boolean {
  const without = looks.filter(({ mask }) => mask === "none" || mask === "empty");
  const all = looks.every(({ mask }) => mask === "sound");
  if (without.length === 0) return all;
  const isSet = looks.every(({ mask }) => mask === "none");
  if (isSet) {
    const what = `no object has a mask (segmentation is missing, null or empty in all ${looks.length}): this is a set of boxes`;
    if (masks === "needed")
      found.add("set of boxes without masks", {
        example: `${what}, and masks are needed`,
        advice: "Give annotations with masks.",
        remedy: "boxes alone",
      });
    if (masks === "consistent")
      found.add("set of boxes without masks", {
        severity: "note",
        example: what,
        advice: "Boxes alone can be learned from it.",
      });
    return false;
  }
  if (masks === "unneeded") {
    found.add("objects without a mask, while others have one", {
      severity: "note",
      example: `${without[0]!.name}: has no mask`,
      advice: "Boxes alone are used.",
    });
    return false;
  }
  for (const look of without) {
    const reason =
      look.mask === "none" ?
        "has no mask (segmentation is missing, null or empty) while others have one"
      : "has no part with three points or more, so its mask has no area";
    tells(look, reason);
    if (degenerate === "drop") continue;
    found.add(look.mask === "none" ? "object without a mask, while others have one" : "mask without area", {
      example: `${look.name}: ${reason}`,
      advice: "Give it a mask, or remove it.",
      remedy: degenerate === "error" ? "drop degenerate" : "boxes alone",
    });
  }
  return (
    degenerate === "drop" &&
    looks.every(({ mask, isDegenerate }) => isDegenerate || mask === "sound") &&
    looks.some(({ isDegenerate }) => !isDegenerate)
  );
}

function judgeObjects(looks: readonly Look[], left: readonly Look[], { found, purpose }: Review): void {
  const severity = purpose === "training" ? "error" : "note";
  const nothing = purpose === "training" ? "nothing can be learned" : "nothing can be found: AP is -1";
  if (looks.length === 0)
    found.add("no objects", {
      severity,
      example: `annotations hold no object, so ${nothing}`,
      advice: "Is it the right file?",
    });
  else if (left.length === 0)
    found.add("no objects are left", {
      severity,
      example: `all ${looks.length} objects are left out, so ${nothing}`,
      advice: "Correct the annotations.",
    });
  else if (left.every(({ isCrowd }) => isCrowd)) {
    const one =
      left.length === 1 ?
        "the one object is a crowd (iscrowd 1)"
      : `every object is a crowd (iscrowd 1 in all ${left.length})`;
    found.add("every object is a crowd", {
      severity,
      example: `${one}, so ${nothing}`,
      advice:
        "Set iscrowd to 0 where an annotation is one object; some tools write 1 for all masks in run lengths.",
    });
  }
}

function judgeCategories(
  categories: readonly Loose[],
  used: ReadonlySet<unknown>,
  { found, purpose, emptyCategories = "keep" }: Review,
): readonly Loose[] {
  const isEmpty = ({ id }: Loose): boolean => !used.has(id);
  const kept = emptyCategories === "drop" ? categories.filter((category) => !isEmpty(category)) : categories;
  const below = new Map<unknown, number>();
  for (const { supercategory } of categories) below.set(supercategory, (below.get(supercategory) ?? 0) + 1);
  for (const category of categories.filter(isEmpty)) {
    const { id, name, supercategory } = category;
    const others = (below.get(name) ?? 0) - (supercategory === name ? 1 : 0);
    const isRoot =
      others > 0 && (supercategory === "none" || supercategory === undefined || supercategory === name);
    const what = isRoot ? " and is the supercategory of the others (Roboflow exports such a root)" : "";
    const advice =
      emptyCategories === "drop" ? "It is left out."
      : purpose === "training" ? "It is a class of the model all the same."
      : "It counts in no score.";
    found.add("category without objects", {
      severity: "note",
      example: `category ${quote(id)}, ${quote(name)}: has no objects${what}`,
      advice,
      ...(emptyCategories === "keep" && purpose === "training" ?
        { remedy: "drop empty categories" as const }
      : {}),
    });
  }
  const first = new Map<unknown, Loose>();
  for (const category of kept as readonly (Loose & Pick<CocoCategory, "id">)[]) {
    const { id, name } = category;
    const other = first.get(name);
    if (typeof name !== "string" || other === undefined) {
      first.set(name, category);
      continue;
    }
    const empty = [other, category].filter(isEmpty);
    const example = `categories ${quoteIds([other.id as CocoId, id])}: both are named ${quote(name)}${empty.length > 0 ? `; of ${quoteIds(empty.map((one) => one.id as CocoId))} there are no objects` : ""}`;
    found.add("category name used twice", {
      severity: purpose === "training" ? "error" : "note",
      example,
      advice:
        purpose === "training" ?
          "Classes are told by their names: rename one, or merge them."
        : "They are told by their ids.",
      ...(purpose === "training" && empty.length > 0 ? { remedy: "drop empty categories" as const } : {}),
    });
  }
  return kept;
}
