// Networks that are not read are called what they are: torchvision's by the names of its own models, others by
// names that their libraries are known for.
import type { HostArray } from "@mrcnn/core";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import { readWeights } from "../src/read-weights.ts";
import { writeSafetensors } from "../src/safetensors.ts";
import { counted, inflate, modelWeights } from "./fixtures.ts";

const torchvision = JSON.parse(
  new TextDecoder().decode(inflate(golden<{ names: string }>(import.meta.url, "foreign").names)),
) as Readonly<Record<string, readonly string[]>>;
const fileOf = (names: readonly string[]): Uint8Array =>
  writeSafetensors(new Map(names.map((name) => [name, counted(1)])));
const refusal = async (arrays: Uint8Array): Promise<string> => {
  try {
    await readWeights(arrays, "a.pth");
  } catch (error) {
    expect(error).toMatchObject({ code: "weights" });
    return (error as Error).message;
  }
  throw new Error("it was read");
};

const backbone = (what: string): string => `but its backbone is ${what}; ResNets and ResNeXts are read.`;
const got = (what: string): string => `of torchvision, detectron2, matterport or this project, got ${what}`;
const cases: readonly (readonly [name: string, said: string])[] = [
  ["mobilenet_v3", backbone("a MobileNet")],
  ["mobilenet_v2", backbone("a MobileNet")],
  ["efficientnet", backbone("an EfficientNet")],
  ["vgg", backbone("a VGG network")],
  ["vgg_bn", backbone("a VGG network with batch norm")],
  ["densenet", backbone("a DenseNet")],
  ["swin", backbone("a Swin transformer")],
  ["convnext", backbone("a ConvNeXt")],
  ["regnet", backbone("a RegNet")],
  ["shufflenet", backbone("a ShuffleNet")],
  ["squeezenet", backbone("a SqueezeNet")],
  ["resnet_without_pyramid", "but its backbone has no pyramid (FPN)"],
  ["layers_of_resnet", "but its backbone has no pyramid (FPN)"],
  ["levels_2_to_4", "but it has a pyramid of 3 levels where 4 are read."],
  ["levels_1_to_3", "but it has a pyramid of 3 levels where 4 are read."],
  ["level_4", "but it has a pyramid of 1 level where 4 are read."],
  ["ssd", got("an SSD (SSDlite), a detector of one stage.")],
  ["ssdlite", got("an SSD (SSDlite), a detector of one stage.")],
  ["retinanet", got("a RetinaNet, a detector of one stage.")],
  ["fcos", got("an FCOS, a detector of one stage.")],
  ["deeplab", got("a DeepLab or FCN, which segments without telling objects apart.")],
  ["fcn", got("a DeepLab or FCN, which segments without telling objects apart.")],
  ["resnet", got("an ImageNet classifier: a backbone alone.")],
  ["mobilenet_alone", got("an ImageNet classifier: a backbone alone.")],
  ["vit_alone", got("an ImageNet classifier: a backbone alone.")],
];

describe("networks of torchvision that are not read", () => {
  it.each(cases)("calls %s what it is", async (name, said) => {
    expect(await refusal(fileOf(torchvision[name]!))).toContain(said);
    // Whatever was wrapped around it.
    expect(await refusal(fileOf(torchvision[name]!.map((one) => `module._orig_mod.${one}`)))).toContain(said);
  });

  it("has a case for each of the fixture", () => {
    expect(cases.map(([name]) => name).toSorted()).toEqual(Object.keys(torchvision).toSorted());
  });
});

describe("networks of others that are not read", () => {
  const others: readonly (readonly [what: string, names: readonly string[], said: string])[] = [
    [
      "DETR",
      [
        "transformer.encoder.layers.0.self_attn.in_proj_weight",
        "class_embed.weight",
        "bbox_embed.layers.0.weight",
        "query_embed.weight",
        "backbone.0.body.conv1.weight",
      ],
      got("a DETR"),
    ],
    [
      "DETR of Hugging Face",
      [
        "model.query_position_embeddings.weight",
        "model.backbone.conv_encoder.model.conv1.weight",
        "class_labels_classifier.weight",
      ],
      got("a DETR"),
    ],
    ["YOLO", ["model.0.conv.weight", "model.0.bn.weight", "model.24.m.0.weight"], got("a YOLO")],
    [
      "another YOLO",
      ["model.model.0.conv.weight", "model.model.22.cv2.0.0.conv.weight", "model.model.22.dfl.conv.weight"],
      got("a YOLO"),
    ],
    [
      "RetinaNet of detectron2",
      [
        "backbone.bottom_up.stem.conv1.weight",
        "backbone.fpn_lateral3.weight",
        "head.cls_subnet.0.weight",
        "head.cls_score.weight",
      ],
      got("a RetinaNet"),
    ],
    [
      "FCOS for detectron2",
      ["backbone.bottom_up.stem.conv1.weight", "proposal_generator.fcos_head.cls_tower.0.weight"],
      got("an FCOS"),
    ],
    [
      "Mask2Former",
      [
        "backbone.res2.0.conv1.weight",
        "sem_seg_head.pixel_decoder.input_proj.0.0.weight",
        "sem_seg_head.predictor.query_feat.weight",
      ],
      got("a Mask2Former or MaskFormer"),
    ],
    [
      "mmdetection under a prefix",
      [
        "model.backbone.layer1.0.conv1.weight",
        "model.neck.fpn_convs.0.conv.weight",
        "model.roi_head.bbox_head.fc_cls.weight",
      ],
      got("a model of mmdetection"),
    ],
    [
      "Segment Anything",
      [
        "image_encoder.patch_embed.proj.weight",
        "prompt_encoder.no_mask_embed.weight",
        "mask_decoder.iou_token.weight",
      ],
      got("a Segment Anything model"),
    ],
    [
      "U-Net",
      ["encoder.conv1.weight", "decoder.blocks.0.conv1.0.weight", "segmentation_head.0.weight"],
      got("a U-Net"),
    ],
    [
      "ResNet of Hugging Face",
      [
        "resnet.embedder.embedder.convolution.weight",
        "resnet.encoder.stages.0.layers.0.layer.0.convolution.weight",
        "classifier.1.weight",
      ],
      got("an ImageNet classifier of Hugging Face: a backbone alone"),
    ],
    [
      "a language model",
      ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "lm_head.weight"],
      got("a language model"),
    ],
    [
      "ViTDet",
      [
        "backbone.net.pos_embed",
        "backbone.net.blocks.0.attn.qkv.weight",
        "backbone.simfp_2.0.weight",
        "proposal_generator.rpn_head.conv.weight",
      ],
      backbone("a vision transformer"),
    ],
    [
      "a ResNet-D",
      [
        "backbone.body.conv1.0.weight",
        "backbone.body.layer1.0.conv1.weight",
        "backbone.fpn.inner_blocks.0.0.weight",
        "rpn.head.cls_logits.weight",
      ],
      backbone("a ResNet with a deep stem (ResNet-D, ResNeSt)"),
    ],
    [
      "an unknown backbone",
      ["backbone.body.odd.weight", "backbone.fpn.inner_blocks.0.0.weight", "rpn.head.cls_logits.weight"],
      backbone("of another kind (backbone.body.odd.weight)"),
    ],
  ];
  it.each(others)("calls %s what it is", async (_, names, said) => {
    expect(await refusal(fileOf(names))).toContain(said);
  });

  const changed = (
    library: "torchvision" | "detectron2",
    model: string,
    change: (arrays: Map<string, HostArray>) => unknown,
  ): Uint8Array => {
    const arrays = modelWeights(library, model);
    change(arrays);
    return writeSafetensors(arrays);
  };
  const parts: readonly (readonly [what: string, file: () => Uint8Array, said: string])[] = [
    [
      "a cascade",
      () => changed("detectron2", "cascade", () => {}),
      "but it has a cascade of box heads where one is read (roi_heads.box_head.0.fc1.bias).",
    ],
    [
      "class-agnostic boxes of detectron2",
      () => changed("detectron2", "agnostic", () => {}),
      "got 4: one for all classes (class-agnostic)",
    ],
    [
      "class-agnostic boxes of torchvision",
      () =>
        changed("torchvision", "mask", (a) =>
          a.set("roi_heads.box_predictor.bbox_pred.weight", counted(4, 16)),
        ),
      "roi_heads.box_predictor.bbox_pred must have 4 outputs for each of its 81 classes (the background included), got 4: one for all classes (class-agnostic), which is not read.",
    ],
    [
      "one mask for all classes",
      () =>
        changed("torchvision", "mask", (a) =>
          a.set("roi_heads.mask_predictor.mask_fcn_logits.weight", counted(1, 4, 1, 1)),
        ),
      "roi_heads.mask_predictor.mask_fcn_logits must have 1 output for each of its 81 classes",
    ],
    [
      "Panoptic FPN",
      () => changed("detectron2", "mask", (a) => a.set("sem_seg_head.p2.0.weight", counted(1))),
      "but it has a head for semantic segmentation (Panoptic FPN), which is not read (sem_seg_head.p2.0.weight).",
    ],
    [
      "PointRend",
      () =>
        changed("detectron2", "mask", (a) => a.set("roi_heads.mask_head.point_head.fc1.weight", counted(1))),
      "but it has a PointRend mask head",
    ],
    [
      "deformable convolutions",
      () =>
        changed("detectron2", "mask", (a) =>
          a.set("backbone.bottom_up.res3.0.conv2_offset.weight", counted(1)),
        ),
      backbone("a ResNet with deformable convolutions"),
    ],
    [
      "squeeze-and-excitation",
      () => changed("torchvision", "mask", (a) => a.set("backbone.body.layer1.0.se.fc1.weight", counted(1))),
      backbone("a ResNet with squeeze-and-excitation"),
    ],
    [
      "convolutions of P6 and P7",
      () => changed("torchvision", "mask", (a) => a.set("backbone.fpn.extra_blocks.p6.weight", counted(1))),
      "but it has a pyramid with convolutions for levels above the fifth",
    ],
    [
      "three levels of detectron2",
      () =>
        changed("detectron2", "mask", (a) =>
          ["fpn_lateral2", "fpn_output2"].forEach((layer) =>
            ["weight", "bias"].forEach((kind) => a.delete(`backbone.${layer}.${kind}`)),
          ),
        ),
      "but it has a pyramid of 3 levels where 4 are read.",
    ],
    [
      "another head",
      () => changed("torchvision", "mask", (a) => a.set("roi_heads.depth_head.0.weight", counted(1))),
      "but it has roi_heads.depth_head.0.weight, which no model of torchvision has.",
    ],
  ];
  it.each(parts)("tells an R-CNN that is read from one with %s", async (_, file, said) => {
    expect(await refusal(file())).toContain(said);
  });
});
