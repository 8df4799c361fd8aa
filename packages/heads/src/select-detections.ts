/**
 * Selection of detections, as torchvision's `postprocess_detections`, detectron2's `fast_rcnn_inference` and
 * matterport's `refine_detections`.
 */
import { tensor2d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { clipBoxesOnHost, decodeBoxesOnHost, filterSmallBoxesOnHost, gatherBoxesOnHost } from "@mrcnn/boxes";
import { assertLength, assertShape } from "@mrcnn/core";
import { hasKernel, runKernel } from "@mrcnn/core/tensors";
import type { BoxDetections, ImageSize, Rois } from "@mrcnn/core";
import type { BoxHeadOutput, RoisOnDevice } from "@mrcnn/core/tensors";
import { batchedNmsOnHost } from "@mrcnn/nms";
import { classProbabilities } from "./class-probabilities.ts";
import type { DetectionConfig } from "./detection-config.ts";
import { selectDetectionsContract } from "./kernel.ts";

/**
 * Turns the box head's outputs into detections: softmax, decoding of the classes' boxes, clipping to the
 * image, non-maximum suppression within each class. Best first.
 *
 * The steps, their order and their float32 rounding are those of torchvision's `postprocess_detections` (and,
 * with the matching options, of detectron2's `fast_rcnn_inference` and matterport's `refine_detections`), but
 * only boxes that pass the score threshold are decoded. For RoIs on the device the backend's kernel selects,
 * where there is one, and only the detections are read. The outputs remain the caller's.
 *
 * @param rois the boxes that the head was applied to; logits and deltas have a row for each.
 * @param imageSizes sizes of the images before padding, one per image.
 * @returns one entry per image; an image without detections has empty arrays.
 * @throws ShapeError when outputs and RoIs disagree.
 */
export async function selectDetections(
  output: BoxHeadOutput,
  rois: Rois | RoisOnDevice,
  imageSizes: readonly ImageSize[],
  config: DetectionConfig,
): Promise<BoxDetections[]> {
  const { boxes, imageIndex } = rois;
  const { classLogits, deltas } = output;
  const count = imageIndex.length;
  const classes = classLogits.shape[1];
  if (boxes instanceof Float32Array) assertLength(boxes, 4 * count, "selectDetections", "rois.boxes");
  else assertShape(boxes, [count, 4], "selectDetections", "rois.boxes");
  assertShape(classLogits, [count, null], "selectDetections", "output.classLogits");
  assertShape(deltas, [count, 4 * classes], "selectDetections", "output.deltas");
  const packed =
    boxes instanceof Float32Array ? undefined : selectDetectionsOnDevice(output, boxes, imageSizes, config);
  const found = packed && (await unpack(packed, imageSizes.length));
  if (found !== undefined) return found;
  const [boxValues, logits, deltaValues] = (await Promise.all([
    boxes instanceof Float32Array ? boxes : boxes.data(),
    classLogits.data(),
    deltas.data(),
  ])) as Float32Array[];
  // Rows of the device that hold no RoI belong to no image.
  const images =
    boxes instanceof Float32Array ? imageIndex : (
      imageIndex.map((image, row) => (boxValues![4 * row]! < 0 ? -1 : image))
    );
  return selectOnHost(
    { logits: logits!, deltas: deltaValues!, classes },
    { boxes: boxValues!, imageIndex: images },
    imageSizes,
    config,
  );
}

/**
 * Runs the device's part of `selectDetections`: returns the output of `MrcnnSelectDetections` (see
 * "./kernel"), or undefined where the backend has no kernel for `config`.
 */
export function selectDetectionsOnDevice(
  { classLogits, deltas }: BoxHeadOutput,
  boxes: Tensor2D,
  imageSizes: readonly ImageSize[],
  config: DetectionConfig,
): Tensor3D | undefined {
  if (!hasKernel(selectDetectionsContract, config)) return undefined;
  return tidy(() => {
    const sizes = tensor2d(imageSizes.map(({ height, width }) => [height, width]));
    return runKernel<Tensor3D, DetectionConfig>(
      selectDetectionsContract,
      { classLogits, deltas, boxes, sizes },
      config,
    )!;
  });
}

// Returns undefined where the kernel had no room for all candidates.
async function unpack(packed: Tensor3D, images: number): Promise<BoxDetections[] | undefined> {
  try {
    const rows = (await packed.data()) as Float32Array;
    const stride = rows.length / images;
    const perImage = Array.from({ length: images }, (_, image) =>
      rows.subarray(image * stride, (image + 1) * stride),
    );
    if (perImage.some(([, isCut]) => isCut === 1)) return undefined;
    return perImage.map((own) => {
      const of = (column: number): Float32Array =>
        Float32Array.from({ length: own[0]! }, (_, i) => own[6 * (i + 1) + column]!);
      const corners = [0, 1, 2, 3].map(of);
      return {
        boxes: Float32Array.from({ length: 4 * own[0]! }, (_, i) => corners[i & 3]![i >> 2]!),
        labels: Int32Array.from(of(5)),
        scores: of(4),
      };
    });
  } finally {
    packed.dispose();
  }
}

interface HeadValues {
  readonly logits: Float32Array;
  readonly deltas: Float32Array;
  readonly classes: number;
}

function selectOnHost(
  { logits, deltas, classes }: HeadValues,
  { boxes, imageIndex }: Rois,
  imageSizes: readonly ImageSize[],
  config: DetectionConfig,
): BoxDetections[] {
  const scores = classProbabilities(logits, classes);
  const least = Math.fround(config.scoreThreshold);
  const {
    classes: which = "every",
    suppression = "shifted",
    firstLabel = 1,
    inclusiveThreshold = false,
    decoding,
    windows,
  } = config;
  const passes = (score: number): boolean => score > least || (inclusiveThreshold && score === least);
  return imageSizes.map((size, image) => {
    // Candidates are flat indices roi * K + class: row-major order decides between equal scores.
    const candidates: number[] = [];
    for (let roi = 0; roi < imageIndex.length; roi++) {
      if (imageIndex[roi] !== image) continue;
      const row = roi * classes;
      if (which === "best") {
        let best = 0;
        for (let k = 1; k < classes; k++) if (scores[row + k]! > scores[row + best]!) best = k;
        if (best > 0 && passes(scores[row + best]!)) candidates.push(row + best);
      } else for (let k = 1; k < classes; k++) if (passes(scores[row + k]!)) candidates.push(row + k);
    }
    const decoded = decodeBoxesOnHost(
      gatherBoxesOnHost(deltas, candidates),
      gatherBoxesOnHost(
        boxes,
        candidates.map((c) => Math.trunc(c / classes)),
      ),
      config.weights ?? [10, 10, 5, 5],
      decoding,
    );
    const clipped =
      windows === undefined ?
        clipBoxesOnHost(decoded, size)
      : clipToWindow(decoded, windows.subarray(4 * image, 4 * image + 4));
    const usable = filterSmallBoxesOnHost(clipped, config.minSize ?? 1e-2);
    const kept = batchedNmsOnHost(
      gatherBoxesOnHost(clipped, usable),
      Float32Array.from(usable, (i) => scores[candidates[i]!]!),
      usable.map((i) => (candidates[i]! % classes) - 1 + firstLabel),
      { iouThreshold: config.nmsThreshold, maxOutput: config.maxDetections, grouping: suppression },
    ).map((i) => usable[i]!);
    return {
      boxes: gatherBoxesOnHost(clipped, kept),
      labels: kept.map((i) => candidates[i]! % classes),
      scores: Float32Array.from(kept, (i) => scores[candidates[i]!]!),
    };
  });
}

const clipToWindow = (boxes: Float32Array, window: Float32Array): Float32Array =>
  boxes.map((value, i) => Math.min(Math.max(value, window[i % 2]!), window[(i % 2) + 2]!));
