// What can't fit into WebAssembly's memory is refused at once, with options of the command that help.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { mrcnn, temporaryFolder, tinyConfig, writeJson } from "./command.ts";

const folder = temporaryFolder();
const photo = fileURLToPath(new URL("../../../packages/nuclei/samples/dim.webp", import.meta.url));
const HELP =
  "Use smaller images (--min-size and --max-size; in training --set augment.minSizes or augment.crop), fewer at a time in training (--set training.batchSize, with training.accumulate to make up for it), or --backend tensorflow.";

it.each([
  [["--min-size", "6000", "--max-size", "6000"], "6016 x 6016", "4.34"],
  [["--min-size", "9000"], "9024 x 9024", "9.77"],
  [["--min-size", "60000", "--max-size", "60000"], "60000 x 60000", "432.00"],
])("detect %j", async (sizes, size, need) => {
  const before = process.memoryUsage().rss;
  expect(await mrcnn("detect", photo, "--model", "nuclei", "--backend", "wasm", ...sizes)).toEqual({
    code: 1,
    out: "",
    err: `error: ${photo}: detect: an image of ${size} pixels at the network's input needs at least ${need} GB of memory with this model, and the backend's ends at 4.29 GB. ${HELP}`,
  });
  expect(process.memoryUsage().rss - before).toBeLessThan(500e6);
});

it.each([
  [
    "generated shapes",
    ['data.train.shapes.size={"height":1536,"width":1536}', "training.batchSize=320"],
    "320 images of 1536 x 1536",
  ],
  [
    "crops",
    ['augment.crop={"height":4000,"width":3000}', "training.batchSize=64"],
    "64 images of 3008 x 4000",
  ],
  ["resized shapes", ["augment.minSizes=[2000,3000]", "training.batchSize=200"], "200 images of 2016 x 2016"],
])("train: %s", async (_, settings, what) => {
  const out = join(folder, what);
  const { code, err } = await mrcnn(
    "train",
    writeJson(folder, "config.json", tinyConfig),
    "--out",
    out,
    "--backend",
    "wasm",
    ...settings.flatMap((one) => ["--set", one]),
  );
  expect(code).toBe(1);
  expect(err.split("\n").at(-1)).toMatch(
    new RegExp(
      `^error: training: ${what} pixels at the network's input need at least [\\d.,]+ GB of memory with this model, and the backend's ends at 4\\.29 GB\\. Use smaller images`,
    ),
  );
  expect(err).toContain(HELP);
  expect(existsSync(join(out, "checkpoints"))).toBe(false);
});

it("trains what fits", async () => {
  const settings = [
    "training.steps=1",
    "training.accumulate=1",
    "training.batchSize=4",
    "augment.minSizes=[128]",
    "optimizer.milestones=[]",
    "optimizer.warmupSteps=0",
  ];
  const { code, err } = await mrcnn(
    "train",
    writeJson(folder, "config.json", tinyConfig),
    "--out",
    join(folder, "fits"),
    "--backend",
    "wasm",
    ...settings.flatMap((one) => ["--set", one]),
  );
  expect(err).not.toContain("error");
  expect(code).toBe(0);
});
