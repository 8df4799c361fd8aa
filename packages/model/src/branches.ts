/**
 * The mask head and the keypoint head as two values of one type: what they compute, and how detection reads
 * it.
 */
import { sigmoid, tidy } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import { applyResnetStage } from "@mrcnn/backbones";
import { hasKernel } from "@mrcnn/core/tensors";
import type { BoxDetections, Detections, ImageSize, Keypoints, Rois } from "@mrcnn/core";
import {
  applyKeypointHead,
  applyMaskHead,
  applyMaskHeadOfLabels,
  decodeKeypoints,
  decodeKeypointsOnDevice,
  keypointsFromPairs,
  pasteOnDevice,
} from "@mrcnn/heads";
import { pasteMasksContract } from "@mrcnn/heads/kernel";
import { pasteMasks, planPaste, rlesFromBits } from "@mrcnn/masks";
import type { PixelWindow } from "@mrcnn/masks";
import type { MaskRcnnConfig } from "./config.ts";
import { normOptions } from "./norm-options.ts";
import type { Statistics } from "./norm-options.ts";
import { numericsProfiles } from "./numerics.ts";
import { resnetConfig } from "./params.ts";
import type { MaskRcnnParams } from "./params.ts";

/** Detections of one image in its photo. */
export interface Placed extends BoxDetections {
  /** The photo's size. */
  readonly imageSize: ImageSize;
  /** Where the photo lies in the network's input. */
  readonly window: PixelWindow;
  /** Rows of these detections among those that the branches looked at. */
  readonly rows: Int32Array;
}

/** What the branches looked at: boxes in the network's input, and what became of them in each photo. */
export interface Found {
  readonly rois: Rois;
  readonly placed: readonly Placed[];
}

/** What a branch adds to the detections of an image. */
export type Addition = Pick<Detections, "masks" | "keypoints">;

/** A branch's output on its way to the host. */
export interface Reading {
  /** The tensor to read; the caller disposes it. */
  readonly tensor: Tensor;
  /** Turns its values into what each image's detections gain. */
  finish(values: Float32Array | Int32Array): readonly Addition[];
}

/** A head that looks at objects; "mask" and "keypoint" are values of one type. */
export interface Branch {
  readonly kind: "mask" | "keypoint";
  /** Name of the stage that reads the output. */
  readonly reading: "paste" | "keypoints";
  /** Name of the output in errors. */
  readonly output: string;
  /** Number of bins of pooling per side. */
  readonly poolSize: number;
  /**
   * `pooled` [R, side, side, C] to logits, of the class of each object's label or of every class. R may be 0.
   */
  apply(pooled: Tensor4D, labels: Int32Array | undefined): Tensor;
  /** Begins to read logits: computes on the device what the backend has a kernel for. */
  read(logits: Tensor, found: Found): Reading;
  /** What the branch adds for an image without objects. */
  readonly nothing: Addition;
}

/**
 * The mask branch: logits [R, side', side'], or [R, side', side', K] of every class; `side'` is twice the
 * pool's, in C4 the pool's.
 */
export function maskBranch(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  statistics: Statistics,
): Branch | undefined {
  const { layer4, mask_head = [], mask_predictor } = params.roi_heads;
  if (mask_predictor === undefined) return undefined;
  const { paste: method } = numericsProfiles[config.numerics];
  const head = { mask_head, mask_predictor };
  const options = { ...normOptions(config, config.maskHead), statistics };
  return {
    kind: "mask",
    reading: "paste",
    output: "masks",
    poolSize: config.maskHead.poolSize,
    apply: (pooled, labels) =>
      tidy(() => {
        const seen =
          layer4 === undefined || pooled.shape[0] === 0 ?
            pooled
          : applyResnetStage(layer4, resnetConfig(config), 3, pooled, { statistics });
        return labels === undefined ?
            applyMaskHead(head, seen, options)
          : applyMaskHeadOfLabels(head, seen, labels, options);
      }),
    // Masks are put back under their boxes by a kernel where the backend has one: a bit for each pixel of the
    // boxes is read.
    read(logits, { placed }) {
      const side = logits.shape[1]!;
      const targets = placed.map(({ boxes, rows, imageSize: size }) => ({ boxes, size, rows }));
      const masks = tidy(() => sigmoid(logits as Tensor3D));
      if (method !== "matterport" && hasKernel(pasteMasksContract, { method })) {
        const plan = planPaste(targets, side, { method });
        const bits = plan.words === 0 ? undefined : pasteOnDevice(masks, plan, { method });
        if (bits !== undefined) {
          masks.dispose();
          return {
            tensor: bits,
            finish: (words) =>
              rlesFromBits(words as Int32Array, plan, targets).map((own) => ({ masks: own })),
          };
        }
      }
      return {
        tensor: masks,
        finish: (values) =>
          targets.map(({ boxes, rows, size }) => ({
            masks: pasteMasks(rowsOf(values as Float32Array, side * side, rows), boxes, size, { method }),
          })),
      };
    },
    nothing: { masks: [] },
  };
}

/** The keypoint branch: heatmaps of logits [R, 4 side, 4 side, K]. It knows no classes. */
export function keypointBranch(config: MaskRcnnConfig, params: MaskRcnnParams): Branch | undefined {
  const { keypoint_head, keypoint_predictor } = params.roi_heads;
  if (keypoint_head === undefined || keypoint_predictor === undefined) return undefined;
  const count = config.keypoints.length;
  const { keypoints: rule } = numericsProfiles[config.numerics];
  return {
    kind: "keypoint",
    reading: "keypoints",
    output: "keypoints",
    poolSize: config.keypointHead.poolSize,
    apply: (pooled) => applyKeypointHead({ keypoint_head, keypoint_predictor }, pooled),
    read(heatmaps, { rois: { boxes }, placed }) {
      const inPhotos = (keypoints: Keypoints): Addition[] =>
        placed.map((own) => ({ keypoints: keypointsOf(keypoints, own) }));
      const pairs = decodeKeypointsOnDevice(heatmaps as Tensor4D, boxes, { rule });
      if (pairs !== undefined)
        return {
          tensor: pairs,
          finish: (values) => inPhotos(keypointsFromPairs(values as Int32Array, boxes, count)),
        };
      return {
        tensor: heatmaps.clone(),
        finish: (values) =>
          inPhotos(
            decodeKeypoints(values as Float32Array, boxes, {
              side: heatmaps.shape[1]!,
              keypoints: count,
              rule,
            }),
          ),
      };
    },
    nothing: { keypoints: { count, points: new Float32Array(0), scores: new Float32Array(0) } },
  };
}

// The rows of a matrix with rows of `length`.
function rowsOf(values: Float32Array, length: number, rows: Int32Array): Float32Array {
  const chosen = new Float32Array(rows.length * length);
  for (const [i, row] of rows.entries())
    chosen.set(values.subarray(row * length, (row + 1) * length), i * length);
  return chosen;
}

// Keypoints of one photo's objects, in its pixels; float32 as torchvision's resize_keypoints.
function keypointsOf({ count, points, scores }: Keypoints, { rows, window, imageSize }: Placed): Keypoints {
  const x = Math.fround(imageSize.width / window.width);
  const y = Math.fround(imageSize.height / window.height);
  const own = {
    count,
    points: new Float32Array(rows.length * count * 3),
    scores: new Float32Array(rows.length * count),
  };
  for (const [i, row] of rows.entries()) {
    own.scores.set(scores.subarray(row * count, (row + 1) * count), i * count);
    for (let k = row * count; k < (row + 1) * count; k++) {
      const [px, py, v] = points.subarray(3 * k, 3 * k + 3) as unknown as [number, number, number];
      own.points.set([px * x, py * y, v], (i * count + k - row * count) * 3);
    }
  }
  return own;
}
