/** The whole of Mask R-CNN on one screen: what a config says. */
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
  /** Per level, before. */
  readonly preNmsTopK: number;
  /** Per image, after. */
  readonly postNmsTopK: number;
}

/** Of a head's convolutions; without, they have biases. */
export type HeadNorm = Norm | "none";

/** How the norms of the pyramid or of a head compute, where it has some. */
export interface NormSettings {
  /** Groups of group norm. Default 32. */
  readonly groups?: number | undefined;
  /** Added to the variance. Default the library's: 1e-5, matterport's 1e-3. */
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
  /** Whose arithmetic is followed: that of the library the weights were trained with. Default "torchvision". */
  readonly numerics: Numerics;
  /** Where regions read their features: a pyramid, conv4 with conv5 as head, or dilated conv5. Default "fpn". */
  readonly architecture: Architecture;
  /** false gives Faster R-CNN: boxes without masks. Default true. */
  readonly mask: boolean;
  /** Names of an object's keypoints (the paper's section 5); none, the default, builds no keypoint head. */
  readonly keypoints: readonly string[];
  /** How photos become the network's input. */
  readonly image: {
    /** Order of the input's channels. Default "rgb". */
    readonly channelOrder: "rgb" | "bgr";
    /** Value of white before the mean is taken off. Default 1. */
    readonly range: 1 | 255;
    /** In that order and range. Default ImageNet's. */
    readonly mean: readonly [number, number, number];
    readonly std: readonly [number, number, number];
    /** The shorter edge is resized to this (800), unless the longer would exceed `maxSize` (1333). */
    readonly minSize: number;
    readonly maxSize: number;
    /** Batches are padded to a multiple of this. Default 32. */
    readonly divisor: number;
  };
  /** The ResNet that gives c2..c5. */
  readonly backbone: {
    /** Of the ResNet. Default 50. */
    readonly depth: 18 | 34 | 50 | 101 | 152;
    /** Channels of the first stage; 64 is the standard network, 32 half of it. */
    readonly width: number;
    /** Groups of the 3x3 convolutions: 32 is ResNeXt. Default 1. */
    readonly cardinality: number;
    /** Channels of such a group in the first stage. Default 64. */
    readonly widthPerGroup: number;
    /** Whether a stage's stride is in its first 1x1 (the paper's, Caffe2's) or in its 3x3. Default false. */
    readonly strideIn1x1: boolean;
    /** Default "frozen_batch_norm". */
    readonly norm: "frozen_batch_norm" | "batch_norm" | "group_norm";
    /** Groups of group norm. Default 32. */
    readonly groups: number;
    /** Added to the variance (1e-5); torchvision's released detectors use 0 with frozen batch norm. */
    readonly eps: number;
    /** Stages trained, counted from the last: 5 trains all; 3, the default, freezes the stem and layer1. */
    readonly trainableLayers: 0 | 1 | 2 | 3 | 4 | 5;
  };
  /** The feature pyramid; of no meaning to other architectures. */
  readonly fpn: NormSettings & {
    /** Channels of p2..p6. Default 256. */
    readonly channels: number;
    /** Default "none". */
    readonly norm: HeadNorm;
  };
  /** The boxes that the region proposal network starts from, centred on every cell of every level. */
  readonly anchors: {
    /** One list per level p2..p6 (c4, dc5: one list), all of one length: side lengths in pixels. Default 32, 64, 128, 256, 512. */
    readonly sizes: readonly (readonly number[])[];
    /** Heights over widths, the same on every level. Default 1/2, 1, 2. */
    readonly aspectRatios: readonly number[];
  };
  /** The region proposal network. */
  readonly rpn: {
    /** 3x3 convolutions before the outputs. Default 1. */
    readonly convs: number;
    /** Their channels; as many as the features have by default. */
    readonly channels: number | undefined;
    /** Default 2000 and 2000. */
    readonly training: TopKConfig;
    /** Default 1000 and 1000. */
    readonly detection: TopKConfig;
    /** Default 0.7. */
    readonly nmsThreshold: number;
    /** Proposals with a shorter side are dropped. Default 1e-3. */
    readonly minSize: number;
    /** Default 0.7, 0.3, 256, 0.5. */
    readonly targets: SamplingConfig;
  };
  /** The box head, and what counts as a detection. */
  readonly box: NormSettings & {
    /** Bins of RoIAlign per side. Default 7. */
    readonly poolSize: number;
    /** Channels of 3x3 convolutions; with any, one fully connected layer follows instead of two. Default none. */
    readonly layers: readonly number[];
    /** Of those convolutions. Default "none". */
    readonly norm: HeadNorm;
    /** Width of the fully connected layers. Default 1024. */
    readonly representation: number;
    /** Of the box coder: deltas are multiplied by these. Default 10, 10, 5, 5. */
    readonly weights: readonly [number, number, number, number];
    /** Default 0.5, 0.5, 512, 0.25. */
    readonly targets: SamplingConfig;
    /** Default 0.05. */
    readonly scoreThreshold: number;
    /** Default 0.5. */
    readonly nmsThreshold: number;
    /** Default 100. */
    readonly maxDetections: number;
    /** Default 1e-2. */
    readonly minSize: number;
  };
  /** The mask head; not built when `mask` is false. */
  readonly maskHead: NormSettings & {
    /** Bins of RoIAlign per side; masks have twice as many pixels. Default 14. */
    readonly poolSize: number;
    /** Channels of each 3x3 convolution. Default four of 256. */
    readonly layers: readonly number[];
    /** Default "none". */
    readonly norm: HeadNorm;
    /** Channels of the deconvolution. Default 256. */
    readonly channels: number;
  };
  /** The keypoint head; not built without `keypoints`. */
  readonly keypointHead: {
    /** Bins of RoIAlign per side; heatmaps have four times as many pixels. Default 14. */
    readonly poolSize: number;
    /** Channels of each 3x3 convolution. Default eight of 512. */
    readonly layers: readonly number[];
  };
  /** How the heads read their features. */
  readonly roiAlign: {
    /** Sampling points per bin and axis; 0 = ceil(roi / bin). Default 2. */
    readonly samplingRatio: number;
    /** Shifts by half a pixel; torchvision's detectors do not. Default false. */
    readonly aligned: boolean;
  };
}

/** Any part of it. */
export type Partially<T> =
  T extends readonly unknown[] ? T
  : T extends object ? { readonly [K in keyof T]?: Partially<T[K]> | undefined }
  : T;
/** What a caller writes: everything but `classes` may be left out. */
export type MaskRcnnOptions = Partially<Omit<MaskRcnnConfig, "classes">> & Pick<MaskRcnnConfig, "classes">;
