/** What torchvision, detectron2 and matterport's Mask_RCNN compute differently. */
import type { DecodeOptions } from "@mrcnn/boxes";

/** Whose arithmetic a model follows: that of the library its weights were trained with. */
export type Numerics = "torchvision" | "detectron2" | "matterport";

/** Feature pyramid; conv4 with conv5 as head (the paper's C4); conv5 dilated to stride 16 (DC5). */
export type Architecture = "fpn" | "c4" | "dc5";

/**
 * Everything in which the libraries differ beyond a config's numbers. One record per library, here
 * and nowhere else: the stages take these values as options and know no library.
 */
export interface NumericsProfile {
  /** `ImageOptions.resize` of @mrcnn/transforms: floor and no antialias; Pillow; a centred square. */
  readonly resize: Numerics;
  /** `ResnetConfig.stemPool`. */
  readonly stemPool: "padded" | "same";
  /** Added to the variance by the norms of pyramid and heads; the backbone's is the config's. */
  readonly normEps: number;
  /** `AnchorConfig` of @mrcnn/anchors. */
  readonly anchors: {
    /** Stride of a level: floor(image / grid), or the power of two it stands for. */
    readonly strides: "image-over-grid" | "nominal";
    readonly roundCells: boolean;
    readonly order: "ratios-first" | "sizes-first";
    /** What boxes are measured in until they are detections: "fractions" of the input, less one pixel. */
    readonly units: "pixels" | "fractions";
  };
  /** `ProposalConfig` of @mrcnn/rpn. */
  readonly proposals: {
    readonly weights: readonly [number, number, number, number];
    readonly levels: "each" | "together";
    readonly suppression: "shifted" | "separate";
    readonly chooseBy: "logit" | "probability";
    readonly suppressBy: "logit" | "probability";
    readonly fill: boolean;
  };
  /** `DecodeOptions` of @mrcnn/boxes. */
  readonly decoding: DecodeOptions;
  /** How RoIs read the features. */
  readonly pooling: "roi-align" | "crop-and-resize";
  /** `PyramidOptions.levelRule` of @mrcnn/roi-align. */
  readonly levelRule: Numerics;
  /** `DetectionConfig` of @mrcnn/heads. */
  readonly detections: {
    readonly classes: "every" | "best";
    readonly suppression: "shifted" | "separate";
    readonly firstLabel: 0 | 1;
    readonly inclusiveThreshold: boolean;
  };
  /**
   * How boxes return to the photo: scaled; scaled and clipped, empty ones dropped; rounded to pixels, empty
   * ones dropped.
   */
  readonly boxes: "scaled" | "clipped" | "rounded";
  /** `PasteOptions.method` of @mrcnn/masks. */
  readonly paste: Numerics;
  /** `rule` of `decodeKeypoints` of @mrcnn/heads. */
  readonly keypoints: "torchvision" | "detectron2";
}

const SCALE_LIMIT = Math.log(1000 / 16);

/**
 * torchvision 0.14, detectron2 (02b5c4e) and matterport's Mask_RCNN 2.1. Each line was read in the
 * library's source and is held against the library itself by the tests of the room that obeys it.
 */
export const numericsProfiles: Readonly<Record<Numerics, NumericsProfile>> = {
  torchvision: {
    resize: "torchvision",
    stemPool: "padded",
    normEps: 1e-5,
    anchors: { strides: "image-over-grid", roundCells: true, order: "ratios-first", units: "pixels" },
    proposals: {
      weights: [1, 1, 1, 1],
      levels: "each",
      suppression: "shifted",
      chooseBy: "logit",
      suppressBy: "probability",
      fill: false,
    },
    decoding: { maxLogScale: SCALE_LIMIT },
    pooling: "roi-align",
    levelRule: "torchvision",
    detections: { classes: "every", suppression: "shifted", firstLabel: 1, inclusiveThreshold: false },
    boxes: "scaled",
    paste: "torchvision",
    keypoints: "torchvision",
  },
  detectron2: {
    resize: "detectron2",
    stemPool: "padded",
    normEps: 1e-5,
    anchors: { strides: "nominal", roundCells: false, order: "sizes-first", units: "pixels" },
    proposals: {
      weights: [1, 1, 1, 1],
      levels: "each",
      suppression: "shifted",
      chooseBy: "logit",
      suppressBy: "logit",
      fill: false,
    },
    decoding: { maxLogScale: SCALE_LIMIT },
    pooling: "roi-align",
    levelRule: "detectron2",
    detections: { classes: "every", suppression: "shifted", firstLabel: 0, inclusiveThreshold: false },
    boxes: "clipped",
    paste: "detectron2",
    keypoints: "detectron2",
  },
  matterport: {
    resize: "matterport",
    stemPool: "same",
    normEps: 1e-3,
    anchors: { strides: "nominal", roundCells: false, order: "ratios-first", units: "fractions" },
    proposals: {
      weights: [10, 10, 5, 5],
      levels: "together",
      suppression: "separate",
      chooseBy: "probability",
      suppressBy: "probability",
      fill: true,
    },
    decoding: { maxLogScale: Infinity, rounding: "matterport" },
    pooling: "crop-and-resize",
    levelRule: "matterport",
    detections: { classes: "best", suppression: "separate", firstLabel: 1, inclusiveThreshold: true },
    boxes: "rounded",
    paste: "matterport",
    keypoints: "torchvision",
  },
};
