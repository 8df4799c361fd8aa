// The rules for annotations, each kind with inputs of its own. What pycocotools says of them is in coco-eval's tests.
import { parseCocoJson, reviewCoco } from "../src/index.ts";
import type { CocoReviewOptions } from "../src/index.ts";
import { isMrcnnError } from "@mrcnn/core";
import { describe, expect, it } from "vitest";

type Entry = Record<string, unknown>;
interface Loose {
  images: Entry[];
  categories: Entry[];
  annotations: Entry[];
}

const square = (x: number, y: number, side: number): number[] => [
  x,
  y,
  x + side,
  y,
  x + side,
  y + side,
  x,
  y + side,
];
const object = (id: number, x: number, y: number, side: number): Entry => ({
  id,
  image_id: 1,
  category_id: 18,
  bbox: [x, y, side, side],
  area: side * side,
  iscrowd: 0,
  segmentation: [square(x, y, side)],
});
// Four objects in a picture of 100 x 80.
const sound = (): Loose => ({
  images: [{ id: 1, width: 100, height: 80, file_name: "a.jpg" }],
  categories: [{ id: 18, name: "dog", supercategory: "animal" }],
  annotations: [object(5, 10, 10, 20), object(6, 40, 30, 30), object(7, 20, 50, 16), object(8, 70, 5, 24)],
});
const changed = (change: (json: Loose) => unknown): Loose => {
  const json = sound();
  change(json);
  return json;
};
const first = (values: Entry) => changed((json) => Object.assign(json.annotations[0]!, values));
const every = (values: (annotation: Entry, i: number) => Entry) =>
  changed((json) =>
    json.annotations.forEach((annotation, i) => Object.assign(annotation, values(annotation, i))),
  );

/** What parsing says, or "" when nothing. */
function refusal(value: unknown, options?: CocoReviewOptions): string {
  try {
    parseCocoJson(value, "train.json", options);
    return "";
  } catch (error) {
    expect(isMrcnnError(error, "dataset"), String(error)).toBe(true);
    return (error as Error).message;
  }
}
const kinds = (value: unknown, options?: CocoReviewOptions): string[] =>
  reviewCoco(value, "train.json", options).findings.map(
    ({ severity, kind, count }) => `${severity}: ${kind} (${count})`,
  );

describe("sound annotations", () => {
  it("are given back as they are, without a word", () => {
    const json = sound();
    const review = reviewCoco(json, "train.json");
    expect(review).toMatchObject({ findings: [], dropped: [], hasMasks: true, emptyCategories: [] });
    expect(review.json).toBe(json);
    expect(parseCocoJson(json, "train.json")).toBe(json);
  });
  it("may have run lengths, crowds beside objects, booleans as flags, keypoints or none, and no area", () => {
    const runs = { size: [80, 100], counts: [0, 80, 7920] };
    const json = changed(({ annotations: [a, b, c, d] }) => {
      Object.assign(a!, { segmentation: runs, bbox: [0, 0, 1, 80], iscrowd: true });
      Object.assign(b!, { iscrowd: false, area: undefined });
      Object.assign(c!, { keypoints: [1, 2, 2, 0, 0, 0], num_keypoints: 1 });
      Object.assign(d!, { keypoints: [] });
    });
    expect(kinds(json)).toEqual([]);
  });
});

describe("an annotation file is refused, naming it and the entry:", () => {
  it.each<[string, unknown, string]>([
    ["a list", [1], "must be a COCO annotation object, got [1]"],
    ["text", "{}", 'must be a COCO annotation object, got "{}"'],
    ["no lists", {}, 'key "images" must be a list, got nothing. Is it a COCO annotation file?'],
    [
      "categories by id",
      changed((j) => Object.assign(j, { categories: { 1: "dog" } })),
      'key "categories" must be a list',
    ],
    [
      "null for an annotation",
      changed((j) => Object.assign(j, { annotations: [null] })),
      "annotations[0] must be an object, got null",
    ],
    // Ids.
    [
      "an id that is no whole number",
      changed((j) => (j.images[0]!.id = 1.5)),
      "images[0]: id must be a whole number or text, got 1.5",
    ],
    [
      "an id that is null",
      changed((j) => (j.annotations[2]!.id = null)),
      "annotations[2]: id must be a whole number or text, got null",
    ],
    [
      "an id that was rounded",
      changed((j) => (j.annotations[2]!.id = 2 ** 60)),
      "annotations[2]: id must be a whole number or text, got 1152921504606847000. Whole numbers beyond 2^53 are rounded by JSON.parse",
    ],
    [
      "an id used twice",
      changed((j) => (j.annotations[1]!.id = 5)),
      "annotations[1]: id 5 is used twice. Ids must be unique.",
    ],
    [
      "a large id used twice",
      changed((j) => j.annotations.forEach((a) => (a.id = 7706992903151817197n))),
      "annotations[1]: id 7706992903151817197 is used twice",
    ],
    [
      "an image that is not listed",
      first({ image_id: 2 }),
      "annotation 5: image_id must be the id of an image of the file, got 2",
    ],
    [
      "text where ids are numbers",
      first({ image_id: "1" }),
      'annotation 5: image_id must be the id of an image of the file, and those of images are numbers: 1 without quotes, got "1"',
    ],
    [
      "a number where ids are text",
      changed((j) => (j.images[0]!.id = "1")),
      'annotation 5: image_id must be the id of an image of the file, and those of images are text: "1" with quotes, got 1',
    ],
    [
      "the neighbour of a large id",
      changed((j) => [
        Object.assign(j.images[0]!, { id: 7706992903151817197n }),
        j.annotations.forEach((a) => (a.image_id = 7706992903151817198n)),
      ]),
      "got 7706992903151817198",
    ],
    [
      "text where categories are numbers",
      first({ category_id: "18" }),
      'annotation 5 of a.jpg: category_id must be the id of a category of the file, and those of categories are numbers: 18 without quotes, got "18"',
    ],
    [
      "no category",
      first({ category_id: undefined }),
      "annotation 5 of a.jpg: category_id must be the id of a category of the file, got nothing",
    ],
    // Images and categories.
    [
      "a height of 0",
      changed((j) => (j.images[0]!.height = 0)),
      "image 1: height must be a whole number > 0, got 0",
    ],
    [
      "a width in text",
      changed((j) => (j.images[0]!.width = "100")),
      'image 1: width must be a whole number > 0, got "100"',
    ],
    [
      "half a pixel",
      changed((j) => (j.images[0]!.width = 100.5)),
      "image 1: width must be a whole number > 0, got 100.5",
    ],
    [
      "no height",
      changed((j) => delete j.images[0]!.height),
      "image 1: height must be a whole number > 0, got nothing",
    ],
    [
      "no file name",
      changed((j) => delete j.images[0]!.file_name),
      "image 1: file_name must be a string, got nothing",
    ],
    [
      "a number for a name",
      changed((j) => (j.categories[0]!.name = 3)),
      "category 18: name must be a string, got 3",
    ],
    [
      "a name used twice",
      changed((j) => j.categories.push({ id: 2, name: "dog" })),
      'categories 18, 2: both are named "dog"; of 2 there are no objects. Classes are told by their names',
    ],
    [
      "no images",
      changed((j) => Object.assign(j, { images: [], annotations: [] })),
      "images must hold at least one, got none",
    ],
    // Flags and sizes.
    [
      "iscrowd as text",
      first({ iscrowd: "0" }),
      'annotation 5 of a.jpg: iscrowd must be the number 0 or 1, got "0". It is text: write it without quotes.',
    ],
    ["iscrowd as text true", first({ iscrowd: "true" }), 'iscrowd must be the number 0 or 1, got "true"'],
    ["iscrowd null", first({ iscrowd: null }), "iscrowd must be the number 0 or 1, got null"],
    ["iscrowd 2", first({ iscrowd: 2 }), "iscrowd must be the number 0 or 1, got 2"],
    ["a negative area", first({ area: -1 }), "annotation 5 of a.jpg: area must be a number >= 0, got -1"],
    ["area null", first({ area: null }), "area must be a number >= 0, got null"],
    ["area as text", first({ area: "400" }), 'area must be a number >= 0, got "400"'],
    // Boxes.
    [
      "a box of three",
      first({ bbox: [1, 2, 3] }),
      "annotation 5 of a.jpg: bbox must be [x, y, width, height] in numbers, got [1,2,3]",
    ],
    [
      "a box with null",
      first({ bbox: [1, 2, 3, null] }),
      "bbox must be [x, y, width, height] in numbers, got [1,2,3,null]",
    ],
    [
      "a box of text",
      first({ bbox: ["10", 10, 20, 20] }),
      'bbox must be [x, y, width, height] in numbers, got ["10",10,20,20]',
    ],
    ["a box with NaN", first({ bbox: [1, NaN, 3, 4] }), "in numbers, got [1,NaN,3,4]"],
    ["an endless box", first({ bbox: [1, 2, Infinity, 4] }), "in numbers, got [1,2,Infinity,4]"],
    ["no box", first({ bbox: undefined }), "in numbers, got nothing"],
    [
      "a box of no width",
      first({ bbox: [10, 10, 0, 20] }),
      'annotation 5 of a.jpg: bbox must have a positive width and height, got [10,10,0,20]. Correct it. Or leave such objects out with degenerate: "drop".',
    ],
    [
      "a box of negative height",
      first({ bbox: [10, 10, 20, -1] }),
      "must have a positive width and height, got [10,10,20,-1]",
    ],
    [
      "a box beside its image",
      first({ bbox: [100, 10, 20, 20] }),
      "bbox must lie within its image (100x80), got [100,10,20,20]",
    ],
    // Polygons.
    [
      "null in a polygon",
      first({ segmentation: [[10, 10, null, 10, 30, 30]] }),
      "annotation 5 of a.jpg: polygon 0 must have finite pixel coordinates, got null at place 2",
    ],
    [
      "text in a polygon",
      first({ segmentation: [square(10, 10, 20), [10, 10, "30", 10, 30, 30]] }),
      'polygon 1 must have finite pixel coordinates, got "30" at place 2',
    ],
    ["NaN in a polygon", first({ segmentation: [[10, 10, 30, 10, 30, NaN]] }), "got NaN at place 5"],
    [
      "a coordinate far away",
      first({ segmentation: [[10, 10, 30, 10, 30, -1e9]] }),
      "got -1000000000 at place 5",
    ],
    [
      "an x without its y",
      first({ segmentation: [[10, 10, 30, 10, 30, 30, 10]] }),
      "polygon 0 must have x and y of each point, got 7 numbers",
    ],
    [
      "a flat list",
      first({ segmentation: square(10, 10, 20) }),
      "It is one polygon's numbers: put them into a list of their own",
    ],
    [
      "points in lists of their own",
      first({
        segmentation: [
          [10, 10],
          [30, 10],
          [30, 30],
        ],
      }),
      "got 3 points in lists of their own",
    ],
    [
      "a name for a mask",
      first({ segmentation: "a.png" }),
      'segmentation must be a list of polygons or { size, counts }, got "a.png"',
    ],
    [
      "no part with three points",
      first({
        segmentation: [
          [10, 10, 30, 10],
          [10, 10],
        ],
      }),
      "annotation 5 of a.jpg: has no part with three points or more, so its mask has no area",
    ],
    // Run lengths.
    [
      "run lengths of another size",
      first({ segmentation: { size: [100, 80], counts: [8000] } }),
      "segmentation must be of the image's size 80 x 100 (height x width), got 100 x 80",
    ],
    [
      "run lengths of a size in text",
      first({ segmentation: { size: ["80", "100"], counts: [8000] } }),
      'segmentation\'s size must be [height, width] in whole pixels, got ["80","100"]',
    ],
    ["run lengths without a size", first({ segmentation: { counts: [8000] } }), "got nothing"],
    [
      "run lengths that don't add up",
      first({ segmentation: { size: [80, 100], counts: [1, 2] } }),
      "segmentation: counts must add up to height * width = 80 * 100 = 8000, got 3",
    ],
    [
      "null among run lengths",
      first({ segmentation: { size: [80, 100], counts: [8000, null] } }),
      "segmentation's counts must be whole numbers >= 0, got null at place 1",
    ],
    [
      "run lengths in text numbers",
      first({ segmentation: { size: [80, 100], counts: ["8000"] } }),
      'got "8000" at place 0',
    ],
    [
      "compressed run lengths that are none",
      first({ segmentation: { size: [80, 100], counts: "a b" } }),
      "segmentation: counts must be COCO's compressed run lengths",
    ],
    [
      "run lengths null",
      first({ segmentation: { size: [80, 100], counts: null } }),
      "segmentation's counts must be a list of numbers or COCO's compressed text, got null",
    ],
    // Keypoints.
    [
      "null among keypoints",
      first({ keypoints: [1, null, 2] }),
      "annotation 5 of a.jpg: keypoints must be (x, y, visibility) of each keypoint, flat and in numbers, got [1,null,2]",
    ],
    [
      "keypoints that are no threes",
      first({ keypoints: [1, 2, 2, 4] }),
      'keypoints must hold 3 numbers for each of the keypoints, got "4 numbers"',
    ],
    [
      "fewer keypoints than its category has",
      changed(
        (j) =>
          Object.assign(j.annotations[0]!, { keypoints: [1, 2, 2] }) &&
          Object.assign(j.categories[0]!, { keypoints: ["nose", "tail"] }),
      ),
      "for each of its category's 2 keypoints",
    ],
    [
      "a number of keypoints in text",
      first({ num_keypoints: "1" }),
      'num_keypoints must be a whole number >= 0, got "1"',
    ],
  ])("%s", (_, value, message) => {
    expect(refusal(value)).toMatch(/^train\.json: /);
    expect(refusal(value)).toContain(message);
  });

  it("how many there are, and what else is wrong", () => {
    const many = changed((j) => {
      for (let id = 100; id < 110; id++) j.annotations.push({ ...object(id, 10, 10, 5), iscrowd: "1" });
      j.images[0]!.width = null;
      j.annotations[0]!.bbox = [1, 1, 0, 0];
      j.annotations[1]!.bbox = [1, 1, 0, 4];
    });
    expect(kinds(many)).toEqual([
      "error: image whose width is not a whole number above 0 (1)",
      "error: box without area (2)",
      "error: iscrowd that is neither 0 nor 1 (10)",
    ]);
    expect(refusal(many)).toContain(
      "Wrong as well: box without area (2), iscrowd that is neither 0 nor 1 (10).",
    );
    expect(refusal(every(() => ({ bbox: [1, 1, 0, 4] })))).toContain(
      "annotation 5 of a.jpg: bbox must have a positive width and height, got [1,1,0,4]; annotation 6 of a.jpg, annotation 7 of a.jpg, annotation 8 of a.jpg likewise.",
    );
  });
});

describe("nothing to learn", () => {
  it.each<[string, Loose, string]>([
    [
      "every object a crowd",
      every(() => ({ iscrowd: 1 })),
      "every object is a crowd (iscrowd 1 in all 4), so nothing can be learned. Set iscrowd to 0",
    ],
    ["every object a crowd, as booleans", every(() => ({ iscrowd: true })), "every object is a crowd"],
    [
      "one crowd",
      changed((j) => (j.annotations = [{ ...object(5, 1, 1, 9), iscrowd: 1 }])),
      "the one object is a crowd",
    ],
    [
      "no objects",
      changed((j) => (j.annotations = [])),
      "annotations hold no object, so nothing can be learned",
    ],
  ])("%s stops a training, and is said in an evaluation", (_, value, message) => {
    expect(refusal(value)).toContain(message);
    expect(kinds(value, { purpose: "evaluation" }).filter((kind) => kind.startsWith("error"))).toEqual([]);
    expect(kinds(value, { purpose: "evaluation", masks: "needed" })).toHaveLength(
      value.annotations.length === 0 ? 2 : 1,
    );
  });
  it("is left when all is left out", () => {
    const value = every(() => ({ bbox: [1, 1, 0, 0] }));
    expect(refusal(value, { degenerate: "drop" })).toContain(
      "all 4 objects are left out, so nothing can be learned",
    );
    expect(
      refusal(
        changed((j) =>
          j.annotations.forEach((a, i) =>
            Object.assign(a, i === 0 ? { iscrowd: 1 } : { bbox: [1, 1, 0, 0] }),
          ),
        ),
        { degenerate: "drop" },
      ),
    ).toContain("the one object is a crowd");
  });
});

describe("objects that can't be learned", () => {
  it.each<[string, Entry]>([
    ["a box without area", { bbox: [10, 10, 0, 20] }],
    ["a box beside its image", { bbox: [-30, 10, 20, 20] }],
    ["no mask", { segmentation: null }],
    ["an empty list for a mask", { segmentation: [] }],
    ["a mask of parts without three points", { segmentation: [[10, 10, 30, 10]] }],
  ])("are left out when that is said: %s", (_, values) => {
    const value = first(values);
    expect(refusal(value)).toContain('leave such objects out with degenerate: "drop"');
    const review = reviewCoco(value, "train.json", { degenerate: "drop" });
    expect(review.findings).toMatchObject([{ severity: "note", kind: "object left out", count: 1 }]);
    expect(review.dropped).toEqual([value.annotations[0]]);
    expect(review.json.annotations).toEqual(value.annotations.slice(1));
    expect(review.hasMasks).toBe(true);
  });
  it("one among many without a mask is named", () => {
    const value = changed((j) => {
      for (let id = 100; id < 1800; id++) j.annotations.push(object(id, 10, 10, 5));
      delete j.annotations[1234]!.segmentation;
    });
    expect(refusal(value)).toBe(
      'train.json: annotation 1330 of a.jpg: has no mask (segmentation is missing, null or empty) while others have one. Give it a mask, or remove it. Or leave such objects out with degenerate: "drop".',
    );
    expect(refusal(value, { masks: "unneeded" })).toBe("");
    expect(reviewCoco(value, "train.json", { masks: "unneeded" }).hasMasks).toBe(false);
  });
});

describe("parts with fewer than three points", () => {
  it.each<[string, number[][], number[][]]>([
    ["a line after the outline", [square(10, 10, 20), [10, 10, 30, 10]], [square(10, 10, 20)]],
    ["a point before it", [[10, 10], square(10, 10, 20)], [square(10, 10, 20)]],
    [
      "an empty part between",
      [square(10, 10, 10), [], square(20, 20, 10)],
      [square(10, 10, 10), square(20, 20, 10)],
    ],
  ])("are left out of the mask, and that is said: %s", (_, segmentation, left) => {
    for (const options of [{}, { degenerate: "drop" }, { purpose: "evaluation", masks: "needed" }] as const) {
      const value = first({ segmentation });
      const { json, findings, hasMasks } = reviewCoco(value, "train.json", options);
      expect(findings).toMatchObject([
        { severity: "note", kind: "part with fewer than three points", count: 1 },
      ]);
      expect(json.annotations[0]!.segmentation).toEqual(left);
      expect(json.annotations.slice(1)).toEqual(value.annotations.slice(1));
      expect(hasMasks).toBe(true);
      expect(value.annotations[0]!.segmentation).toBe(segmentation);
    }
  });
});

describe("sets of boxes", () => {
  it.each<[string, unknown]>([
    ["[]", []],
    ["[[]]", [[]]],
    ["[[], []]", [[], []]],
    ["null", null],
    ["nothing", undefined],
  ])("written with segmentation %s are taken where masks aren't needed", (_, segmentation) => {
    const value = every(() => ({ segmentation }));
    expect(refusal(value)).toBe("");
    expect(refusal(value, { masks: "unneeded" })).toBe("");
    expect(reviewCoco(value, "train.json").hasMasks).toBe(false);
    expect(refusal(value, { masks: "needed" })).toContain(
      "train.json: no object has a mask (segmentation is missing, null or empty in all 4): this is a set of boxes, and masks are needed.",
    );
  });
  it("do not stop over masks that are wrong and not needed", () => {
    for (const segmentation of ["a.png", [[1, null, 3, 4, 5, 6]], { size: [1, 1], counts: [1] }]) {
      const value = first({ segmentation });
      expect(refusal(value)).not.toBe("");
      expect(refusal(value, { masks: "unneeded" })).toBe("");
      expect(reviewCoco(value, "train.json", { masks: "unneeded" })).toMatchObject({
        hasMasks: false,
        findings: [{ severity: "note" }],
      });
    }
  });
  it("an empty set is none: its masks are not missing", () => {
    expect(
      reviewCoco(
        changed((j) => (j.annotations = [])),
        "val.json",
        { purpose: "evaluation", masks: "needed" },
      ).hasMasks,
    ).toBe(true);
  });
});

describe("boxes that are not (x, y, width, height) in pixels", () => {
  const xywh = ({ bbox }: Entry): [number, number, number, number] =>
    bbox as [number, number, number, number];
  it.each<[string, (box: [number, number, number, number]) => number[]]>([
    ["corners (x1, y1, x2, y2)", ([x, y, w, h]) => [x, y, x + w, y + h]],
    ["corners, rows first (y1, x1, y2, x2)", ([x, y, w, h]) => [y, x, y + h, x + w]],
    ["(y, x, height, width), rows first", ([x, y, w, h]) => [y, x, h, w]],
    ["centres and sizes (cx, cy, width, height)", ([x, y, w, h]) => [x + w / 2, y + h / 2, w, h]],
  ])("are told by the masks beside them: %s", (name, write) => {
    const value = every((annotation) => ({ bbox: write(xywh(annotation)) }));
    expect(refusal(value, { degenerate: "drop" })).toContain(
      `boxes are ${name}, not (x, y, width, height): read so, 4 of 4 are those of their masks`,
    );
    expect(
      kinds(value, { purpose: "evaluation", masks: "needed" }).filter((kind) => kind.startsWith("error")),
    ).toEqual([]);
  });
  it.each<[string, Loose, string]>([
    [
      "boxes and masks",
      every(({ bbox }) => ({
        bbox: (bbox as number[]).map((v, i) => v / [100, 80][i % 2]!),
        segmentation: [[0.1, 0.1, 0.4, 0.1, 0.4, 0.5]],
      })),
      "boxes are fractions of the image (from 0 to 1), not pixels, in all 4 objects",
    ],
    [
      "boxes alone",
      every(({ bbox }) => ({
        bbox: (bbox as number[]).map((v, i) => v / [100, 80][i % 2]!),
        segmentation: [],
      })),
      "boxes are fractions of the image",
    ],
    [
      "boxes beside masks in pixels",
      every(({ bbox }) => ({ bbox: (bbox as number[]).map((v, i) => v / [100, 80][i % 2]!) })),
      "boxes are fractions of the image",
    ],
    [
      "masks beside boxes in pixels",
      every(({ segmentation }) => ({
        segmentation: [(segmentation as number[][])[0]!.map((v, i) => v / [100, 80][i % 2]!)],
      })),
      "masks are fractions of the image (from 0 to 1), not pixels, in all 4 objects",
    ],
  ])("are told by being fractions: %s", (_, value, message) => expect(refusal(value)).toContain(message));

  it("are left alone when they are right: small, rounded, or the whole image", () => {
    expect(
      kinds(every(({ bbox }) => ({ bbox: (bbox as number[]).map((v, i) => v + [0.9, -0.8, 0.9, 1.1][i]!) }))),
    ).toEqual([]);
    expect(kinds(every(() => ({ bbox: [0, 0, 1, 1], segmentation: [[0, 0, 1, 0, 1, 1, 0, 1]] })))).toEqual(
      [],
    );
    expect(
      kinds(every(() => ({ bbox: [0, 0, 100, 80], segmentation: [[0, 0, 100, 0, 100, 80, 0, 80]] }))),
    ).toEqual([]);
  });
  it("are noted one by one when some differ, and as likely corners when no mask tells", () => {
    expect(kinds(first({ bbox: [60, 60, 20, 10] }))).toEqual([
      "note: box that differs from its mask's box (1)",
    ]);
    const corners = every((annotation) => ({
      bbox: [50, 40, 90, 70],
      segmentation: [],
      area: annotation.area,
    }));
    expect(kinds(corners, { masks: "unneeded" })).toEqual([
      "note: box that reaches over its image's edge (4)",
      "note: boxes that look like corners (1)",
    ]);
  });
});

describe("categories without objects", () => {
  const roboflow = changed((j) => {
    j.categories = [
      { id: 0, name: "widgets", supercategory: "none" },
      { id: 18, name: "dog", supercategory: "widgets" },
    ];
  });
  it("are said, Roboflow's root as such, and left out when that is said", () => {
    const [finding] = reviewCoco(roboflow, "train.json").findings;
    expect(finding).toMatchObject({
      severity: "note",
      kind: "category without objects",
      count: 1,
      examples: [
        expect.stringContaining(
          'category 0, "widgets": has no objects and is the supercategory of the others',
        ),
      ],
    });
    expect(finding!.advice).toContain('emptyCategories: "drop"');
    const [evaluated] = reviewCoco(roboflow, "val.json", { purpose: "evaluation" }).findings;
    expect(evaluated!.advice).toBe("It counts in no score.");
    expect(reviewCoco(roboflow, "train.json").emptyCategories).toEqual([0]);
    const { json, emptyCategories } = reviewCoco(roboflow, "train.json", { emptyCategories: "drop" });
    expect(json.categories).toEqual([roboflow.categories[1]]);
    expect(emptyCategories).toEqual([]);
  });
  it("that are named like a class are no class when they are left out", () => {
    const value = changed(
      (j) =>
        (j.categories = [
          { id: 0, name: "dog", supercategory: "none" },
          { id: 18, name: "dog", supercategory: "dog" },
        ]),
    );
    expect(refusal(value)).toContain('categories 0, 18: both are named "dog"; of 0 there are no objects.');
    expect(refusal(value)).toContain('emptyCategories: "drop"');
    expect(refusal(value, { emptyCategories: "drop" })).toBe("");
    // Two that have objects are no case for it.
    const both = changed(
      (j) =>
        j.categories.push({ id: 2, name: "dog" }) && Object.assign(j.annotations[0]!, { category_id: 2 }),
    );
    expect(refusal(both)).toContain("rename one, or merge them.");
    expect(refusal(both, { emptyCategories: "drop" })).not.toBe("");
  });
});

describe("ids as text", () => {
  it("are kept, and said", () => {
    const value = changed((j) => {
      j.images[0]!.id = "1";
      j.categories[0]!.id = "x";
      j.annotations.forEach((a) =>
        Object.assign(a, { id: `a${String(a.id)}`, image_id: "1", category_id: "x" }),
      );
    });
    const { findings, json } = reviewCoco(value, "train.json");
    expect(findings.map(({ severity, examples }) => [severity, ...examples])).toEqual([
      ["note", 'image ids are text, for example "1"'],
      ["note", 'category ids are text, for example "x"'],
      ["note", 'annotation ids are text, for example "a5"'],
    ]);
    expect(json).toBe(value);
  });
});

describe("an evaluation", () => {
  it("takes what pycocotools takes: boxes without area, masks without boxes, images without names", () => {
    const value = changed((j) => {
      j.annotations[0]!.bbox = [10, 10, 0, 20];
      delete j.images[0]!.file_name;
    });
    expect(refusal(value, { purpose: "evaluation" })).toBe("");
    expect(reviewCoco(value, "val.json", { purpose: "evaluation" }).json).toBe(value);
    const boxless = every(() => ({ bbox: undefined }));
    expect(refusal(boxless, { purpose: "evaluation", boxes: "unneeded", masks: "needed" })).toBe("");
    expect(refusal(boxless, { purpose: "evaluation" })).toContain(
      "bbox must be [x, y, width, height] in numbers, got nothing",
    );
    const sizeless = changed((j) => Object.assign(j.images[0]!, { width: undefined, height: undefined }));
    expect(refusal(sizeless, { purpose: "evaluation", masks: "unneeded" })).toBe("");
    expect(refusal(sizeless, { purpose: "evaluation", masks: "needed" })).toContain(
      "image 1: width must be a whole number > 0",
    );
  });
});
