// Packages that work without tensors load, and compute, where there is no TensorFlow.js at all.
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readJson, readLayers, root } from "../workspace.mjs";

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
}

const folder = mkdtempSync(join(tmpdir(), "mrcnn-no-tensors-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const names = Object.entries(readLayers().packages).flatMap(([name, rule]) =>
  rule.tensors === false ? [name] : [],
);
const manifestOf = (name: string): Manifest => readJson(`packages/${name}/package.json`) as Manifest;

// What is built, copied, so that nothing of this checkout's own node_modules is found.
function install(name: string, done: Set<string>): void {
  if (done.has(name)) return;
  done.add(name);
  const from = join(root, "packages", name);
  const to = join(folder, "node_modules", "@mrcnn", name);
  mkdirSync(to, { recursive: true });
  for (const part of ["package.json", "dist", "samples", "weights"])
    if (existsSync(join(from, part))) cpSync(join(from, part), join(to, part), { recursive: true });
  for (const dependency of Object.keys(manifestOf(name).dependencies ?? {})) {
    if (dependency.startsWith("@mrcnn/")) install(dependency.slice("@mrcnn/".length), done);
    else if (!done.has(dependency)) {
      done.add(dependency);
      const link = join(folder, "node_modules", dependency);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(realpathSync(join(from, "node_modules", dependency)), link);
    }
  }
}

beforeAll(() => {
  execFileSync(process.execPath, [
    join(root, "node_modules/typescript/bin/tsc"),
    "-b",
    ...names.map((name) => join(root, "packages", name)),
  ]);
  const done = new Set<string>();
  for (const name of names) install(name, done);
});

const run = (code: string): string => {
  const file = join(folder, "run.mjs");
  writeFileSync(file, code);
  return execFileSync(process.execPath, [file], { cwd: folder, encoding: "utf8" }).trim();
};

it("there is no TensorFlow.js here", () => {
  expect(() => run('await import("@tensorflow/tfjs-core");')).toThrow(
    "Cannot find package '@tensorflow/tfjs-core'",
  );
});

it.each(names)("@mrcnn/%s loads by each of its entries", (name) => {
  const entries = Object.keys(manifestOf(name).exports).filter(
    (entry) => !entry.endsWith(".json") && !entry.includes("*"),
  );
  const specifiers = entries.map((entry) => `@mrcnn/${name}${entry.slice(1)}`);
  expect(
    run(`for (const one of ${JSON.stringify(specifiers)}) await import(one);\nconsole.log("loaded");`),
  ).toBe("loaded");
});

it("@mrcnn/coco-eval evaluates", () => {
  const code = `import { createCocoEvaluator } from "@mrcnn/coco-eval";
    const evaluator = createCocoEvaluator({ iouType: "bbox", categories: [{ id: 1, name: "a" }] });
    evaluator.add(1, [{ categoryId: 1, score: 0.9, bbox: [12, 11, 50, 40] }], [{ categoryId: 1, bbox: [10, 10, 50, 40] }]);
    const { AP50, AP75, AP } = evaluator.summarize();
    console.log(JSON.stringify([AP50, AP75, AP].map((ap) => Number(ap.toFixed(6)))));`;
  // The boxes' IoU is 0.879: 8 of 10 thresholds are met.
  expect(JSON.parse(run(code))).toEqual([1, 1, 0.8]);
});
