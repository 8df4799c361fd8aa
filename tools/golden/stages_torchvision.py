"""Every stage of narrow torchvision detectors, of their own classes: Mask R-CNN, its v2, Keypoint R-CNN.

usage: /usr/bin/python3 tools/golden/stages_torchvision.py packages/model/test/golden
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import sys

import numpy as np
import torch
import torchvision
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNN, KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.resnet import Bottleneck
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

from narrow_resnet import NarrowResNet
from stages import Weights, answer, fill_torch, nhwc, picture, rounded, summary, write

WIDTH, CHANNELS, HIDDEN = 4, 8, 16
TARGETS = {
    "rpn.head.cls_logits": 2.5, "rpn.head.bbox_pred": 0.4, "roi_heads.box_predictor.cls_score": 1.5, "roi_heads.box_predictor.bbox_pred": 1.0,
    "roi_heads.mask_predictor.mask_fcn_logits": 3.0, "roi_heads.keypoint_predictor.kps_score_lowres": 3.0,
}


def build(kind, sizes):
    v2 = kind == "v2"
    norm = torch.nn.BatchNorm2d if v2 else lambda channels: FrozenBatchNorm2d(channels, eps=0.0)
    body = NarrowResNet(Bottleneck, (3, 4, 6, 3), WIDTH, norm)
    backbone = BackboneWithFPN(body, {f"layer{i + 1}": str(i) for i in range(4)}, [WIDTH * 4 * 2**i for i in range(4)], CHANNELS, norm_layer=norm if v2 else None)
    names = ["0", "1", "2", "3"]
    classes = 2 if kind == "keypoint" else 5
    shared = dict(
        num_classes=None, min_size=sizes[0], max_size=sizes[1], rpn_anchor_generator=AnchorGenerator(((8,), (16,), (32,), (64,), (128,)), ((0.5, 1.0, 2.0),) * 5),
        rpn_pre_nms_top_n_test=100, rpn_post_nms_top_n_test=60, rpn_head=RPNHead(CHANNELS, 3, conv_depth=2) if v2 else None, rpn_score_thresh=0.0,
        box_head=FastRCNNConvFCHead((CHANNELS, 7, 7), (8, 8), (HIDDEN,), norm_layer=norm) if v2 else TwoMLPHead(CHANNELS * 49, HIDDEN),
        box_predictor=FastRCNNPredictor(HIDDEN, classes), box_roi_pool=MultiScaleRoIAlign(names, 7, 2), box_score_thresh=0.2, box_detections_per_img=20,
    )
    if kind == "keypoint":
        return KeypointRCNN(
            backbone, keypoint_roi_pool=MultiScaleRoIAlign(names, 14, 2), keypoint_head=KeypointRCNNHeads(CHANNELS, (8, 8)),
            keypoint_predictor=KeypointRCNNPredictor(8, 17), **shared,
        )
    return MaskRCNN(
        backbone, mask_roi_pool=MultiScaleRoIAlign(names, 14, 2), mask_head=MaskRCNNHeads(CHANNELS, (8, 8), 1, norm_layer=norm if v2 else None),
        mask_predictor=MaskRCNNPredictor(8, 8, classes), **shared,
    )


def case(folder, name, kind, size, sizes):
    model, weights = build(kind, sizes).eval(), Weights()
    hooks = fill_torch(model, weights, TARGETS)
    image = torch.from_numpy(picture(*size).astype(np.float32) / 255).permute(2, 0, 1)
    model([image])
    for hook in hooks:
        hook.remove()
    heads = model.roi_heads
    body = {}
    for i in range(4):
        getattr(model.backbone.body, f"layer{i + 1}").register_forward_hook(lambda _m, _i, y, i=i: body.update({f"c{i + 2}": y}))
    with torch.no_grad():
        images, _ = model.transform([image])
        features = model.backbone(images.tensors)
        objectness, deltas = model.rpn.head(list(features.values()))
        proposals, _ = model.rpn(images, features)
        pooled = heads.box_roi_pool(features, proposals, images.image_sizes)
        logits, regression = heads.box_predictor(heads.box_head(pooled))
        boxes, scores, labels = heads.postprocess_detections(logits, regression, proposals, images.image_sizes)
        found = model([image])[0]
        stages = dict(
            input=summary("input", nhwc(images.tensors)),
            **{k: summary(k, nhwc(v)) for k, v in body.items()},
            **{f"p{i + 2}": summary(f"p{i + 2}", nhwc(v)) for i, v in enumerate(features.values())},
            objectness=summary("objectness", np.concatenate([nhwc(o).reshape(1, -1) for o in objectness], 1)),
            deltas=summary("deltas", np.concatenate([nhwc(d).reshape(1, -1, 4) for d in deltas], 1)),
            # Flattened channels first there.
            pooled=summary("pooled", nhwc(pooled)), classLogits=summary("classLogits", logits.numpy()), boxDeltas=summary("boxDeltas", regression.numpy()),
        )
        if kind == "keypoint":
            seen = heads.keypoint_roi_pool(features, boxes, images.image_sizes)
            stages.update(keypointPooled=summary("keypointPooled", nhwc(seen)), heatmaps=summary("heatmaps", nhwc(heads.keypoint_predictor(heads.keypoint_head(seen)))))
        else:
            seen = heads.mask_roi_pool(features, boxes, images.image_sizes)
            own = heads.mask_predictor(heads.mask_head(seen))[torch.arange(len(labels[0])), labels[0]]
            stages.update(maskPooled=summary("maskPooled", nhwc(seen)), maskLogits=summary("maskLogits", own.numpy()))
    write(
        folder, name, f"tools/golden/stages_torchvision.py, torch {torch.__version__}, torchvision {torchvision.__version__}",
        image=size, norm="batch_norm" if kind == "v2" else "frozen_batch_norm", numerics="torchvision", weights=weights.table(),
        config=dict(
            image=dict(minSize=sizes[0], maxSize=sizes[1]), anchors=dict(sizes=[[8], [16], [32], [64], [128]]),
            rpn=dict(detection=dict(preNmsTopK=100, postNmsTopK=60)), box=dict(scoreThreshold=0.2, maxDetections=20),
        ),
        stages=stages, proposals=rounded(proposals[0]), detections=rounded(boxes[0]),
        answer=answer(
            found["boxes"], found["scores"], found["labels"], (found["masks"][:, 0] > 0.5).numpy() if "masks" in found else None,
            found["keypoints"][:, :, :2] if "keypoints" in found else None, found.get("keypoints_scores"),
        ),
    )


if __name__ == "__main__":
    torch.manual_seed(0)
    case(sys.argv[1], "torchvision", "v1", (60, 84), (96, 128))  # upscaled, landscape
    case(sys.argv[1], "torchvision-v2", "v2", (150, 120), (96, 112))  # shrunk, portrait
    case(sys.argv[1], "torchvision-keypoint", "keypoint", (64, 96), (64, 96))
