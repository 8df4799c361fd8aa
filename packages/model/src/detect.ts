import { dispose, keep, sigmoid, tidy } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { ConfigError } from "@mrcnn/core";
import type { BoxDetections, Detections, FeatureMaps, ImageBatch, ImageSize, Keypoints, RawImage, Rois } from "@mrcnn/core";
import { applyKeypointHead, decodeKeypoints, selectDetections } from "@mrcnn/heads";
import type { DetectionConfig } from "@mrcnn/heads";
import { pasteMasks } from "@mrcnn/masks";
import type { PixelWindow } from "@mrcnn/masks";
import { selectProposals } from "@mrcnn/rpn";
import { batchImages, prepareImage } from "@mrcnn/transforms";
import type { MaskRcnnConfig } from "./config.ts";
import { numericsProfiles } from "./numerics.ts";
import type { MaskRcnnParams } from "./params.ts";
import { applyBoxBranch, applyDense, applyMaskBranchOfLabels, modelAnchors, poolRois, proposalConfig } from "./stages.ts";
import { toFractions, toPhoto } from "./to-photo.ts";

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
export function concatRois(perImage: readonly Float32Array[]): Rois {
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

/** What a branch says of each detection, read once. */
export async function values(compute: () => Tensor): Promise<Float32Array> {
  const tensor = tidy(compute);
  try {
    return (await tensor.data()) as Float32Array;
  } finally {
    tensor.dispose();
  }
}

// Probabilities of each detection's own class: [R, side, side] flat.
async function maskProbabilities(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  features: FeatureMaps,
  rois: Rois,
  labels: Int32Array,
  size: ImageSize,
): Promise<Float32Array> {
  if (rois.imageIndex.length === 0) return new Float32Array(0);
  return values(() => sigmoid(applyMaskBranchOfLabels(config, params, poolRois(config, features, rois, config.maskHead.poolSize, size), labels)));
}

/** Keypoints of each detection, in the pixels of the network's input. */
export async function detectKeypoints(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  features: FeatureMaps,
  rois: Rois,
  size: ImageSize,
): Promise<Keypoints> {
  const count = config.keypoints.length;
  if (rois.imageIndex.length === 0) return { count, points: new Float32Array(0), scores: new Float32Array(0) };
  const { keypoint_head, keypoint_predictor } = params.roi_heads;
  if (keypoint_head === undefined || keypoint_predictor === undefined) throw new ConfigError("detect: the model has no keypoint head.");
  const { poolSize } = config.keypointHead;
  const heatmaps = await values(() => applyKeypointHead({ keypoint_head, keypoint_predictor }, poolRois(config, features, rois, poolSize, size)));
  return decodeKeypoints(heatmaps, rois.boxes, { side: 4 * poolSize, keypoints: count, rule: numericsProfiles[config.numerics].keypoints });
}

// Those of the objects `kept`, counted from `first`, in the photo's pixels; float32 as torchvision's resize_keypoints.
function keypointsOf({ count, points, scores }: Keypoints, first: number, kept: Int32Array, window: PixelWindow, photo: ImageSize): Keypoints {
  const x = Math.fround(photo.width / window.width);
  const y = Math.fround(photo.height / window.height);
  const own = { count, points: new Float32Array(kept.length * count * 3), scores: new Float32Array(kept.length * count) };
  for (const [i, object] of kept.entries()) {
    const from = (first + object) * count;
    own.scores.set(scores.subarray(from, from + count), i * count);
    for (let k = 0; k < count; k++) {
      const [px, py, v] = points.subarray((from + k) * 3, (from + k) * 3 + 3) as unknown as [number, number, number];
      own.points.set([px * x, py * y, v], (i * count + k) * 3);
    }
  }
  return own;
}

/** What the network is given, and where the photos lie in it. */
export interface NetworkInput {
  readonly batch: ImageBatch;
  /** Of each photo in its image of the batch. */
  readonly windows: readonly PixelWindow[];
  /** Where boxes are clipped: each image's size; 1 x 1 in fractions. */
  readonly limits: readonly ImageSize[];
}

/** Resizes, normalises and batches photos as the numerics want them. */
export function prepareInput({ image, numerics }: MaskRcnnConfig, images: readonly RawImage[], options: DetectOptions = {}): NetworkInput {
  const { resize, anchors } = numericsProfiles[numerics];
  const minSize = options.minSize ?? image.minSize;
  const maxSize = options.maxSize ?? Math.max(image.maxSize, minSize);
  const prepared = images.map((raw) => prepareImage(raw, { ...image, minSize, maxSize, resize }));
  const batch = batchImages(prepared.map((one) => one.image), { divisor: image.divisor });
  const { imageSizes } = batch;
  return {
    batch,
    windows: prepared.map(({ window }) => window),
    limits: anchors.units === "fractions" ? imageSizes.map(() => ({ height: 1, width: 1 })) : imageSizes,
  };
}

// The photos as fractions of their images: (x1, y1, x2, y2) of each.
const windowFractions = (windows: readonly PixelWindow[], sizes: readonly ImageSize[]): Float32Array =>
  Float32Array.from(windows.flatMap((window, i) => [...toFractions(window, sizes[i]!)]));

/** What counts as a detection. */
export function detectionConfig({ box, numerics }: MaskRcnnConfig, { windows, batch }: NetworkInput, options: DetectOptions = {}): DetectionConfig {
  const { detections, anchors, decoding } = numericsProfiles[numerics];
  return {
    ...detections,
    scoreThreshold: options.scoreThreshold ?? box.scoreThreshold,
    nmsThreshold: box.nmsThreshold,
    maxDetections: options.maxDetections ?? box.maxDetections,
    minSize: box.minSize,
    weights: box.weights,
    decoding,
    ...(anchors.units === "fractions" && { windows: windowFractions(windows, batch.imageSizes) }),
  };
}

/**
 * The pipeline of the paper's figure 3 at test time: resize, features, proposals, box head, class-wise
 * NMS, masks and keypoints of the kept boxes, pasting at the original size. Whose rules decide each
 * step is in `config.numerics`. The host waits for the RPN, the box head, and each further branch.
 */
export async function detect(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  images: readonly RawImage[],
  options: DetectOptions = {},
): Promise<Detections[]> {
  if (images.length === 0) return [];
  const input = prepareInput(config, images, options);
  const { batch, limits } = input;
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
    const proposals = await selectProposals(dense.rpn, anchors, limits, proposalConfig(config, config.rpn.detection));

    const boxes = tidy(() => {
      const out = applyBoxBranch(config, params, poolRois(config, dense.features, proposals, config.box.poolSize, batch.size), "running");
      hold(out.classLogits);
      hold(out.deltas);
      return out as never;
    }) as ReturnType<typeof applyBoxBranch>;
    const found = await selectDetections(boxes, proposals, limits, detectionConfig(config, input, options));

    const rois = concatRois(found.map((one) => one.boxes));
    const labels = Int32Array.from(found.flatMap((one) => [...one.labels]));
    const probabilities = config.mask ? await maskProbabilities(config, params, dense.features, rois, labels, batch.size) : undefined;
    const keypoints = config.keypoints.length > 0 ? await detectKeypoints(config, params, dense.features, rois, batch.size) : undefined;
    return inPhotos(config, images, input, found, { probabilities, keypoints });
  } finally {
    dispose(held);
  }
}

/** Detections of the network's input, in the pixels of each photo and with their masks pasted. */
export function inPhotos(
  { numerics }: MaskRcnnConfig,
  images: readonly RawImage[],
  { batch, windows }: NetworkInput,
  found: readonly BoxDetections[],
  { probabilities, keypoints }: { readonly probabilities: Float32Array | undefined; readonly keypoints: Keypoints | undefined },
): Detections[] {
  const profile = numericsProfiles[numerics];
  const count = found.reduce((n, { labels }) => n + labels.length, 0);
  const pixels = probabilities === undefined || count === 0 ? 0 : probabilities.length / count;
  let first = 0;
  return found.map((detections, i) => {
    const imageSize = { height: images[i]!.height, width: images[i]!.width };
    const { kept, ...inPhoto } = toPhoto(profile.boxes, detections, windows[i]!, { input: batch.imageSizes[i]!, photo: imageSize });
    const own = first;
    first += detections.labels.length;
    return {
      ...inPhoto,
      imageSize,
      ...(probabilities !== undefined && {
        masks: pasteMasks(rowsOf(probabilities, pixels, own, kept), inPhoto.boxes, imageSize, { method: profile.paste }),
      }),
      ...(keypoints !== undefined && { keypoints: keypointsOf(keypoints, own, kept, windows[i]!, imageSize) }),
    };
  });
}

// The rows `first + kept[i]` of a matrix with rows of `length`.
function rowsOf(values: Float32Array, length: number, first: number, kept: Int32Array): Float32Array {
  const rows = new Float32Array(kept.length * length);
  for (const [i, row] of kept.entries()) rows.set(values.subarray((first + row) * length, (first + row + 1) * length), i * length);
  return rows;
}
