// Sentences that the code could contradict unseen, held against it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { backendNames, precisions } from "../../apps/trainer/src/backend.ts";
import { filesBelow, folders, readJson, root } from "../workspace.mjs";

const read = (file: string): string => readFileSync(join(root, file), "utf8");

describe("what is written", () => {
  test("of the engine's private members names every file that knows one", () => {
    const known = folders("packages")
      .flatMap((folder) => filesBelow(join(root, "packages", folder, "src"), ".ts"))
      .filter((file) =>
        /\b(runKernelFunc|activeTape|gradientDepth|kernelDepth)\b/.test(
          readFileSync(file, "utf8").replaceAll(/^\s*(\/\/|\*|\/\*\*).*$/gm, ""),
        ),
      )
      .map((file) => file.slice(root.length + 1).replaceAll("\\", "/"))
      .toSorted();
    expect(known).toEqual([
      "packages/core/src/tensors/stop-gradient.ts",
      "packages/nn/src/conv2d.ts",
      "packages/nn/src/with-gradient.ts",
      "packages/trainer/src/tape.ts",
    ]);
    for (const words of [
      "`packages/trainer/src/tape.ts`",
      "core's `offTape`",
      "nn's `withGradient`",
      "nn's `conv2d`",
    ])
      expect(read("ARCHITECTURE.md")).toContain(words);
  });

  test("of COCO's config is what it does, and is not called the paper's", () => {
    const { description, optimizer, training } = readJson("configs/coco-resnet50-fpn.json");
    const thousands = (value: number): string => value.toLocaleString("en");
    for (const words of [
      `${training.batchSize * training.accumulate} images an update`,
      `${thousands(training.steps)} updates`,
      `rate ${optimizer.rate}`,
      `divided by 10 at ${optimizer.milestones.map(thousands).join(" and ")}`,
    ])
      expect(description).toContain(words);
    for (const file of ["configs/coco-resnet50-fpn.json", "docs/guides/own-data.md"])
      expect(read(file)).not.toMatch(/the paper's schedule/);
  });

  test("of backends and precisions lists them all", () => {
    const readme = read("apps/trainer/README.md");
    expect(/`--backend ([\w|]+)`/.exec(readme)?.[1]!.split("|").toSorted()).toEqual(
      [...backendNames].toSorted(),
    );
    expect(/`--precision ([\w|]+)`/.exec(readme)?.[1]!.split("|").toSorted()).toEqual(
      [...precisions].toSorted(),
    );
    const webgpu = /\| precision \| (.*) \|/.exec(read("docs/guides/backends.md"))?.[1];
    expect(webgpu).toContain("--precision float16");
  });
});
