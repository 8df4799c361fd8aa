/** The catalog of published weights, by the names of torchvision, detectron2, matterport and this project. */
import { ConfigError, didYouMean } from "@mrcnn/core";
import { nuclei, nucleiWeights } from "@mrcnn/nuclei";
import { coco80, coco90, cocoKeypoints, cocoPerson, cocoSkeleton } from "./coco.ts";
import type { Category } from "./coco.ts";

export type { Category };

/** Hash that a source publishes for its file: the hexadecimal digits it begins with. */
export interface Checksum {
  readonly algorithm: "sha256" | "md5";
  readonly prefix: string;
}

/** Average precision in percent, as the source publishes it. */
export interface CatalogMetrics {
  /** The data set it was measured on. */
  readonly dataset: string;
  readonly boxAP?: number;
  readonly maskAP?: number;
  readonly keypointAP?: number;
}

/** The network that weights belong to: enough to detect a file of another one. */
export interface CatalogNetwork {
  readonly architecture: "fpn" | "c4" | "dc5";
  readonly depth: 18 | 50 | 101;
  /** Number of groups of the 3x3 convolutions; 32 is ResNeXt. */
  readonly cardinality: 1 | 32;
  /** Number of 3x3 convolutions in the RPN's head: two in torchvision's v2. */
  readonly rpnConvs: 1 | 2;
  readonly mask: boolean;
}

/** Published weights. */
export interface CatalogEntry {
  /** The source's own name. */
  readonly name: string;
  /**
   * The library that trained the weights, whose arithmetic the model follows; "mrcnn" is this project, whose
   * files state it themselves.
   */
  readonly source: "torchvision" | "detectron2" | "matterport" | "mrcnn";
  /**
   * URL of the file. For the model that comes with this package it is the installed file; in a page, the
   * bundler's copy of it.
   */
  readonly url: string;
  /** Licence of the weights, as far as the source states one. */
  readonly licence: string;
  readonly checksum?: Checksum;
  /** Size of the file, where the source or a server states it; torchvision rounds to kibibytes. */
  readonly bytes?: number;
  readonly parameters?: number;
  /** The classes in the order of the labels, label 1 first. */
  readonly categories: readonly Category[];
  readonly keypoints?: {
    readonly names: readonly string[];
    readonly skeleton: readonly (readonly [number, number])[];
  };
  readonly metrics?: CatalogMetrics;
  readonly network: CatalogNetwork;
}

const mebibytes = (size: number): number => Math.round(size * 1024) * 1024;
const person = { categories: cocoPerson, keypoints: { names: cocoKeypoints, skeleton: cocoSkeleton } };
const val2017 = "COCO val2017";

// torchvision 0.14: models/detection/{mask,faster,keypoint}_rcnn.py; sizes from 0.15. A file's name ends in
// the beginning of its sha256.
function torchvision(
  name: string,
  file: string,
  {
    sha256,
    ...rest
  }: {
    sha256: string;
    parameters: number;
    bytes?: number;
    metrics: Omit<CatalogMetrics, "dataset">;
    keypoints?: true;
  },
): CatalogEntry {
  const { keypoints, metrics, ...known } = rest;
  return {
    name,
    source: "torchvision",
    url: `https://download.pytorch.org/models/${file}-${sha256}.pth`,
    licence: "none stated; may follow from the training data's",
    checksum: { algorithm: "sha256", prefix: sha256 },
    ...known,
    ...(keypoints ? person : { categories: coco90 }),
    metrics: { dataset: val2017, ...metrics },
    network: {
      architecture: "fpn",
      depth: 50,
      cardinality: 1,
      rpnConvs: name.endsWith("_v2") ? 2 : 1,
      mask: metrics.maskAP !== undefined,
    },
  };
}

// detectron2 (02b5c4e): model_zoo/model_zoo.py and MODEL_ZOO.md, which states the licence and that a file's
// name contains the beginning of its md5.
function detectron2(
  name: string,
  id: number,
  md5: string,
  metrics: Omit<CatalogMetrics, "dataset">,
): CatalogEntry {
  const [, base, architecture] = /_(R_50|R_101|X_101)(?:_32x8d)?_(FPN|C4|DC5)_/.exec(name)!;
  return {
    name,
    source: "detectron2",
    url: `https://dl.fbaipublicfiles.com/detectron2/${name}/${id}/model_final_${md5}.pkl`,
    licence: "CC BY-SA 3.0",
    checksum: { algorithm: "md5", prefix: md5 },
    ...(metrics.keypointAP === undefined ? { categories: coco80 } : person),
    metrics: { dataset: val2017, ...metrics },
    network: {
      architecture: architecture!.toLowerCase() as CatalogNetwork["architecture"],
      depth: base === "R_50" ? 50 : 101,
      cardinality: base === "X_101" ? 32 : 1,
      rpnConvs: 1,
      mask: metrics.maskAP !== undefined,
    },
  };
}

/**
 * Pretrained models by their sources' own names. URLs, figures and licences are the sources'; what a source
 * does not state is absent.
 */
export const catalog: readonly CatalogEntry[] = [
  {
    ...nuclei,
    source: "mrcnn",
    // Computed only on access: a script that is not a module has no import.meta.url.
    get url() {
      return nucleiWeights().href;
    },
    checksum: { algorithm: "sha256", prefix: nuclei.sha256 },
    network: { architecture: "fpn", depth: 18, cardinality: 1, rpnConvs: 1, mask: true },
  },

  torchvision("maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_coco", {
    sha256: "bf2d0c1e",
    parameters: 44401393,
    bytes: mebibytes(169.84),
    metrics: { boxAP: 37.9, maskAP: 34.6 },
  }),
  torchvision("maskrcnn_resnet50_fpn_v2", "maskrcnn_resnet50_fpn_v2_coco", {
    sha256: "73cbd019",
    parameters: 46359409,
    bytes: mebibytes(177.219),
    metrics: { boxAP: 47.4, maskAP: 41.8 },
  }),
  torchvision("fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_coco", {
    sha256: "258fb6c6",
    parameters: 41755286,
    bytes: mebibytes(159.743),
    metrics: { boxAP: 37 },
  }),
  torchvision("fasterrcnn_resnet50_fpn_v2", "fasterrcnn_resnet50_fpn_v2_coco", {
    sha256: "dd69338a",
    parameters: 43712278,
    metrics: { boxAP: 46.7 },
  }),
  torchvision("keypointrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn_coco", {
    sha256: "fc266e95",
    parameters: 59137258,
    bytes: mebibytes(226.054),
    metrics: { boxAP: 54.6, keypointAP: 65 },
    keypoints: true,
  }),

  detectron2("COCO-InstanceSegmentation/mask_rcnn_R_50_C4_1x", 137259246, "9243eb", {
    boxAP: 36.8,
    maskAP: 32.2,
  }),
  detectron2("COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_1x", 137260150, "4f86c3", {
    boxAP: 38.3,
    maskAP: 34.2,
  }),
  detectron2("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x", 137260431, "a54504", {
    boxAP: 38.6,
    maskAP: 35.2,
  }),
  detectron2("COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x", 137849525, "4ce675", {
    boxAP: 39.8,
    maskAP: 34.4,
  }),
  detectron2("COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_3x", 137849551, "84107b", {
    boxAP: 40,
    maskAP: 35.9,
  }),
  detectron2("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x", 137849600, "f10217", {
    boxAP: 41,
    maskAP: 37.2,
  }),
  detectron2("COCO-InstanceSegmentation/mask_rcnn_R_101_C4_3x", 138363239, "a2914c", {
    boxAP: 42.6,
    maskAP: 36.7,
  }),
  detectron2("COCO-InstanceSegmentation/mask_rcnn_R_101_DC5_3x", 138363294, "0464b7", {
    boxAP: 41.9,
    maskAP: 37.3,
  }),
  detectron2("COCO-InstanceSegmentation/mask_rcnn_R_101_FPN_3x", 138205316, "a3ec72", {
    boxAP: 42.9,
    maskAP: 38.6,
  }),
  detectron2("COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x", 139653917, "2d9806", {
    boxAP: 44.3,
    maskAP: 39.5,
  }),

  detectron2("COCO-Detection/faster_rcnn_R_50_C4_1x", 137257644, "721ade", { boxAP: 35.7 }),
  detectron2("COCO-Detection/faster_rcnn_R_50_DC5_1x", 137847829, "51d356", { boxAP: 37.3 }),
  detectron2("COCO-Detection/faster_rcnn_R_50_FPN_1x", 137257794, "b275ba", { boxAP: 37.9 }),
  detectron2("COCO-Detection/faster_rcnn_R_50_C4_3x", 137849393, "f97cb7", { boxAP: 38.4 }),
  detectron2("COCO-Detection/faster_rcnn_R_50_DC5_3x", 137849425, "68d202", { boxAP: 39 }),
  detectron2("COCO-Detection/faster_rcnn_R_50_FPN_3x", 137849458, "280758", { boxAP: 40.2 }),
  detectron2("COCO-Detection/faster_rcnn_R_101_C4_3x", 138204752, "298dad", { boxAP: 41.1 }),
  detectron2("COCO-Detection/faster_rcnn_R_101_DC5_3x", 138204841, "3e0943", { boxAP: 40.6 }),
  detectron2("COCO-Detection/faster_rcnn_R_101_FPN_3x", 137851257, "f6e8b1", { boxAP: 42 }),
  detectron2("COCO-Detection/faster_rcnn_X_101_32x8d_FPN_3x", 139173657, "68b088", { boxAP: 43 }),

  detectron2("COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x", 137261548, "04e291", {
    boxAP: 53.6,
    keypointAP: 64,
  }),
  detectron2("COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x", 137849621, "a6e10b", {
    boxAP: 55.4,
    keypointAP: 65.5,
  }),
  detectron2("COCO-Keypoints/keypoint_rcnn_R_101_FPN_3x", 138363331, "997cc7", {
    boxAP: 56.4,
    keypointAP: 66.1,
  }),
  detectron2("COCO-Keypoints/keypoint_rcnn_X_101_32x8d_FPN_3x", 139686956, "5ad38f", {
    boxAP: 57.3,
    keypointAP: 66,
  }),

  {
    name: "matterport/mask_rcnn_coco",
    source: "matterport",
    url: "https://github.com/matterport/Mask_RCNN/releases/download/v2.0/mask_rcnn_coco.h5",
    licence: "MIT (the repository's; none stated for the weights)",
    bytes: 257557808,
    categories: coco80,
    // Figures of the release page, as quoted in the README of pytorch-mask-rcnn, which converts these
    // weights.
    metrics: { dataset: "COCO minival2014", boxAP: 34.7, maskAP: 29.6 },
    network: { architecture: "fpn", depth: 101, cardinality: 1, rpnConvs: 1, mask: true },
  },
];

/** Returns the entry of a name, or undefined. */
export function findInCatalog(name: string): CatalogEntry | undefined {
  return catalog.find((entry) => entry.name === name);
}

/**
 * Returns the entry of a name.
 *
 * @throws ConfigError with the nearest name when there is none.
 */
export function catalogEntry(name: string): CatalogEntry {
  const entry = findInCatalog(name);
  if (entry !== undefined) return entry;
  throw new ConfigError(`${name} is not in the catalog. ${catalogHint(name)}`);
}

/** Returns the catalog's name nearest to a misspelled one. */
export function nearestInCatalog(name: string): string | undefined {
  const names = catalog.map((entry) => entry.name);
  // detectron2's names are long: people remember the part after the slash.
  return (
    didYouMean(name, names) ??
    names.find((full) => full.endsWith(`/${name}`) || full.toLowerCase() === name.toLowerCase())
  );
}

/** Returns a hint for a name that is not in the catalog. */
export function catalogHint(name: string): string {
  const near = nearestInCatalog(name);
  if (near !== undefined) return `Did you mean "${near}"?`;
  return `It has ${catalog
    .slice(0, 3)
    .map((entry) => entry.name)
    .join(", ")} and ${catalog.length - 3} more.`;
}
