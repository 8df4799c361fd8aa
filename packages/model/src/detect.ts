import { keep, sigmoid, slice, tensor4d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import { applyResnetStage, applyResnetStem } from "@mrcnn/backbones";
import { assertOptions, ConfigError, hasKernel, numberFrom } from "@mrcnn/core";
import type {
  BoxDetections,
  BoxHeadOutput,
  Detections,
  FeatureMaps,
  ImageBatch,
  ImageSize,
  Keypoints,
  OptionRules,
  RawImage,
  Rle,
  Rois,
  RoisOnDevice,
  RpnOutput,
} from "@mrcnn/core";
import { applyFpn } from "@mrcnn/fpn";
import { applyKeypointHead, pasteOnDevice, readKeypoints, selectDetections } from "@mrcnn/heads";
import type { DetectionConfig } from "@mrcnn/heads";
import { pasteMasksContract } from "@mrcnn/heads/kernel";
import { pasteMasks, planPaste, rlesFromBits } from "@mrcnn/masks";
import type { PasteMethod, PixelWindow } from "@mrcnn/masks";
import { applyRpnHead, selectProposals, selectProposalsOnDevice } from "@mrcnn/rpn";
import { batchImages, preparedSize, prepareImage } from "@mrcnn/transforms";
import type { MaskRcnnConfig } from "./config.ts";
import { assertDetectionFits } from "./memory.ts";
import { watchOutputs } from "./finite-outputs.ts";
import type { FiniteOutputs } from "./finite-outputs.ts";
import { numericsProfiles } from "./numerics.ts";
import { resnetConfig } from "./params.ts";
import type { MaskRcnnParams } from "./params.ts";
import {
  applyBoxBranch,
  applyMaskBranchOfLabels,
  modelAnchors,
  normOptions,
  poolRois,
  proposalConfig,
} from "./stages.ts";
import { toFractions, toPhoto } from "./to-photo.ts";
import type { PhotoDetections } from "./to-photo.ts";

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

/** What the values of `DetectOptions` must be. */
export const detectRules: OptionRules = {
  scoreThreshold: numberFrom(0, 1),
  maxDetections: numberFrom(1, 10_000, { whole: true }),
  minSize: numberFrom(1, 1_000_000, { whole: true }),
  maxSize: numberFrom(1, 1_000_000, { whole: true }),
};

/** Throws for a limit of the longer edge that the shorter could never reach. @throws ConfigError */
export function assertSizesAgree({ minSize, maxSize }: DetectOptions, where: string): void {
  if (minSize !== undefined && maxSize !== undefined && minSize > maxSize)
    throw new ConfigError(`${where}: minSize must be at most maxSize, got ${minSize} and ${maxSize}.`);
}

// The RoIs of several images as one list.
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

// Those of the objects `kept`, counted from `first`, in the photo's pixels; float32 as torchvision's resize_keypoints.
function keypointsOf(
  { count, points, scores }: Keypoints,
  first: number,
  kept: Int32Array,
  window: PixelWindow,
  photo: ImageSize,
): Keypoints {
  const x = Math.fround(photo.width / window.width);
  const y = Math.fround(photo.height / window.height);
  const own = {
    count,
    points: new Float32Array(kept.length * count * 3),
    scores: new Float32Array(kept.length * count),
  };
  for (const [i, object] of kept.entries()) {
    const from = (first + object) * count;
    own.scores.set(scores.subarray(from, from + count), i * count);
    for (let k = 0; k < count; k++) {
      const [px, py, v] = points.subarray((from + k) * 3, (from + k) * 3 + 3) as unknown as [
        number,
        number,
        number,
      ];
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
export function prepareInput(
  config: MaskRcnnConfig,
  images: readonly RawImage[],
  options: DetectOptions = {},
): NetworkInput {
  const { image, numerics } = config;
  const { resize, anchors } = numericsProfiles[numerics];
  const minSize = options.minSize ?? image.minSize;
  const maxSize = options.maxSize ?? Math.max(image.maxSize, minSize);
  const sizes = images.map((photo) => preparedSize(photo, { minSize, maxSize, resize }));
  const size = {
    height: Math.max(...sizes.map(({ height }) => height)),
    width: Math.max(...sizes.map(({ width }) => width)),
  };
  assertDetectionFits({ config, count: images.length, size });
  const prepared = images.map((raw) => prepareImage(raw, { ...image, minSize, maxSize, resize }));
  const batch = batchImages(
    prepared.map((one) => one.image),
    { divisor: image.divisor },
  );
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
export function detectionConfig(
  { box, numerics }: MaskRcnnConfig,
  { windows, batch }: NetworkInput,
  options: DetectOptions = {},
): DetectionConfig {
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

/** What each stage puts out, in the order they run. */
export interface DetectStages {
  readonly resize: NetworkInput;
  readonly stem: Tensor4D;
  readonly layer1: Tensor4D;
  readonly layer2: Tensor4D;
  readonly layer3: Tensor4D;
  readonly layer4: Tensor4D;
  readonly fpn: FeatureMaps;
  readonly "rpn head": RpnOutput;
  /** On the device where its kernel chose them. */
  readonly proposals: Rois | RoisOnDevice;
  readonly "box pooling": Tensor4D;
  readonly "box head": BoxHeadOutput;
  readonly selection: readonly BoxDetections[];
  readonly "mask pooling": Tensor4D;
  /** Probabilities of each detection's own class, [R, side, side]. */
  readonly "mask head": Tensor3D;
  /** Of each image. */
  readonly paste: readonly (readonly Rle[])[];
  /** In the pixels of the network's input. */
  readonly keypoints: Keypoints;
}

/**
 * Told of each stage when it is done, and how long it took. Tensors are the pipeline's: read them at once, or clone them.
 * Being watched, the pipeline waits for the device after each stage, and the whole takes longer.
 */
export type DetectObserver = <S extends keyof DetectStages>(
  stage: S,
  output: DetectStages[S],
  seconds: number,
) => void | Promise<void>;

const blockNames = ["layer1", "layer2", "layer3", "layer4"] as const;

/**
 * The pipeline of the paper's figure 3 at test time: resize, features, proposals, box head, class-wise
 * NMS, masks and keypoints of the kept boxes, pasting at the original size. Whose rules decide each
 * step is in `config.numerics`. The host waits for the box head and the last branch, and before for the RPN where the backend has no
 * kernel that chooses proposals.
 */
export async function detect(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  images: readonly RawImage[],
  options: DetectOptions = {},
  observe?: DetectObserver,
): Promise<Detections[]> {
  assertOptions(options, detectRules, "detect");
  assertSizesAgree(options, "detect");
  if (images.length === 0) return [];
  const outputs = watchOutputs();
  const held = new Set<Tensor>();
  const release = (tensors: Iterable<Tensor>): void => {
    for (const tensor of tensors) if (held.delete(tensor)) tensor.dispose();
  };
  const stage = async <S extends keyof DetectStages>(
    name: S,
    work: () => DetectStages[S] | Promise<DetectStages[S]>,
  ): Promise<DetectStages[S]> => {
    const start = performance.now();
    const output = await work();
    if (observe !== undefined) {
      await settle(tensorsOf(output).at(-1));
      await observe(name, output, (performance.now() - start) / 1000);
    }
    return output;
  };
  const onDevice = <S extends keyof DetectStages>(
    name: S,
    compute: () => DetectStages[S],
  ): Promise<DetectStages[S]> =>
    stage(name, () =>
      tidy(() => {
        const output = compute();
        for (const tensor of tensorsOf(output)) held.add(keep(tensor));
        return output as never;
      }),
    );

  try {
    const input = await stage("resize", () => prepareInput(config, images, options));
    const { batch, limits } = input;
    const { body, fpn } = params.backbone;
    const resnet = resnetConfig(config);
    let y = await onDevice("stem", () =>
      applyResnetStem(
        body,
        resnet,
        tensor4d(batch.data, [images.length, batch.size.height, batch.size.width, 3]),
      ),
    );
    const maps = new Map<string, Tensor4D>();
    for (const [i, name] of blockNames.entries()) {
      const blocks = body[name];
      if (blocks === undefined) continue;
      const x = y;
      y = await onDevice(name, () => applyResnetStage(blocks, resnet, i as 0 | 1 | 2 | 3, x));
      if (i === 0 || fpn === undefined) release([x]);
      maps.set(`c${i + 2}`, y);
    }
    const features: FeatureMaps =
      fpn === undefined ?
        new Map([[...maps].at(-1)!])
      : await onDevice("fpn", () => applyFpn(fpn, maps, normOptions(config, config.fpn)));
    if (fpn !== undefined) release(maps.values());
    const rpn = await onDevice("rpn head", () => applyRpnHead(params.rpn.head, features));

    const proposals = await stage("proposals", async () => {
      await outputs.see("objectness", rpn.objectness);
      await outputs.see("proposals' box deltas", rpn.deltas);
      const grids = [...features.values()].map(({ shape }) => ({ height: shape[1], width: shape[2] }));
      const anchors = modelAnchors(config, grids, batch.size);
      const choose = proposalConfig(config, config.rpn.detection);
      const chosen = selectProposalsOnDevice(rpn, anchors, limits, choose);
      if (chosen === undefined) return selectProposals(rpn, anchors, limits, choose);
      held.add(chosen.boxes);
      return chosen;
    });
    release([rpn.objectness, rpn.deltas]);
    const pooled = await onDevice("box pooling", () =>
      poolRois(config, features, proposals, config.box.poolSize, batch.size),
    );
    const boxes = await onDevice("box head", () => applyBoxBranch(config, params, pooled, "running"));
    release([pooled]);
    const found = await stage("selection", async () => {
      await outputs.see("class scores", boxes.classLogits);
      await outputs.see("box deltas", boxes.deltas);
      const [selected] = await both(
        selectDetections(boxes, proposals, limits, detectionConfig(config, input, options)),
        outputs.settle(),
      );
      return selected;
    });

    const rois = concatRois(found.map((one) => one.boxes));
    const labels = Int32Array.from(found.flatMap((one) => [...one.labels]));
    const placed = inPhotos(config, images, input, found);
    const masksOf = async (): Promise<readonly (readonly Rle[])[] | undefined> => {
      if (!config.mask) return undefined;
      if (labels.length === 0) return images.map(() => []);
      const seen = await onDevice("mask pooling", () =>
        poolRois(config, features, rois, config.maskHead.poolSize, batch.size),
      );
      const logits = tidy(() => applyMaskBranchOfLabels(config, params, seen, labels));
      held.add(logits);
      const masks = await onDevice("mask head", () => sigmoid(logits));
      release([seen]);
      await outputs.see("masks", logits);
      release([logits]);
      const [pasted] = await both(
        stage("paste", () => paste(masks, placed, numericsProfiles[config.numerics].paste)),
        outputs.settle(),
      );
      return pasted;
    };
    const keypointsOfRois = async (): Promise<Keypoints | undefined> =>
      config.keypoints.length === 0 ?
        undefined
      : stage("keypoints", () => detectKeypoints(config, params, features, rois, batch.size, outputs));
    // Both are on their way before the host waits for either; watched, one after the other.
    const masks = masksOf();
    if (observe !== undefined) await masks;
    const [pasted, keypoints] = await both(masks, keypointsOfRois());
    return placed.map(({ kept, first, ...detections }, i) => ({
      ...detections,
      ...(pasted !== undefined && { masks: [...pasted[i]!] }),
      ...(keypoints !== undefined && {
        keypoints: keypointsOf(keypoints, first, kept, input.windows[i]!, detections.imageSize),
      }),
    }));
  } finally {
    release([...held]);
    outputs.dispose();
  }
}

// Both or the error of one, when neither works any more on what is let go of then.
async function both<A, B>(one: Promise<A>, other: Promise<B>): Promise<readonly [A, B]> {
  await Promise.allSettled([one, other]);
  return [await one, await other];
}

const isTensor = (value: unknown): value is Tensor =>
  typeof value === "object" && value !== null && "dataId" in value;

function tensorsOf(output: unknown): Tensor[] {
  if (isTensor(output)) return [output];
  if (output instanceof Map) return [...output.values()].filter(isTensor);
  return typeof output === "object" && output !== null && !ArrayBuffer.isView(output) ?
      Object.values(output).filter(isTensor)
    : [];
}

// Returns when everything up to `tensor` is computed: one of its values is there.
async function settle(tensor: Tensor | undefined): Promise<void> {
  if (tensor === undefined || tensor.size === 0) return;
  const one = slice(
    tensor,
    tensor.shape.map(() => 0),
    tensor.shape.map(() => 1),
  );
  await one.data();
  one.dispose();
}

// Keypoints of each detection, in the pixels of the network's input.
async function detectKeypoints(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  features: FeatureMaps,
  rois: Rois,
  size: ImageSize,
  outputs: FiniteOutputs,
): Promise<Keypoints> {
  const count = config.keypoints.length;
  if (rois.imageIndex.length === 0)
    return { count, points: new Float32Array(0), scores: new Float32Array(0) };
  const { keypoint_head, keypoint_predictor } = params.roi_heads;
  if (keypoint_head === undefined || keypoint_predictor === undefined)
    throw new ConfigError("detect: the model has no keypoint head.");
  const { poolSize } = config.keypointHead;
  const heatmaps = tidy(() =>
    applyKeypointHead(
      { keypoint_head, keypoint_predictor },
      poolRois(config, features, rois, poolSize, size),
    ),
  );
  try {
    await outputs.see("keypoints", heatmaps);
    const [keypoints] = await both(
      readKeypoints(heatmaps, rois.boxes, { rule: numericsProfiles[config.numerics].keypoints }),
      outputs.settle(),
    );
    return keypoints;
  } finally {
    heatmaps.dispose();
  }
}

// Detections of one image in its photo.
interface Placed extends PhotoDetections {
  readonly imageSize: ImageSize;
  /** Where its detections begin among those of all images. */
  readonly first: number;
}

function inPhotos(
  { numerics }: MaskRcnnConfig,
  images: readonly RawImage[],
  { batch, windows }: NetworkInput,
  found: readonly BoxDetections[],
): Placed[] {
  let first = 0;
  return found.map((detections, i) => {
    const imageSize = { height: images[i]!.height, width: images[i]!.width };
    const placed = toPhoto(numericsProfiles[numerics].boxes, detections, windows[i]!, {
      input: batch.imageSizes[i]!,
      photo: imageSize,
    });
    const own = { ...placed, imageSize, first };
    first += detections.labels.length;
    return own;
  });
}

// Masks put back under their boxes: by a kernel where the backend has one, so that only the pixels of the boxes are read, a bit each.
async function paste(masks: Tensor3D, placed: readonly Placed[], method: PasteMethod): Promise<Rle[][]> {
  const side = masks.shape[1];
  const targets = placed.map(({ boxes, kept, first, imageSize: size }) => ({
    boxes,
    size,
    rows: kept.map((row) => first + row),
  }));
  if (method !== "matterport" && hasKernel(pasteMasksContract, { method })) {
    const plan = planPaste(targets, side, { method });
    if (plan.words === 0) return rlesFromBits(new Int32Array(0), plan, targets);
    const bits = pasteOnDevice(masks, plan, { method })!;
    try {
      return rlesFromBits((await bits.data()) as Int32Array, plan, targets);
    } finally {
      bits.dispose();
    }
  }
  const values = (await masks.data()) as Float32Array;
  return targets.map(({ boxes, rows, size }) =>
    pasteMasks(rowsOf(values, side * side, rows), boxes, size, { method }),
  );
}

// The rows of a matrix with rows of `length`.
function rowsOf(values: Float32Array, length: number, rows: Int32Array): Float32Array {
  const chosen = new Float32Array(rows.length * length);
  for (const [i, row] of rows.entries())
    chosen.set(values.subarray(row * length, (row + 1) * length), i * length);
  return chosen;
}
