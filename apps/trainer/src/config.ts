/** What a training config says. */
import type { CocoId } from "@mrcnn/core";
import type { ShapesOptions } from "@mrcnn/datasets";
import type { MaskRcnnConfig } from "@mrcnn/model";
import type { Augmentation } from "@mrcnn/transforms";

/** Where images and their objects come from. Paths are relative to the working directory. */
export interface DataSource {
  /**
   * "coco" (default): `images` and `annotations`. "folders": `folder`, or `images` and `masks`. "shapes":
   * generated.
   */
  readonly format: "coco" | "folders" | "shapes";
  /** Folder of the images. */
  readonly images?: string | undefined;
  /** COCO instances JSON. */
  readonly annotations?: string | undefined;
  /**
   * COCO: what to do about objects that can't be learned: boxes without area, no mask where others have one.
   * Default "error"; in validation they count, unless dropped.
   */
  readonly degenerate?: "error" | "drop" | undefined;
  /** COCO: whether categories without objects are classes of the model. Default "keep". */
  readonly emptyCategories?: "keep" | "drop" | undefined;
  /**
   * Which way up photos are read that EXIF says are turned: "stored" (default), as COCO's own tools do, or
   * "exif", upright, where they were annotated so.
   */
  readonly orientation?: "stored" | "exif" | undefined;
  /** Images of more pixels are refused. Default 178,956,970. */
  readonly maxPixels?: number | undefined;
  /** A folder per image, each with images/ and masks/. */
  readonly folder?: string | undefined;
  /** Folder of label images named as those of `images`. */
  readonly masks?: string | undefined;
  /** The one class of folders of masks. Default "object". */
  readonly className?: string | undefined;
  readonly shapes?: ShapesOptions | undefined;
}

/** A training config: a file of `configs/`, with --set applied. Sizes are pixels. */
export interface TrainingConfig {
  readonly $schema?: string | undefined;
  readonly description?: string | undefined;
  /** @mrcnn/model's config. `classes` come from the data and need not be given. */
  readonly model: Omit<MaskRcnnConfig, "classes"> & Partial<Pick<MaskRcnnConfig, "classes">>;
  readonly data: {
    readonly train: DataSource;
    readonly validation?: DataSource | undefined;
    /** What the data sets are known by, whatever their paths; training fills them in. */
    readonly fingerprint?:
      { readonly train?: string | undefined; readonly validation?: string | undefined } | undefined;
    /** The ids that the data set gives `model.classes`; training fills them in. */
    readonly categories?: readonly { readonly id: CocoId; readonly name: string }[] | undefined;
  };
  /** How training images vary; what is absent is not done. `flip` is 0.5 unless given. */
  readonly augment: { readonly [K in keyof Augmentation]?: Augmentation[K] | undefined };
  /** SGD with momentum; linear warm-up, then steps down. */
  readonly optimizer: {
    /** Default 0.02. */
    readonly rate: number;
    /** Default 0.9. */
    readonly momentum: number;
    /** Default 1e-4. */
    readonly weightDecay: number;
    /** Whether norms and biases decay too, as in torchvision's reference. Default true. */
    readonly decayNorms: boolean;
    /** Gradients with a greater global L2 norm are scaled down to it. Default: none are. */
    readonly clipNorm?: number | undefined;
    /** Default 1000 steps from a thousandth of the rate. */
    readonly warmupSteps: number;
    readonly warmupFactor: number;
    /** Steps at which the rate is multiplied by gamma (0.1). Default: none. */
    readonly milestones: readonly number[];
    readonly gamma: number;
  };
  readonly training: {
    /** Updates in the whole run. */
    readonly steps: number;
    /** At most 1024; default 2. */
    readonly batchSize: number;
    /** Batches per update; their gradients are averaged. Default 1. */
    readonly accumulate: number;
    /** Default 0. */
    readonly seed: number;
    /**
     * A run of `mrcnn train`, a file of torchvision (a classifier's too), detectron2, matterport or this
     * project, or a folder of .npy files (a backbone with batch norm folded in). Default: random.
     */
    readonly initialWeights?: string | undefined;
    /** Steps per line of metrics.jsonl. Default 1. */
    readonly logEvery: number;
    /** Default 500 steps. */
    readonly checkpointEvery: number;
    /** Steps between evaluations on `data.validation`; 0, the default: only at the end. */
    readonly evaluateEvery: number;
    /**
     * Threads that decode and augment ahead of the step; 0: none, at most 64. Default: by the number of
     * processors.
     */
    readonly workers?: number | undefined;
  };
  /** How `data.validation` is evaluated; also what `mrcnn eval` and `mrcnn detect` take for this run. */
  readonly evaluation: {
    /** Default 100. */
    readonly maxDetections: number;
    /** Default 0.05. */
    readonly scoreThreshold: number;
    /** Shorter and longer edge of the network input. Default: `model.image`'s. */
    readonly minSize?: number | undefined;
    readonly maxSize?: number | undefined;
    /** true: images are not resized at all. Default false. */
    readonly nativeSize: boolean;
    /** While training, only the first so many validation images. Default: all. */
    readonly limit?: number | undefined;
  };
}
