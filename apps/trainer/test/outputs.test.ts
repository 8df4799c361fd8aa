// Where every command's results may go, and what becomes of scores that can't be written.
import { execFileSync, spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { UsageError } from "../src/errors.ts";
import { openOutputs } from "../src/outputs.ts";
import { mrcnn, temporaryFolder, writeJson } from "./command.ts";

interface Coco {
  images: { id: number; file_name: string }[];
  annotations: { image_id: number; category_id: number; bbox: number[] }[];
  categories: { id: number; name: string }[];
}

const folder = temporaryFolder();
const images = join(folder, "set", "images");
const annotations = join(folder, "set", "annotations.json");
const results = join(folder, "results.json");
let coco: Coco;

beforeAll(async () => {
  await mrcnn("shapes", "--out", join(folder, "set"), "--count", "4", "--seed", "5");
  coco = JSON.parse(readFileSync(annotations, "utf8")) as Coco;
  writeFileSync(
    results,
    JSON.stringify(
      coco.annotations.map(({ image_id, category_id, bbox }) => ({ image_id, category_id, bbox, score: 1 })),
    ),
  );
});

const commands: [string, () => string[]][] = [
  ["models", () => ["models"]],
  ["inspect", () => ["inspect", "--images", images, "--annotations", annotations]],
  ["eval", () => ["eval", "--results", results, "--annotations", annotations, "--iou-type", "bbox"]],
  [
    "bench",
    () => [
      "bench",
      "--model",
      "nuclei",
      "--size",
      "32",
      "--rounds",
      "1",
      "--backend",
      "wasm",
      "--threads",
      "1",
    ],
  ],
  [
    "detect",
    () => [
      "detect",
      join(images, coco.images[0]!.file_name),
      "--model",
      "nuclei",
      "--backend",
      "wasm",
      "--min-size",
      "32",
      "--max-size",
      "32",
    ],
  ],
];
const hasLines = /Average Precision|model +source|4 images|detection, s|shapes-/;

describe.each(commands)("%s --json", (name, args) => {
  it("- is stdout, with everything else on stderr", async () => {
    const { code, out, err } = await mrcnn(...args(), "--json", "-");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toBeTypeOf("object");
    expect(err).toMatch(hasLines);
  });

  it.runIf(process.platform !== "win32")("through a symlink replaces its file", async () => {
    const [real, link] = [join(folder, `${name}-real.json`), join(folder, `${name}-link.json`)];
    writeFileSync(real, "old", { mode: 0o640 });
    symlinkSync(`${name}-real.json`, link);
    expect((await mrcnn(...args(), "--json", link)).code).toBe(0);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(JSON.parse(readFileSync(real, "utf8"))).toBeTypeOf("object");
    expect(statSync(real).mode & 0o777).toBe(0o640);
  });

  it("that can't be written is told before the work", async () => {
    const blocked = join(folder, `${name}-blocked`);
    writeFileSync(blocked, "");
    const { code, out, err } = await mrcnn(...args(), "--json", join(blocked, "x.json"));
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("a part of the path is a file, not a folder");
  });

  // A device that always is full stands for a disk that has filled up meanwhile.
  it.runIf(process.platform === "linux")(
    "that can't be written in the end is said, and what was found is printed all the same",
    async () => {
      const { code, out, err } = await mrcnn(...args(), "--json", "/dev/full");
      expect(code).toBe(1);
      expect(err).toContain("error: /dev/full: the disk is full.");
      if (name !== "detect") expect(out).toMatch(hasLines); // which finds that out with its first word
      expect(statSync("/dev/full").isCharacterDevice()).toBe(true);
    },
  );
});

describe("several results", () => {
  it("go each to a place of its own", () => {
    const terminal = { out() {}, note() {}, interactive: false };
    const open =
      (paths: Record<string, string>, ...inputs: string[]) =>
      () =>
        openOutputs(paths, { terminal, inputs });
    const [a, b] = [join(folder, "a.json"), join(folder, "b.json")];
    writeFileSync(a, "");
    symlinkSync("a.json", join(folder, "same.json"));
    expect(open({ "--json": a, "--html": b })).not.toThrow();
    for (const paths of [
      { "--json": a, "--html": a },
      { "--json": a, "--html": join(folder, "same.json") },
      { "--json": "-", "--html": "-" },
      { "--json": b, "--html": join(folder, ".", "x", "..", "b.json") },
    ])
      expect(open(paths)).toThrow(UsageError);
    expect(open({ "--json": "/dev/null", "--html": "/dev/null" })).not.toThrow();
    expect(open({ "--json": join(folder, "same.json") }, a)).toThrow(/would overwrite what is read/);
    expect(open({ "--json": "" })).toThrow('--json "": name a file, or - for stdout.');
  });

  it("are written though one can't be", async () => {
    const html = join(folder, "page.html");
    const { code, out } = await mrcnn(
      "eval",
      "--results",
      results,
      "--annotations",
      annotations,
      "--iou-type",
      "bbox",
      "--json",
      "/dev/full",
      "--html",
      html,
    );
    if (process.platform === "linux") expect(code).toBe(1);
    expect(out).toContain("= 1.000");
    expect(readFileSync(html, "utf8")).toContain("Evaluation");
  });

  it("never take the place of what is read", async () => {
    const before = readFileSync(annotations, "utf8");
    for (const [option, path] of [
      ["--json", annotations],
      ["--html", results],
    ] as const) {
      const { code, err } = await mrcnn(
        "eval",
        "--results",
        results,
        "--annotations",
        annotations,
        "--iou-type",
        "bbox",
        option,
        path,
      );
      expect(code).toBe(2);
      expect(err).toContain("would overwrite what is read");
    }
    expect(readFileSync(annotations, "utf8")).toBe(before);
  });
});

describe("eval of a model when images can't be read", () => {
  const broken = join(folder, "broken");
  const one = [
    "--model",
    "nuclei",
    "--backend",
    "wasm",
    "--threads",
    "1",
    "--min-size",
    "64",
    "--max-size",
    "64",
    "--max-detections",
    "15",
  ];
  const evaluate = (...more: string[]): ReturnType<typeof mrcnn> =>
    mrcnn("eval", ...one, "--images", broken, "--annotations", join(folder, "nuclei.json"), ...more);
  let names: string[];

  beforeAll(() => {
    mkdirSync(broken);
    names = coco.images.map(({ file_name }) => file_name);
    for (const name of names) copyFileSync(join(images, name), join(broken, name));
    truncateSync(join(broken, names[1]!), 900);
    truncateSync(join(broken, names[3]!), 800);
    writeJson(folder, "nuclei.json", {
      ...coco,
      categories: [{ id: 1, name: "nucleus" }],
      annotations: coco.annotations.map((one) => ({ ...one, category_id: 1 })),
    });
  });

  it("names all of them and scores nothing", async () => {
    const [json, html, kept] = [
      join(folder, "none.json"),
      join(folder, "none.html"),
      join(folder, "kept.json"),
    ];
    const { code, out, err } = await evaluate(
      "--json",
      json,
      "--html",
      html,
      "--results",
      kept,
      "--score-threshold",
      "0",
    );
    expect({ code, out }).toEqual({ code: 1, out: "" });
    for (const name of [names[1]!, names[3]!]) expect(err).toContain(`${name}: the image can't be read`);
    expect(err).toContain(
      "2 of 4 images could not be read; they are named above, and nothing is scored. Mend them, or score the others with --skip-unreadable.",
    );
    expect([existsSync(json), existsSync(html)]).toEqual([false, false]);
    // What took the time is kept, of the others.
    const found = JSON.parse(readFileSync(kept, "utf8")) as { image_id: number }[];
    expect(new Set(found.map(({ image_id }) => image_id))).toEqual(
      new Set([coco.images[0]!.id, coco.images[2]!.id]),
    );
  });

  it("stops before it begins where headers tell", async () => {
    const texts = join(folder, "texts");
    mkdirSync(texts);
    for (const name of names) writeFileSync(join(texts, name), "no picture");
    const kept = join(folder, "never.json");
    const { code, err } = await mrcnn(
      "eval",
      ...one,
      "--images",
      texts,
      "--annotations",
      join(folder, "nuclei.json"),
      "--results",
      kept,
    );
    expect(code).toBe(1);
    expect(err).toMatch(
      /^error: .*nuclei\.json: .*shapes-00000\.png: the image can't be read: .*shapes-00003\.png likewise\./,
    );
    expect(existsSync(kept)).toBe(false);
  });

  it("and --skip-unreadable are scored without them, as a set of the others is", async () => {
    const [skipped, others] = [join(folder, "skipped.json"), join(folder, "others.json")];
    const { code, err } = await evaluate("--json", skipped, "--skip-unreadable", "--score-threshold", "0");
    expect(code).toBe(0);
    expect(err).toContain("The scores are of the other 2.");
    const whole = JSON.parse(readFileSync(join(folder, "nuclei.json"), "utf8")) as Coco;
    const ids = [coco.images[0]!.id, coco.images[2]!.id];
    const less = writeJson(folder, "less.json", {
      ...whole,
      images: whole.images.filter(({ id }) => ids.includes(id)),
      annotations: whole.annotations.filter(({ image_id }) => ids.includes(image_id)),
    });
    expect(
      (
        await mrcnn(
          "eval",
          ...one,
          "--images",
          broken,
          "--annotations",
          less,
          "--json",
          others,
          "--score-threshold",
          "0",
        )
      ).code,
    ).toBe(0);
    expect(JSON.parse(readFileSync(skipped, "utf8"))).toEqual(JSON.parse(readFileSync(others, "utf8")));
  });

  it("and none can, are not scored at all", async () => {
    const empty = join(folder, "empty");
    mkdirSync(empty);
    for (const name of names) writeFileSync(join(empty, name), "");
    const { code, err } = await mrcnn(
      "eval",
      ...one,
      "--images",
      empty,
      "--annotations",
      join(folder, "nuclei.json"),
      "--skip-unreadable",
    );
    expect(code).toBe(1);
    expect(err).toContain(
      "4 of 4 images could not be read; they are named above, and nothing is scored. Mend them.",
    );
  });
});

describe("convert --out", () => {
  it.runIf(process.platform !== "win32")(
    "through a symlink writes its file; into a pipe it goes, which stays one",
    async () => {
      const own = join(folder, "weights");
      mkdirSync(own);
      const weights = fileURLToPath(
        new URL("../../../packages/nuclei/weights/nuclei.safetensors", import.meta.url),
      );
      symlinkSync("real.safetensors", join(own, "link.safetensors"));
      expect(await mrcnn("convert", weights, "--out", join(own, "link.safetensors"))).toMatchObject({
        code: 0,
      });
      expect(lstatSync(join(own, "link.safetensors")).isSymbolicLink()).toBe(true);
      expect(statSync(join(own, "real.safetensors")).size).toBeGreaterThan(1_000_000);
      const pipe = join(own, "pipe.safetensors");
      execFileSync("mkfifo", [pipe]);
      const reader = spawn("cat", [pipe], { stdio: ["ignore", "pipe", "ignore"] });
      let bytes = 0;
      reader.stdout.on("data", (data: Buffer) => (bytes += data.length));
      const closed = new Promise((resolve) => reader.on("close", resolve));
      expect(await mrcnn("convert", weights, "--out", pipe)).toMatchObject({ code: 0 });
      await closed;
      expect(bytes).toBe(statSync(join(own, "real.safetensors")).size);
      expect(statSync(pipe).isFIFO()).toBe(true);
    },
  );
});
