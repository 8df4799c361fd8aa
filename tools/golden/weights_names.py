"""Names and shapes of the weights of torchvision's and detectron2's models.

usage: PYTHONPATH=DETECTRON2_SOURCE python tools/golden/weights_names.py packages/weights/test/golden
needs torch, torchvision and detectron2. Channels are divided by 64, but for the outputs of predictors, so that tests can fill
them. Each list is the base64 of zlib of JSON: [[name, shape], ...].
"""
import base64
import json
import os
import sys
import zlib
from pathlib import Path

import detectron2
import torch
import torchvision
from detectron2.config import get_cfg
from detectron2.modeling import build_model
from torchvision.models import detection

PREDICTORS = ("cls_score", "bbox_pred", "predictor.", "mask_fcn_logits", "cls_logits", "objectness_logits", "anchor_deltas")


def packed(state):
    rows = []
    for name, t in state.items():
        keep = any(p in name for p in PREDICTORS) and "conv5_mask" not in name and "kps_score" not in name
        rows.append([name, [d if d % 64 or (keep and i == 0) else d // 64 for i, d in enumerate(t.shape)]])
    return base64.b64encode(zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 9)).decode()


def detectron(config, **changes):
    cfg = get_cfg()
    cfg.merge_from_file(str(Path(detectron2.__file__).parents[1] / "configs" / f"{config}.yaml"))
    cfg.MODEL.DEVICE = "cpu"
    for key, value in changes.items():
        cfg.merge_from_list([key.replace("__", "."), value])
    model = build_model(cfg)
    # Model zoo files keep the pixels' mean and deviation, later versions of the library don't.
    return {"pixel_mean": model.pixel_mean, "pixel_std": model.pixel_std, **model.state_dict()}


def main(folder):
    off = dict(weights=None, weights_backbone=None)
    vision = dict(
        mask=detection.maskrcnn_resnet50_fpn(num_classes=81, **off),
        mask_v2=detection.maskrcnn_resnet50_fpn_v2(num_classes=81, **off),
        keypoint=detection.keypointrcnn_resnet50_fpn(**off),
    )
    # As the released files are: v1 and the keypoint model with frozen batch norm.
    states = {name: {k: v for k, v in model.state_dict().items() if name == "mask_v2" or not k.endswith("num_batches_tracked")} for name, model in vision.items()}
    seg, kps = "COCO-InstanceSegmentation", "COCO-Keypoints"
    d2 = dict(
        mask=detectron(f"{seg}/mask_rcnn_R_50_FPN_3x"),
        c4=detectron(f"{seg}/mask_rcnn_R_50_C4_3x"),
        dc5=detectron(f"{seg}/mask_rcnn_R_50_DC5_3x"),
        keypoint=detectron(f"{kps}/keypoint_rcnn_R_50_FPN_3x"),
        gn=detectron("Misc/mask_rcnn_R_50_FPN_3x_gn"),
        agnostic=detectron(f"{seg}/mask_rcnn_R_50_FPN_3x", MODEL__ROI_BOX_HEAD__CLS_AGNOSTIC_BBOX_REG=True),
        cascade=detectron("Misc/cascade_mask_rcnn_R_50_FPN_3x"),
    )
    origin = f"tools/golden/weights_names.py, torch {torch.__version__}, torchvision {torchvision.__version__}, detectron2 {detectron2.__version__}"
    lists = dict(torchvision={k: packed(v) for k, v in states.items()}, detectron2={k: packed(v) for k, v in d2.items()})
    with open(os.path.join(folder, "names.json"), "w") as out:
        json.dump(dict(origin=origin, **lists), out, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1])
