// @ts-check
// Until a trained model comes with the page: a tiny one with seeded weights, in the form of a run.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startWasm } from "@mrcnn/backend-wasm";
import { createRandom } from "@mrcnn/core";
import { createMaskRcnn, maskRcnnConfig } from "@mrcnn/model";
import { toArrays, writeSafetensors } from "@mrcnn/weights";

await startWasm();
const config = maskRcnnConfig({
  classes: ["circle", "rectangle", "triangle"],
  image: { minSize: 128, maxSize: 128 },
  backbone: { depth: 18, width: 16, norm: "group_norm", groups: 8, trainableLayers: 5 },
  fpn: { channels: 16 },
  anchors: { sizes: [[16], [32], [64], [128], [256]] },
  box: { representation: 64, scoreThreshold: 0.01 },
  maskHead: { layers: [16], channels: 16 },
});
const model = createMaskRcnn(config, createRandom(1));
const folder = join(import.meta.dirname, "..", "public", "models", "bundled");
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "weights.safetensors"), writeSafetensors(await toArrays(model.variables), { format: "mrcnn" }));
writeFileSync(join(folder, "config.json"), JSON.stringify({ model: config, evaluation: { maxDetections: 20, scoreThreshold: 0.01 } }));
process.exit(0);
