/** A look inside detection: what its stages put out, and where it spends its time. */
import { ConfigError } from "@mrcnn/core";
import type { Detections, RawImage } from "@mrcnn/core";
import { detect } from "./detect.ts";
import type { DetectOptions } from "./input.ts";
import type { MaskRcnn } from "./mask-rcnn.ts";
import type { DetectObserver, DetectStages } from "./stages.ts";

export type { NetworkInput } from "./input.ts";
export { modelAnchors } from "./parts.ts";
export type { DetectObserver, DetectStages } from "./stages.ts";

/**
 * Detects as `model.detect`, and tells `observe` of each stage's output as soon as it is there: proposals,
 * pooled features, masks before they are pasted.
 *
 * @throws ConfigError as `model.detect`; what `observe` throws.
 */
export const observeDetect = (
  model: MaskRcnn,
  images: readonly RawImage[],
  observe: DetectObserver,
  options: DetectOptions = {},
): Promise<Detections[]> => detect(model, images, options, observe);

/** Detections, and the time that each stage took. */
export interface DetectProfile {
  readonly detections: readonly Detections[];
  /** Seconds of each stage, in the order they ran, as far as the model has them. */
  readonly seconds: ReadonlyMap<keyof DetectStages, number>;
}

/**
 * Detects as `model.detect` and times each stage, waiting for the device after it: on a device that computes
 * while the host goes on, the whole takes longer than `model.detect`.
 *
 * @throws ConfigError as `model.detect`, and without images.
 */
export async function profileDetect(
  model: MaskRcnn,
  images: readonly RawImage[],
  options: DetectOptions = {},
): Promise<DetectProfile> {
  if (images.length === 0) throw new ConfigError("profileDetect: images must hold at least one.");
  const seconds = new Map<keyof DetectStages, number>();
  const detections = await observeDetect(
    model,
    images,
    (stage, _, took) => void seconds.set(stage, took),
    options,
  );
  return { detections, seconds };
}
