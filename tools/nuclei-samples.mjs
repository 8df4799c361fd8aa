// @ts-check
/**
 * Regenerates the sample images of packages/nuclei from samples/samples.json: node tools/nuclei-samples.mjs
 */
import { join } from "node:path";
import { build } from "./bootstrap.mjs";
import { readJson, root } from "./workspace.mjs";

build();
const { nucleiDataset } = await import("../packages/datasets/dist/index.js");
const { writeImageFile } = await import("../packages/datasets/dist/node.js");
for (const { file, options } of readJson("packages/nuclei/samples/samples.json")) {
  const { image } = await nucleiDataset({ count: 1, ...options }).get(0);
  await writeImageFile(join(root, "packages", "nuclei", "samples", file), image);
}
