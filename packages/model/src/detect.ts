import { dispose, keep, sigmoid, tidy } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { ConfigError } from "@mrcnn/core";
import type { BoxDetections, Detections, FeatureMaps, ImageSize, RawImage, Rle, Rois } from "@mrcnn/core";
import { applyBoxHead, applyMaskHeadOfLabels, selectDetections } from "@mrcnn/heads";
import { pasteMasks } from "@mrcnn/masks";
import { selectProposals } from "@mrcnn/rpn";
import { batchImages, mapBoxes, prepareImage } from "@mrcnn/transforms";
import type { MaskRcnnConfig } from "./config.ts";
import type { MaskRcnnParams } from "./params.ts";
import { applyDense, modelAnchors, poolRois } from "./stages.ts";

/** Overrides for one call; the config's values otherwise. */
export interface DetectOptions {
  /** Only scores above this count. */
  readonly scoreThreshold?: number | undefined;
  /** The best so many of each image are kept. */
  readonly maxDetections?: number | undefined;
  /** Length of the image's shorter edge at the network's input, pixels; equal to the image's own it is not resized. */
  readonly minSize?: number | undefined;
  /** Limit of the longer edge, pixels. Default the config's, or `minSize` where that is more. */
  readonly maxSize?: number | undefined;
}

/** The RoIs of several images as one list. */
function concatRois(perImage: readonly Float32Array[]): Rois {
  const count = perImage.reduce((n, boxes) => n + boxes.length / 4, 0);
  const boxes = new Float32Array(count * 4);
  const imageIndex = new Int32Array(count);
  let at = 0;
  perImage.forEach((own, image) => {
    boxes.set(own, at * 4);
    imageIndex.fill(image, at, at + own.length / 4);
    at += own.length / 4;
  });
  return { boxes, imageIndex };
}

// Probabilities of each detection's own class: [R, 28, 28] flat.
async function maskProbabilities(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  features: FeatureMaps,
  found: readonly BoxDetections[],
  size: ImageSize,
): Promise<Float32Array> {
  const rois = concatRois(found.map(({ boxes }) => boxes));
  if (rois.imageIndex.length === 0) return new Float32Array(0);
  const { mask_head, mask_predictor } = params.roi_heads;
  if (mask_head === undefined || mask_predictor === undefined) throw new ConfigError("detect: the model has no mask head.");
  const labels = Int32Array.from(found.flatMap((one) => [...one.labels]));
  const probabilities = tidy(() => {
    const pooled = poolRois(config, features, rois, config.maskHead.poolSize, size);
    return sigmoid(applyMaskHeadOfLabels({ mask_head, mask_predictor }, pooled, labels));
  });
  try {
    return (await probabilities.data()) as Float32Array;
  } finally {
    probabilities.dispose();
  }
}

/**
 * The pipeline of the paper's figure 3 at test time, in torchvision's order: resize, features,
 * proposals, box head, class-wise NMS, masks of the kept boxes, pasting at the original size.
 * The host waits three times: for the RPN, the box head and the masks.
 */
export async function detect(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  images: readonly RawImage[],
  options: DetectOptions = {},
): Promise<Detections[]> {
  if (images.length === 0) return [];
  const { image, rpn, box } = config;
  const minSize = options.minSize ?? image.minSize;
  const maxSize = options.maxSize ?? Math.max(image.maxSize, minSize);
  const batch = batchImages(
    images.map((raw) => prepareImage(raw, { mean: image.mean, std: image.std, minSize, maxSize }).image),
    { divisor: image.divisor },
  );
  const held: Tensor[] = [];
  const hold = <T extends Tensor>(tensor: T): T => {
    held.push(keep(tensor));
    return tensor;
  };
  try {
    const dense = tidy(() => {
      const out = applyDense(config, params, batch, "running");
      for (const map of out.features.values()) hold(map);
      hold(out.rpn.objectness);
      hold(out.rpn.deltas);
      return out as never;
    }) as ReturnType<typeof applyDense>;
    const anchors = modelAnchors(config, dense.grids, batch.size);
    const proposals = await selectProposals(dense.rpn, anchors, batch.imageSizes, {
      ...rpn.detection,
      nmsThreshold: rpn.nmsThreshold,
      minSize: rpn.minSize,
    });

    const boxes = tidy(() => {
      const out = applyBoxHead(params.roi_heads, poolRois(config, dense.features, proposals, box.poolSize, batch.size));
      hold(out.classLogits);
      hold(out.deltas);
      return out as never;
    }) as ReturnType<typeof applyBoxHead>;
    const found = await selectDetections(boxes, proposals, batch.imageSizes, {
      scoreThreshold: options.scoreThreshold ?? box.scoreThreshold,
      nmsThreshold: box.nmsThreshold,
      maxDetections: options.maxDetections ?? box.maxDetections,
      minSize: box.minSize,
      weights: box.weights,
    });

    const probabilities = config.mask ? await maskProbabilities(config, params, dense.features, found, batch.size) : undefined;
    const pixels = (config.maskHead.poolSize * 2) ** 2;
    let at = 0;
    return found.map((detections, i) => {
      const imageSize = { height: images[i]!.height, width: images[i]!.width };
      const original = mapBoxes(detections.boxes, batch.imageSizes[i]!, imageSize);
      const count = detections.labels.length;
      let masks: Rle[] | undefined;
      if (probabilities !== undefined) {
        masks = pasteMasks(probabilities.subarray(at * pixels, (at + count) * pixels), original, imageSize);
        at += count;
      }
      return { ...detections, boxes: original, imageSize, ...(masks === undefined ? {} : { masks }) };
    });
  } finally {
    dispose(held);
  }
}
