/** Networks of the catalog with random weights, for bench. */
import { ConfigError, createRandom } from "@mrcnn/core";
import type { Random } from "@mrcnn/core";
import type { CatalogEntry } from "@mrcnn/mask-rcnn";
import { createMaskRcnn, maskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnn, MaskRcnnConfig } from "@mrcnn/model";
import { mul, tidy } from "@tensorflow/tfjs";

/** The config of the network of another library's entry, without its weights. */
export function catalogConfig({ source, categories, keypoints, network }: CatalogEntry): MaskRcnnConfig {
  if (source === "mrcnn")
    throw new ConfigError(
      "catalogConfig: the entry must be another library's; this project's files carry their config.",
    );
  const { architecture, depth, cardinality, rpnConvs, mask } = network;
  const matterport = source === "matterport";
  // torchvision's v2: norms everywhere, and convolutions in the box head.
  const v2 = rpnConvs === 2;
  const norm = v2 ? "batch_norm" : "none";
  return maskRcnnConfig({
    classes: categories.map(({ id, name }) => `${id} ${name}`),
    numerics: source,
    architecture,
    mask,
    keypoints: keypoints?.names ?? [],
    backbone: {
      depth,
      cardinality,
      ...(cardinality > 1 && { widthPerGroup: 8, strideIn1x1: false }),
      ...(v2 && { norm: "batch_norm" }),
    },
    ...(architecture === "fpn" && { fpn: { norm } }),
    rpn: { convs: rpnConvs },
    ...(architecture !== "c4" && { box: { norm, ...(v2 && { layers: [256, 256, 256, 256] }) } }),
    maskHead: { norm: matterport ? "frozen_batch_norm" : norm },
  });
}

/**
 * A model with random weights; deep residual sums are damped, for without training they would grow past what
 * heads can read.
 */
export function randomModel(config: MaskRcnnConfig, random: Random = createRandom(0)): MaskRcnn {
  const model = createMaskRcnn(config, random);
  for (const [name, variable] of model.variables) {
    if (!name.endsWith(".bn3.weight")) continue;
    const damped = tidy(() => mul(variable, 0.25));
    variable.assign(damped);
    damped.dispose();
  }
  return model;
}
