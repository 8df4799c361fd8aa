/** The model: a config, its weights on the device, and what they can be asked. */
import { createRandom } from "@mrcnn/core";
import type { Detections, Disposable, Random, RawImage } from "@mrcnn/core";
import type { NamedVariables } from "@mrcnn/core/tensors";
import { disposeParams, flattenParams } from "@mrcnn/nn";
import type { MaskRcnnConfig } from "./config.ts";
import type { DescribeOptions, Description } from "./describe.ts";
import { detect } from "./detect.ts";
import type { DetectOptions } from "./input.ts";
import { initMaskRcnn } from "./params.ts";
import type { MaskRcnnParams } from "./params.ts";

/** A Mask R-CNN (or Faster, or Keypoint R-CNN) with its weights on the device. */
export interface MaskRcnn extends Disposable {
  /** What it was made from. */
  readonly config: MaskRcnnConfig;
  /** The weights as the stages take them. */
  readonly params: MaskRcnnParams;
  /** Every weight and buffer by its state_dict name. */
  readonly variables: NamedVariables;
  /** The names training changes: no statistics, and no stage that `backbone.trainableLayers` freezes. */
  readonly trainable: readonly string[];
  /**
   * Finds objects, for each image in its own pixels and best first: boxes (x1, y1, x2, y2), labels from 1
   * (`config.classes[label - 1]`), scores in 0..1, masks as run lengths at the image's size, and keypoints,
   * as far as the model has heads for them. An image without objects gives empty arrays.
   *
   * @throws ConfigError when an image is so long that its shorter edge would vanish; WeightsError when the
   *   network puts out NaN or infinity, of which nothing true could be found.
   */
  detect(images: readonly RawImage[], options?: DetectOptions): Promise<Detections[]>;
  /**
   * Says what the heads make of boxes that the caller gives, for each image (x1, y1, x2, y2) in its pixels,
   * [N * 4]: class probabilities, corrected boxes, masks and keypoints, in the order of the boxes. None is
   * proposed, suppressed or dropped.
   *
   * @throws ConfigError for boxes and labels that don't fit the images or the model; WeightsError as
   *   `detect`.
   */
  describe(
    images: readonly RawImage[],
    boxes: readonly Float32Array[],
    options?: DescribeOptions,
  ): Promise<Description[]>;
}

/**
 * Creates a model with fresh weights; load trained ones with `assignWeights(model.variables, arrays)`
 * of @mrcnn/weights. The caller disposes it.
 *
 * @throws ConfigError when the groups of group norm don't divide the backbone's width.
 */
export function createMaskRcnn(config: MaskRcnnConfig, random: Random = createRandom(0)): MaskRcnn {
  const params = initMaskRcnn(config, random);
  const variables = flattenParams(params);
  return {
    config,
    params,
    variables,
    trainable: [...variables].filter(([, variable]) => variable.trainable).map(([name]) => name),
    detect: (images, options) => detect({ config, params }, images, options),
    // A page that only detects does not fetch it.
    describe: async (images, boxes, options) =>
      (await import("./describe.ts")).describeBoxes({ config, params }, images, boxes, options),
    dispose: () => disposeParams(params),
  };
}
