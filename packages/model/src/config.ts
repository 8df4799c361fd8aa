/** The config of a detector: the whole of Mask R-CNN on one screen. */
import type { Norm } from "@mrcnn/nn";
import type { Architecture, Numerics } from "./numerics.ts";

/** Which boxes are positive or negative, and how many are sampled per image. */
export interface SamplingConfig {
  /** IoU from which a box is positive. */
  readonly high: number;
  /** IoU below which a box is negative. */
  readonly low: number;
  /** Sampled boxes per image. */
  readonly batchSize: number;
  /** At most this share of the sample is positive. */
  readonly positiveFraction: number;
}

/** Proposals kept per level before, and in all after, non-maximum suppression. */
export interface TopKConfig {
  /** Highest-scoring proposals of each level that enter non-maximum suppression. */
  readonly preNmsTopK: number;
  /** Proposals of each image that are kept after non-maximum suppression. */
  readonly postNmsTopK: number;
}

/** Norm after each convolution of a head; "none" gives the convolutions biases instead. */
export type HeadNorm = Norm | "none";

/** Settings of the norms of the pyramid or of a head. */
export interface NormSettings {
  /** Number of groups of group norm. Default 32. */
  readonly groups?: number | undefined;
  /** Value added to the variance. Default 1e-5; 1e-3 with numerics "matterport". */
  readonly eps?: number | undefined;
}

/**
 * The whole of Mask R-CNN on one screen. The defaults noted are the paper's (section 3.1) with
 * torchvision's numerics; other numerics and architectures have some of their own
 * (`defaults.ts`). Sizes are pixels of the network input.
 */
export interface MaskRcnnConfig {
  /** Names of the classes, label 1 first; the background is not named. */
  readonly classes: readonly string[];
  /**
   * Whose arithmetic is followed: that of the library the weights were trained with. Default "torchvision".
   */
  readonly numerics: Numerics;
  /**
   * Where regions read their features: a pyramid, conv4 with conv5 as head, or dilated conv5. Default "fpn".
   */
  readonly architecture: Architecture;
  /** Whether there is a mask head; false gives Faster R-CNN. Default true. */
  readonly mask: boolean;
  /** Names of an object's keypoints (the paper's section 5); none, the default, builds no keypoint head. */
  readonly keypoints: readonly string[];
  /** How photos become the network's input. */
  readonly image: {
    /** Order of the input's channels. Default "rgb". */
    readonly channelOrder: "rgb" | "bgr";
    /** Largest value of a channel before the mean is subtracted. Default 1. */
    readonly range: 1 | 255;
    /** Mean of each channel, in that order and range. Default ImageNet's. */
    readonly mean: readonly [number, number, number];
    /** Standard deviation of each channel, in that order and range. Default ImageNet's. */
    readonly std: readonly [number, number, number];
    /** Length of the shorter edge after resizing, pixels. Default 800. */
    readonly minSize: number;
    /**
     * Largest length of the longer edge, pixels; the shorter edge is shorter where it would exceed this.
     * Default 1333.
     */
    readonly maxSize: number;
    /** Height and width of a batch are padded to multiples of this. Default 32. */
    readonly divisor: number;
  };
  /** The ResNet that gives c2..c5. */
  readonly backbone: {
    /** Number of layers of the ResNet. Default 50. */
    readonly depth: 18 | 34 | 50 | 101 | 152;
    /** Number of channels of the first stage; 32 makes a network of half the width. Default 64. */
    readonly width: number;
    /** Number of groups of the 3x3 convolutions; 32 in ResNeXt. Default 1. */
    readonly cardinality: number;
    /** Number of channels of one group in the first stage. Default 64. */
    readonly widthPerGroup: number;
    /**
     * Puts a stage's stride into its first 1x1 convolution, as the paper and Caffe2, not into its 3x3.
     * Default false.
     */
    readonly strideIn1x1: boolean;
    /** Norm after each convolution. Default "frozen_batch_norm". */
    readonly norm: "frozen_batch_norm" | "batch_norm" | "group_norm";
    /** Number of groups of group norm. Default 32. */
    readonly groups: number;
    /**
     * Value added to the variance; torchvision's released detectors use 0 with frozen batch norm. Default
     * 1e-5.
     */
    readonly eps: number;
    /**
     * Number of stages that are trained, from the last: 5 trains all, 3 freezes the stem and layer1. Default
     * 3.
     */
    readonly trainableLayers: 0 | 1 | 2 | 3 | 4 | 5;
  };
  /** The feature pyramid; used by architecture "fpn" alone. */
  readonly fpn: NormSettings & {
    /** Number of channels of p2..p6. Default 256. */
    readonly channels: number;
    /** Norm after each convolution. Default "none". */
    readonly norm: HeadNorm;
  };
  /** The boxes that the region proposal network starts from, centred on every cell of every level. */
  readonly anchors: {
    /**
     * One list per level p2..p6 (c4, dc5: one list), all of one length: side lengths in pixels. Default 32,
     * 64, 128, 256, 512.
     */
    readonly sizes: readonly (readonly number[])[];
    /** Heights over widths, the same on every level. Default 1/2, 1, 2. */
    readonly aspectRatios: readonly number[];
  };
  /** The region proposal network. */
  readonly rpn: {
    /** 3x3 convolutions before the outputs. Default 1. */
    readonly convs: number;
    /** Number of channels of these convolutions. Default as many as the features have. */
    readonly channels: number | undefined;
    /** Number of proposals while training. Default 2000 and 2000. */
    readonly training: TopKConfig;
    /** Number of proposals when detecting. Default 1000 and 1000. */
    readonly detection: TopKConfig;
    /** Overlap (IoU) with a better proposal of its level above which a proposal is dropped. Default 0.7. */
    readonly nmsThreshold: number;
    /** Least side of a proposal, pixels. Default 1e-3. */
    readonly minSize: number;
    /** Which anchors are trained on. Default 0.7, 0.3, 256, 0.5. */
    readonly targets: SamplingConfig;
  };
  /** The box head, and what counts as a detection. */
  readonly box: NormSettings & {
    /** Number of bins of RoIAlign per side. Default 7. */
    readonly poolSize: number;
    /**
     * Channels of 3x3 convolutions; with any, one fully connected layer follows instead of two. Default none.
     */
    readonly layers: readonly number[];
    /** Norm of the convolutions in `layers`. Default "none". */
    readonly norm: HeadNorm;
    /** Number of channels of the fully connected layers. Default 1024. */
    readonly representation: number;
    /** Weights of the box coder: deltas are multiplied by these. Default 10, 10, 5, 5. */
    readonly weights: readonly [number, number, number, number];
    /** Which proposals are trained on. Default 0.5, 0.5, 512, 0.25. */
    readonly targets: SamplingConfig;
    /** Score above which a box is a detection. Default 0.05. */
    readonly scoreThreshold: number;
    /** Overlap (IoU) with a better detection of its class above which a detection is dropped. Default 0.5. */
    readonly nmsThreshold: number;
    /** Number of highest-scoring detections kept of each image. Default 100. */
    readonly maxDetections: number;
    /** Least side of a detection, pixels. Default 1e-2. */
    readonly minSize: number;
  };
  /** The mask head; not built when `mask` is false. */
  readonly maskHead: NormSettings & {
    /** Number of bins of RoIAlign per side; masks have twice as many pixels. Default 14. */
    readonly poolSize: number;
    /** Number of channels of each 3x3 convolution. Default four of 256. */
    readonly layers: readonly number[];
    /** Norm after each 3x3 convolution. Default "none". */
    readonly norm: HeadNorm;
    /** Number of channels of the transposed convolution. Default 256. */
    readonly channels: number;
  };
  /** The keypoint head; not built without `keypoints`. */
  readonly keypointHead: {
    /** Number of bins of RoIAlign per side; heatmaps have four times as many pixels. Default 14. */
    readonly poolSize: number;
    /** Number of channels of each 3x3 convolution. Default eight of 512. */
    readonly layers: readonly number[];
  };
  /** How the heads sample the features of a region. */
  readonly roiAlign: {
    /** Number of sampling points per bin and axis; 0 means ceil(extent of the region / bins). Default 2. */
    readonly samplingRatio: number;
    /**
     * Takes pixel centres to lie at half integers, as detectron2; torchvision's detectors don't. Default
     * false.
     */
    readonly aligned: boolean;
  };
}

/** Any part of a record, at any depth. */
export type Partially<T> =
  T extends readonly unknown[] ? T
  : T extends object ? { readonly [K in keyof T]?: Partially<T[K]> | undefined }
  : T;
/** A config as a caller writes it: everything but `classes` may be left out. */
export type MaskRcnnOptions = Partially<Omit<MaskRcnnConfig, "classes">> & Pick<MaskRcnnConfig, "classes">;
