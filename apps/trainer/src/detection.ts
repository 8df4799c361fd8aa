/** Detects on the images of a data set or on pictures, one after the other. */
import { toCocoResults } from "@mrcnn/coco-eval";
import { ConfigError, isMrcnnError, MemoryError } from "@mrcnn/core";
import type { CocoId, Dataset, Detections, RawImage } from "@mrcnn/core";
import type { CocoResult } from "@mrcnn/masks";
import type { DetectOptions, MaskRcnn } from "@mrcnn/model";
import type { Category } from "./data-source.ts";
import type { Interrupt } from "./interrupt.ts";

/** How a model is run on images; what is absent is the model's own. */
export interface DetectionSettings extends DetectOptions {
  /** Images are not resized, whatever the sizes above. */
  readonly nativeSize?: boolean | undefined;
}

/**
 * Detects on one image.
 *
 * @throws ConfigError naming the image when it can't be brought to the model's size; MemoryError naming it
 *   when there is not enough.
 */
export async function detectImage(
  model: MaskRcnn,
  { image, name }: NamedImage,
  settings: DetectionSettings,
): Promise<Detections> {
  const { scoreThreshold, maxDetections, nativeSize = false } = settings;
  const [minSize, maxSize] =
    nativeSize ?
      [Math.min(image.height, image.width), Math.max(image.height, image.width)]
    : [settings.minSize, settings.maxSize];
  try {
    const [detections] = await model.detect([image], { scoreThreshold, maxDetections, minSize, maxSize });
    return detections!;
  } catch (cause) {
    if (cause instanceof MemoryError)
      throw new MemoryError(`${name}: ${cause.shortage}`, cause.remedy, { cause });
    if (!(cause instanceof ConfigError)) throw cause;
    throw new ConfigError(`${name}: ${cause.message}`, { cause });
  }
}

/** An image, and what errors call it. */
export interface NamedImage {
  readonly image: RawImage;
  readonly name: string;
}

/** Whether an error is of one picture, as its file or its shape is: with any other all may be well. */
export const isOfImage = (error: unknown): boolean =>
  isMrcnnError(error) ?
    error.code === "dataset" || error.code === "config"
  : typeof (error as NodeJS.ErrnoException | undefined)?.syscall === "string";

/** The category id of each label, as @mrcnn/coco-eval wants it: place 0, the background, is not used. */
export const categoryIds = (categories: readonly Category[]): CocoId[] => [
  0,
  ...categories.map(({ id }) => id),
];

export interface DetectAllOptions {
  readonly settings: DetectionSettings;
  /**
   * Category id of each of the model's classes, label 1 first; detections of a class without one are left
   * out.
   */
  readonly categoryIds: readonly (CocoId | undefined)[];
  /** Only the first so many images. */
  readonly limit?: number | undefined;
  readonly interrupt: Interrupt;
  readonly onImage?: (done: number) => void;
  /** Called with each image that can't be read, which is then left out. By default its error is thrown. */
  readonly onUnreadable?: (index: number, error: unknown) => void;
}

/**
 * Detects on the images of a data set, reading the next one meanwhile.
 *
 * @returns COCO results, or undefined when interrupted.
 */
export async function detectAll(
  model: MaskRcnn,
  dataset: Dataset,
  options: DetectAllOptions,
): Promise<CocoResult[] | undefined> {
  const { settings, limit = Infinity, interrupt, onImage, onUnreadable } = options;
  const count = Math.min(limit, dataset.length);
  const ids = [undefined, ...options.categoryIds];
  const results: CocoResult[] = [];
  const read = (i: number): ReturnType<Dataset["get"]> | undefined => {
    if (i >= count) return undefined;
    const sample = dataset.get(i);
    sample.catch(() => {}); // thrown when its turn comes
    return sample;
  };
  let next = read(0);
  for (let i = 0; i < count; i++) {
    await interrupt.listen();
    if (interrupt.signal.aborted) return undefined;
    const sample = next!;
    await sample.catch(() => {});
    next = read(i + 1);
    try {
      const { id, image, name } = await sample;
      const found = await detectImage(model, { image, name }, settings);
      // An id of no category goes no further than here.
      results.push(
        ...toCocoResults(id, found, ids as readonly CocoId[]).filter(
          (_, k) => ids[found.labels[k]!] !== undefined,
        ),
      );
    } catch (error) {
      if (onUnreadable === undefined || !isOfImage(error)) throw error;
      onUnreadable(i, error);
    }
    onImage?.(i + 1);
  }
  return results;
}
