"""Every stage of narrow models of detectron2's own configs: Mask R-CNN on FPN, C4 and DC5, ResNeXt, Keypoint R-CNN.

usage: PYTHONPATH=DETECTRON2_SOURCE python tools/golden/stages_detectron2.py packages/model/test/golden
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14), and what detectron2 imports
(fvcore, iopath, omegaconf, hydra-core, black, cloudpickle, tabulate, matplotlib, pycocotools). Its compiled extension
is not needed: RoIAlign and NMS are torchvision's.
"""
import sys
from pathlib import Path

import detectron2
import numpy as np
import torch
import torchvision
from detectron2.config import get_cfg
from detectron2.engine import DefaultPredictor
from detectron2.modeling import build_model

from stages import Weights, answer, fill_torch, nhwc, picture, rounded, summary, write

CLASSES = 4
TARGETS = {
    "proposal_generator.rpn_head.objectness_logits": 2.5, "proposal_generator.rpn_head.anchor_deltas": 0.4,
    "roi_heads.box_predictor.cls_score": 1.5, "roi_heads.box_predictor.bbox_pred": 1.0,
    "roi_heads.mask_head.predictor": 3.0, "roi_heads.keypoint_head.score_lowres": 3.0,
}
SKIP = ("pixel_mean", "pixel_std", "cell_anchors")


def config(arch, sizes):
    cfg = get_cfg()
    folder = {"mask": "COCO-InstanceSegmentation", "keypoint": "COCO-Keypoints", "faster": "COCO-Detection"}[arch.split("_")[0]]
    cfg.merge_from_file(str(Path(detectron2.__file__).parents[1] / "configs" / folder / f"{arch}_3x.yaml"))
    m = cfg.MODEL
    m.DEVICE, m.WEIGHTS = "cpu", ""
    m.RESNETS.DEPTH, m.RESNETS.STEM_OUT_CHANNELS, m.RESNETS.RES2_OUT_CHANNELS = 50, 4, 16
    m.RESNETS.NUM_GROUPS, m.RESNETS.WIDTH_PER_GROUP = (4, 2) if m.RESNETS.NUM_GROUPS > 1 else (1, 4)
    m.FPN.OUT_CHANNELS = m.ROI_MASK_HEAD.CONV_DIM = 8
    m.ROI_BOX_HEAD.FC_DIM = 16
    m.ROI_KEYPOINT_HEAD.CONV_DIMS = (8, 8)
    m.ROI_HEADS.NUM_CLASSES = 1 if m.KEYPOINT_ON else CLASSES
    m.ROI_HEADS.SCORE_THRESH_TEST = 0.2
    m.ANCHOR_GENERATOR.SIZES = [[s] for s in (8, 16, 32, 64, 128)] if len(m.ANCHOR_GENERATOR.SIZES) > 1 else [[8, 16, 32, 64, 128]]
    m.RPN.PRE_NMS_TOPK_TEST, m.RPN.POST_NMS_TOPK_TEST = 100, 60
    cfg.TEST.DETECTIONS_PER_IMAGE = 20
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = sizes
    return cfg


def predict(cfg, model, bgr):
    predictor = DefaultPredictor(cfg)
    predictor.model = model
    return predictor(bgr)["instances"]


def case(folder, name, arch, size, sizes):
    cfg = config(arch, sizes)
    model, weights = build_model(cfg).eval(), Weights()
    hooks = fill_torch(model, weights, TARGETS, skip=SKIP)
    bgr = np.ascontiguousarray(picture(*size)[:, :, ::-1])
    predict(cfg, model, bgr)
    for hook in hooks:
        hook.remove()
    found = predict(cfg, model, bgr)

    heads, stages = model.roi_heads, {}
    with torch.no_grad():
        resized = DefaultPredictor(cfg).aug.get_transform(bgr).apply_image(bgr)
        images = model.preprocess_image([dict(image=torch.from_numpy(resized.astype("float32").transpose(2, 0, 1)))])
        stages["input"] = summary("input", nhwc(images.tensor))
        bottom = model.backbone.bottom_up(images.tensor) if hasattr(model.backbone, "bottom_up") else model.backbone(images.tensor)
        for key, value in bottom.items():
            level = f"c{key[3:]}"
            stages[level] = summary(level, nhwc(value))
        features = model.backbone(images.tensor)
        if len(features) > 1:
            stages.update({key: summary(key, nhwc(value)) for key, value in features.items()})
        own = [features[f] for f in model.proposal_generator.in_features]
        objectness, deltas = model.proposal_generator.rpn_head(own)
        stages["objectness"] = summary("objectness", np.concatenate([nhwc(o).reshape(1, -1) for o in objectness], 1))
        stages["deltas"] = summary("deltas", np.concatenate([nhwc(d).reshape(1, -1, 4) for d in deltas], 1))
        proposals, _ = model.proposal_generator(images, features)
        boxes = [p.proposal_boxes for p in proposals]
        c4 = hasattr(heads, "res5")
        pooler = heads.pooler if c4 else heads.box_pooler
        seen = [features[f] for f in (heads.in_features if c4 else heads.box_in_features)]
        pooled = pooler(seen, boxes)
        stages["pooled"] = summary("pooled", nhwc(pooled))
        hidden = heads.res5(pooled).mean(dim=[2, 3]) if c4 else heads.box_head(pooled)
        logits, regression = heads.box_predictor(hidden)
        # Ours has the background first, and a box for it, whose weights are 0.
        stages["classLogits"] = summary("classLogits", np.roll(logits.numpy(), 1, 1))
        stages["boxDeltas"] = summary("boxDeltas", np.concatenate([np.zeros((len(logits), 4), np.float32), regression.numpy()], 1))
        detections, _ = heads.box_predictor.inference((logits, regression), proposals)
        kept = [d.pred_boxes for d in detections]
        if cfg.MODEL.MASK_ON:
            masked = pooler(seen, kept) if c4 else heads.mask_pooler(seen, kept)
            stages["maskPooled"] = summary("maskPooled", nhwc(masked))
            masks = heads.mask_head.layers(heads.res5(masked) if c4 else masked)
            stages["maskLogits"] = summary("maskLogits", masks[torch.arange(len(masks)), detections[0].pred_classes].numpy())
        if cfg.MODEL.KEYPOINT_ON:
            crowd = heads.keypoint_pooler(seen, kept)
            stages["keypointPooled"] = summary("keypointPooled", nhwc(crowd))
            stages["heatmaps"] = summary("heatmaps", nhwc(heads.keypoint_head.layers(crowd)))

    points = found.pred_keypoints.numpy() if found.has("pred_keypoints") else None
    write(
        folder, name, f"tools/golden/stages_detectron2.py, detectron2 02b5c4e, torch {torch.__version__}, torchvision {torchvision.__version__}",
        image=size, norm="frozen_batch_norm", numerics="detectron2", weights=weights.table(),
        config=dict(
            image=dict(minSize=sizes[0], maxSize=sizes[1]), anchors=dict(sizes=cfg.MODEL.ANCHOR_GENERATOR.SIZES),
            rpn=dict(detection=dict(preNmsTopK=100, postNmsTopK=60)), box=dict(scoreThreshold=0.2, maxDetections=20),
        ),
        stages=stages, proposals=rounded(boxes[0].tensor), detections=rounded(kept[0].tensor),
        answer=answer(
            found.pred_boxes.tensor, found.scores, [c + 1 for c in found.pred_classes.tolist()], found.pred_masks.numpy() if found.has("pred_masks") else None,
            None if points is None else points[..., :2], None if points is None else points[..., 2],
        ),
    )


if __name__ == "__main__":
    torch.manual_seed(0)
    folder = sys.argv[1]
    case(folder, "detectron2", "mask_rcnn_R_50_FPN", (60, 84), (96, 128))  # upscaled, landscape
    case(folder, "detectron2-c4", "mask_rcnn_R_50_C4", (150, 120), (96, 112))  # shrunk, portrait
    case(folder, "detectron2-dc5", "mask_rcnn_R_50_DC5", (70, 90), (96, 128))
    case(folder, "detectron2-resnext", "faster_rcnn_X_101_32x8d_FPN", (100, 130), (80, 128))
    case(folder, "detectron2-keypoint", "keypoint_rcnn_R_50_FPN", (64, 96), (64, 96))
