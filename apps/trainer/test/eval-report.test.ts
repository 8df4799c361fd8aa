// What `mrcnn eval` prints, writes and refuses, of a model that finds what it is told to: scores are known beforehand.
import { existsSync, readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { CocoId } from "@mrcnn/core";
import { writeImageFile } from "@mrcnn/datasets/node";
import { segmentationToRle } from "@mrcnn/masks";
import type { CocoResult } from "@mrcnn/masks";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { EvaluationReportInput } from "../src/evaluation-report.ts";
import type { Outcome } from "./command.ts";
import { mrcnn, temporaryFolder, writeJson } from "./command.ts";

interface Machine {
  config: { mask: boolean; keypoints: string[] };
  categories: { id: number; name: string }[];
  settings: object;
  calls: unknown[][];
  /** Labels that are found on each image, at their objects' places. */
  labels: number[];
  page: EvaluationReportInput | undefined;
  onDetect: () => void;
  keypoints: boolean;
}
const here = vi.hoisted(() => ({}) as Machine);
vi.mock("../src/backend.ts", async (original) => ({
  ...(await original<object>()),
  chooseBackend: async () => "cpu",
}));
vi.mock("../src/model-source.ts", () => ({
  loadModel: async (name: string, options: object) => {
    here.calls.push(["load", name, options]);
    return {
      categories: here.categories,
      settings: here.settings,
      model: {
        config: here.config,
        async detect(_images: unknown, options_: object) {
          here.calls.push(["detect", options_]);
          here.onDetect();
          return [found(here.labels)];
        },
        dispose: () => here.calls.push(["dispose"]),
      },
    };
  },
}));
vi.mock("../src/evaluation-report.ts", () => ({
  evaluationReport: async (input: EvaluationReportInput) => {
    here.page = input;
    return "<page>";
  },
}));

const folder = temporaryFolder();
const images = join(folder, "images");
const size = { height: 64, width: 64 };
// A nut of 20 x 20 pixels, which is small to COCO, and a bolt of 40 x 40, which is of medium size; on both images.
const places = { nut: [4, 4, 20, 20], bolt: [10, 20, 40, 40] } as const;
const outline = ([x, y, w, h]: readonly [number, number, number, number]): number[][] => [
  [x, y, x + w, y, x + w, y + h, x, y + h],
];
function found(labels: readonly number[]): object {
  const boxes = labels.map((label) => (label === 2 ? places.bolt : places.nut));
  return {
    boxes: Float32Array.from(boxes.flatMap(([x, y, w, h]) => [x, y, x + w, y + h])),
    scores: Float32Array.from(labels, () => 1),
    labels: Int32Array.from(labels),
    imageSize: size,
    ...(here.config.mask && { masks: boxes.map((box) => segmentationToRle(outline(box), size)) }),
    ...(here.keypoints && {
      keypoints: {
        count: 17,
        points: Float32Array.from(labels.flatMap(() => points)),
        scores: new Float32Array(17 * labels.length).fill(1),
      },
    }),
  };
}
// 17 places, all of them visible.
const points = Array.from({ length: 17 }, (_, i) => [5 + i, 6 + i, 2]).flat();

interface Coco {
  images: { id: number; file_name: string; width: number; height: number }[];
  categories: { id: number; name: string }[];
  annotations: Record<string, unknown>[];
}
const coco = (change: (json: Coco) => unknown = () => {}): Coco => {
  const json: Coco = {
    images: [1, 2].map((id) => ({ id, file_name: `${id}.png`, ...size })),
    categories: [
      { id: 3, name: "nut" },
      { id: 7, name: "bolt" },
    ],
    annotations: [1, 2].flatMap((image_id) =>
      (["nut", "bolt"] as const).map((name, k) => ({
        id: 2 * image_id + k,
        image_id,
        category_id: name === "nut" ? 3 : 7,
        bbox: [...places[name]],
        area: places[name][2] * places[name][3],
        iscrowd: 0,
        segmentation: outline(places[name]),
      })),
    ),
  };
  change(json);
  return json;
};
let annotations: string;
let files = 0;
const written = (change: (json: Coco) => unknown): string =>
  writeJson(folder, `changed-${files++}.json`, coco(change));

beforeAll(async () => {
  for (const id of [1, 2])
    await writeImageFile(join(images, `${id}.png`), {
      ...size,
      data: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919 * id) % 251),
    });
  annotations = writeJson(folder, "a.json", coco());
});
beforeEach(() => {
  Object.assign(here, {
    config: { mask: true, keypoints: [] },
    categories: [
      { id: 1, name: "bolt" },
      { id: 2, name: "nut" },
    ].toReversed(),
    settings: {},
    calls: [],
    labels: [1, 2],
    page: undefined,
    onDetect: () => {},
    keypoints: false,
  } satisfies Machine);
});
afterEach(() => {
  annotations = join(folder, "a.json");
  expect(process.listenerCount("SIGINT")).toBe(0);
});

// pycocotools' lines: AP, AP50, AP75, small, medium, large, AR1, AR10, AR100, small, medium, large.
function table(type: string, values: readonly string[], most = "100"): string[] {
  const line = (title: string, iou: string, area: string, limit: string, value: string): string =>
    ` ${title} @[ IoU=${iou.padEnd(9)} | area=${area} | maxDets=${limit} ] = ${value}`;
  const [AP, AR] = ["Average Precision  (AP)", "Average Recall     (AR)"];
  const [all, small, medium, large] = ["   all", " small", "medium", " large"];
  const range = "0.50:0.95";
  const max = most.padStart(3);
  const rows = [
    [AP, range, all, max],
    [AP, "0.50", all, max],
    [AP, "0.75", all, max],
    [AP, range, small, max],
    [AP, range, medium, max],
    [AP, range, large, max],
    [AR, range, all, "  1"],
    [AR, range, all, " 10"],
    [AR, range, all, max],
    [AR, range, small, max],
    [AR, range, medium, max],
    [AR, range, large, max],
  ] as const;
  return [
    `${type}:`,
    ...rows.map(([title, iou, area, limit], i) => line(title, iou, area, limit, values[i]!)),
  ];
}
const [one, none] = ["1.000", "-1.000"];
// All are found, and there is no large one.
const perfect = [one, one, one, one, one, none, one, one, one, one, one, none];
const classes = [
  "",
  " category  objects     AP   AP50   AP75    APs    APm    APl     AR",
  " nut             2  1.000  1.000  1.000  1.000      -      -  1.000",
  " bolt            2  1.000  1.000  1.000      -  1.000      -  1.000",
];

describe("eval of a model", () => {
  const evaluate = (...more: string[]): Promise<Outcome> =>
    mrcnn("eval", "--model", "m", "--images", images, "--annotations", annotations, ...more);

  it("prints boxes and masks, with a table of the classes, and writes numbers, detections and a page", async () => {
    const [json, html, results] = ["s.json", "s.html", "r.json"].map((name) => join(folder, name));
    const { code, out, err } = await evaluate("--json", json!, "--html", html!, "--results", results!);
    expect({ code, err, out: out.split("\n") }).toEqual({
      code: 0,
      err: "",
      out: [...table("bbox", perfect), ...classes, "", ...table("segm", perfect), ...classes],
    });
    const text = readFileSync(json!, "utf8");
    expect(text).toMatch(/^\{\n {2}"bbox": \{\n {4}"stats": .*\}\n$/s);
    expect(JSON.parse(text)).toMatchObject({
      bbox: { stats: { AP: 1, APl: -1 }, perCategory: [{ name: "nut", instances: 2 }, { name: "bolt" }] },
      segm: { stats: { AP: 1 } },
    });
    const kept = readFileSync(results!, "utf8");
    expect(kept).toMatch(/\]\n$/);
    const detections = JSON.parse(kept) as CocoResult[];
    expect(detections).toMatchObject(
      [1, 2].flatMap((image_id) => [
        { image_id, category_id: 3, bbox: places.nut, score: 1 },
        { image_id, category_id: 7, bbox: places.bolt, score: 1 },
      ]),
    );
    expect(readFileSync(html!, "utf8")).toBe("<page>");
    expect(here.page).toMatchObject({ subtitle: `m on ${annotations}`, dataset: { length: 2 } });
    expect(Object.keys(here.page!.evaluations)).toEqual(["bbox", "segm"]);
    const of = (...ids: CocoId[]): Promise<readonly CocoResult[]> => here.page!.resultsOf(new Set(ids));
    expect((await of(2)).map(({ image_id }) => image_id)).toEqual([2, 2]);
    expect(await of(9)).toEqual([]);
    expect(here.calls.filter(([name]) => name === "dispose")).toHaveLength(1);
  });

  it("counts what is not found, and leaves out what no class of the annotations is", async () => {
    here.categories = [
      { id: 1, name: "nut" },
      { id: 2, name: "bolt" },
      { id: 3, name: "screw" },
    ];
    here.labels = [1, 3];
    const { out, err } = await evaluate("--iou-type", "bbox");
    // One class of two, and of its sizes all.
    const half = "0.500";
    expect({ err, out: out.split("\n").slice(0, 13) }).toEqual({
      err: "",
      out: table("bbox", [half, half, half, one, "0.000", none, half, half, half, one, "0.000", none]),
    });
  });

  it("evaluates boxes alone where the model or the annotations have no masks", async () => {
    expect((await evaluate("--iou-type", "segm")).out.split("\n")[0]).toBe("segm:");
    here.config.mask = false;
    expect((await evaluate()).out.split("\n")).toEqual([...table("bbox", perfect), ...classes]);
    const { code, err } = await evaluate("--iou-type", "segm");
    expect({ code, err }).toEqual({
      code: 1,
      err: "error: --iou-type segm: the model m has no masks. It finds boxes: evaluate those with --iou-type bbox.",
    });
    here.config.mask = true;
    annotations = written((json) => json.annotations.forEach((object) => delete object["segmentation"]));
    const { out } = await evaluate();
    expect(out.split("\n")).toEqual([...table("bbox", perfect), ...classes]);
  });

  it("evaluates keypoints where both have COCO's 17", async () => {
    here.config = { mask: false, keypoints: Array.from({ length: 17 }, (_, i) => `k${i}`) };
    here.keypoints = true;
    annotations = written((json) =>
      json.annotations.forEach((object) => Object.assign(object, { keypoints: points, num_keypoints: 17 })),
    );
    const { code, out } = await evaluate();
    expect([code, out.split("\n").filter((line) => line.endsWith(":"))]).toEqual([
      0,
      ["bbox:", "keypoints:"],
    ]);
    const alone = await evaluate("--iou-type", "keypoints");
    expect(alone.out.split("\n").slice(0, 2)).toEqual([
      "keypoints:",
      " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets= 20 ] = 1.000",
    ]);
    // A class whose objects have none is compared by boxes alone.
    annotations = written((json) => {
      for (const object of json.annotations.filter(({ category_id }) => category_id === 3))
        Object.assign(object, { keypoints: points, num_keypoints: 17 });
    });
    const ofNuts = await evaluate();
    expect(ofNuts.out.split("\n").filter((line) => line.endsWith(":"))).toEqual(["bbox:", "keypoints:"]);
    expect(ofNuts.out.split("keypoints:")[1]).not.toContain("category");
    annotations = written(() => {});
    expect((await evaluate()).out.split("\n").filter((line) => line.endsWith(":"))).toEqual(["bbox:"]);
    const other = `error: --iou-type keypoints: ${annotations} has no keypoints, or the model m other than COCO's 17.`;
    here.config.keypoints.pop();
    expect(await evaluate("--iou-type", "keypoints")).toEqual({ code: 1, out: "", err: other });
    expect((await evaluate()).out.split("\n").filter((line) => line.endsWith(":"))).toEqual(["bbox:"]);
    here.config.keypoints = [];
    expect(await evaluate("--iou-type", "keypoints")).toEqual({
      code: 1,
      out: "",
      err: "error: --iou-type keypoints: the model m has no keypoints.",
    });
  });

  it("wants masks of all objects or of none, and keypoints that are right, unless boxes alone are evaluated", async () => {
    for (const [change, reason] of [
      [(json: Coco) => delete json.annotations[0]!["segmentation"], "mask"],
      [(json: Coco) => (json.annotations[0]!["keypoints"] = [1, 2, 3, 4]), "keypoints"],
    ] as const) {
      annotations = written(change);
      const { code, err } = await evaluate();
      expect(code).toBe(1);
      expect(err).toContain(`error: ${annotations}: annotation 2 of 1.png`);
      expect(err).toContain(reason);
      expect((await evaluate("--iou-type", "bbox")).code).toBe(0);
    }
  });

  it("runs it as its run did, unless the command says otherwise", async () => {
    here.settings = { scoreThreshold: 0.25, maxDetections: 7, nativeSize: true };
    const settings = async (...more: string[]): Promise<unknown> => {
      here.calls.length = 0;
      await evaluate(...more);
      return here.calls.find(([name]) => name === "detect")![1];
    };
    const own = { scoreThreshold: 0.25, maxDetections: 7, minSize: 64, maxSize: 64 };
    expect(await settings()).toEqual(own);
    expect(await settings("--score-threshold", "0.5", "--max-detections", "20")).toEqual({
      ...own,
      scoreThreshold: 0.5,
      maxDetections: 20,
    });
    // Edges that are said are meant.
    expect(await settings("--min-size", "32")).toEqual({ ...own, minSize: 32, maxSize: undefined });
    expect(await settings("--max-size", "96")).toEqual({ ...own, minSize: undefined, maxSize: 96 });
    here.settings = { minSize: 48, maxSize: 80 };
    expect(await settings()).toMatchObject({ minSize: 48, maxSize: 80 });
    const { out } = await evaluate("--max-detections", "20", "--iou-type", "bbox");
    expect(out.split("\n").slice(0, 13)).toEqual(table("bbox", perfect, "20"));
    expect(here.calls.find(([name]) => name === "load")!.slice(1)).toMatchObject(["m", { images }]);
  });

  it("stops when told to, and writes nothing", async () => {
    const json = join(folder, "never.json");
    here.onDetect = () => process.emit("SIGINT");
    expect(await evaluate("--json", json)).toEqual({
      code: 130,
      out: "",
      err: "\nStopping; nothing is written. Ctrl-C again quits at once.",
    });
    expect(existsSync(json)).toBe(false);
    expect(here.calls.map(([name]) => name)).toEqual(["load", "detect", "dispose"]);
  });

  it("names the classes that can't be told by name", async () => {
    annotations = written((json) => (json.categories[1]!.name = "nut"));
    expect(await evaluate()).toEqual({
      code: 1,
      out: "",
      err: `error: ${annotations}: more than one category is named "nut", and a model's classes are found by their names. Rename one, or remove those without objects.`,
    });
    annotations = written((json) => (json.categories[0]!.name = "nuts"));
    expect(await evaluate()).toEqual({
      code: 1,
      out: "",
      err: `error: ${annotations}: the model has no class "nuts"; it knows nut, bolt. Did you mean "nut"?`,
    });
    // One that no object is of need not be a class of the model.
    annotations = written((json) => json.categories.push({ id: 9, name: "screw" }));
    const { code, err } = await evaluate("--iou-type", "bbox");
    expect({ code, err }).toEqual({
      code: 0,
      err: `${annotations}: category 9, "screw": has no objects. It counts in no score.`,
    });
  });

  describe("when an image can't be read", () => {
    const cut = join(folder, "cut");
    const halve = (name: string): void =>
      truncateSync(join(cut, name), Math.floor(statSync(join(cut, name)).size / 2));
    beforeAll(async () => {
      for (const id of [1, 2]) {
        await writeImageFile(join(cut, `${id}.png`), {
          ...size,
          data: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919 * id) % 251),
        });
      }
      halve("2.png");
    });
    const ofCut = (...more: string[]): Promise<Outcome> =>
      mrcnn(
        "eval",
        "--model",
        "m",
        "--images",
        cut,
        "--annotations",
        annotations,
        "--iou-type",
        "bbox",
        ...more,
      );
    const reason = new RegExp(`^error: ${join(cut, "2.png")}: the image can't be read`);

    it("scores nothing, and says what to do", async () => {
      const [json, results] = [join(folder, "not.json"), join(folder, "kept.json")];
      const { code, out, err } = await ofCut("--json", json);
      const [first, second] = err.split("\n");
      expect({ code, out, second }).toEqual({
        code: 1,
        out: "",
        second:
          "error: 1 of 2 images could not be read; they are named above, and nothing is scored. Mend them, or score the others with --skip-unreadable.",
      });
      expect(first).toMatch(reason);
      const kept = await ofCut("--json", json, "--results", results);
      expect(kept.err.split("\n")[1]).toBe(
        `error: 1 of 2 images could not be read; they are named above, and nothing is scored. Mend them, or score the others with --skip-unreadable. What was found on the others is in ${results}.`,
      );
      expect(
        (JSON.parse(readFileSync(results, "utf8")) as CocoResult[]).map(({ image_id }) => image_id),
      ).toEqual([1, 1]);
      expect(existsSync(json)).toBe(false);
    });

    it("scores the others when told to", async () => {
      const { code, out, err } = await ofCut("--skip-unreadable");
      expect(code).toBe(0);
      expect(err.split("\n")[1]).toBe(
        "1 of 2 images could not be read; they are named above. The scores are of the other 1.",
      );
      expect(out.split("\n")).toEqual([
        ...table("bbox", perfect),
        ...classes.map((line) => line.replace("            2 ", "            1 ")),
      ]);
    });

    it("and no other can, scores nothing whatever is told", async () => {
      halve("1.png");
      const { code, err } = await ofCut("--skip-unreadable");
      expect({ code, last: err.split("\n").at(-1) }).toEqual({
        code: 1,
        last: "error: 2 of 2 images could not be read; they are named above, and nothing is scored. Mend them.",
      });
    });
  });

  it("refuses settings that say nothing here, before the model is loaded", async () => {
    expect(await evaluate("--set", "rpn.training.preNmsTopK=3")).toMatchObject({ code: 2 });
    expect(await mrcnn("eval", "--model", "m", "--annotations", annotations)).toEqual({
      code: 2,
      out: "",
      err: "error: --model needs --images DIR.",
    });
    for (const [option, path] of [
      ["--json", annotations],
      ["--results", annotations],
    ] as const)
      expect(await evaluate(option, path)).toEqual({
        code: 2,
        out: "",
        err: `error: ${option} "${path}" would overwrite what is read: ${path}. Name another file.`,
      });
    expect(here.calls).toEqual([]);
  });
});

describe("eval of a results file", () => {
  let results: string;
  const detections = (): object[] =>
    coco().annotations.map(({ image_id, category_id, segmentation }) => {
      const { counts } = segmentationToRle(segmentation as number[][], size);
      return { image_id, category_id, segmentation: { size: [64, 64], counts: [...counts] }, score: 1 };
    });
  beforeAll(() => {
    results = writeJson(
      folder,
      "results.json",
      coco().annotations.map(({ image_id, category_id, bbox }) => ({
        image_id,
        category_id,
        bbox,
        score: 1,
      })),
    );
  });
  const evaluate = (...more: string[]): Promise<Outcome> =>
    mrcnn("eval", "--results", results, "--annotations", annotations, ...more);

  it("prints the scores, and hands the page the results and, with --images, the pictures", async () => {
    const html = join(folder, "results.html");
    const { code, out, err } = await evaluate("--iou-type", "bbox", "--html", html);
    expect({ code, err, out: out.split("\n") }).toEqual({
      code: 0,
      err: "",
      out: [...table("bbox", perfect), ...classes],
    });
    expect(here.page).toMatchObject({ subtitle: `${results} on ${annotations}`, dataset: undefined });
    const found_ = await here.page!.resultsOf(new Set([2]));
    expect(found_).toMatchObject([
      { image_id: 2, category_id: 3 },
      { image_id: 2, category_id: 7 },
    ]);
    expect((await evaluate("--iou-type", "bbox", "--html", html, "--images", images)).code).toBe(0);
    expect(here.page!.dataset).toMatchObject({ length: 2 });
    // What is read stays what it was.
    expect(JSON.parse(readFileSync(results, "utf8"))).toHaveLength(4);
    expect(here.calls).toEqual([]);
  });

  it("by boxes needs no masks of the annotations, by masks no boxes", async () => {
    const boxes = results;
    results = writeJson(folder, "masks.json", detections());
    annotations = written((json) => json.annotations.forEach((object) => delete object["bbox"]));
    const { out } = await evaluate("--iou-type", "segm");
    expect(out.split("\n")).toEqual([...table("segm", perfect), ...classes]);
    annotations = written((json) => json.annotations.forEach((object) => delete object["segmentation"]));
    expect((await evaluate("--iou-type", "bbox")).out.split("\n")).toEqual([
      ...table("bbox", perfect),
      ...classes,
    ]);
    const { code, err } = await evaluate("--iou-type", "segm");
    expect(code).toBe(1);
    expect(err).toMatch(/ Or evaluate boxes alone with --iou-type bbox\.$/);
    results = boxes;
  });

  it("says what is odd about the annotations", async () => {
    annotations = written((json) => json.categories.push({ id: 9, name: "screw" }));
    const { code, err } = await evaluate("--iou-type", "bbox");
    expect({ code, err }).toEqual({
      code: 0,
      err: `${annotations}: category 9, "screw": has no objects. It counts in no score.`,
    });
  });

  it("counts as many detections as it is told to, from 11 up", async () => {
    const { out } = await evaluate("--iou-type", "bbox", "--max-detections", "11");
    expect(out.split("\n").slice(0, 13)).toEqual(table("bbox", perfect, "11"));
    // The twelfth is the one that is right.
    const right = { image_id: 1, category_id: 3, bbox: places.nut, score: 0.1 };
    const wrong = { ...right, bbox: [50, 50, 5, 5], score: 0.9 };
    const few = writeJson(folder, "twelve.json", [...Array<object>(11).fill(wrong), right]);
    const of = ["--results", few, "--annotations", annotations, "--iou-type", "bbox"];
    const AP50 = async (most: string): Promise<string> =>
      (await mrcnn("eval", ...of, "--max-detections", most)).out.split("\n")[2]!.slice(-5);
    // Of two nuts one is found, at a precision of 1/12, up to a recall of 50 of 101 points; of bolts none: 51/101/12/2.
    expect([await AP50("11"), await AP50("12")]).toEqual(["0.000", "0.021"]);
    expect(await evaluate("--iou-type", "bbox", "--max-detections", "10")).toEqual({
      code: 2,
      out: "",
      err: "error: --max-detections must be above 10 when a results file is evaluated: AR10 needs ten.",
    });
  });

  const goesWithModel = (option: string): string =>
    `${option} goes with --model. Add --model, or leave it out.`;
  it.each<[string[], string]>([
    [[], "--results needs --iou-type bbox, segm or keypoints."],
    [["--orientation", "exif"], goesWithModel("--orientation")],
    [["--weights", "w.pth"], goesWithModel("--weights")],
    [["--classes", "a"], goesWithModel("--classes")],
    [["--config", "c.json"], goesWithModel("--config")],
    [["--set", "a=1"], goesWithModel("--set")],
    [
      ["--images", "i"],
      "--images goes with --model, or with --html for its pictures. Add one of them, or leave it out.",
    ],
  ])("refuses %j: %s", async (more, message) => {
    expect(await evaluate(...more)).toEqual({ code: 2, out: "", err: `error: ${message}` });
  });

  it("refuses to do nothing, to read nothing, and to write over what it reads", async () => {
    expect(await mrcnn("eval", "--annotations", annotations)).toEqual({
      code: 2,
      out: "",
      err: "error: eval needs --model M --images DIR (to run a model), or --results FILE --iou-type TYPE (to evaluate a results file).",
    });
    const gone = join(folder, "gone.json");
    expect(
      await mrcnn("eval", "--annotations", annotations, "--results", gone, "--iou-type", "bbox"),
    ).toEqual({ code: 1, out: "", err: `error: The results file ${gone} does not exist. Check the path.` });
    expect(await evaluate("--iou-type", "bbox", "--json", results)).toEqual({
      code: 2,
      out: "",
      err: `error: --json "${results}" would overwrite what is read: ${results}. Name another file.`,
    });
  });
});
