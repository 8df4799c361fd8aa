"""Names and shapes of the weights of torchvision's and detectron2's models.

usage: PYTHONPATH=DETECTRON2_SOURCE python tools/golden/weights_names.py packages/weights/test/golden
needs torch, torchvision and detectron2. Channels are divided by 64, but for the outputs of predictors, so that tests can fill
them. Each list is the base64 of zlib of JSON: [[name, shape], ...].
`detectron1`: Detectron's blobs and detectron2's names for them.
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
from detectron2.checkpoint.c2_model_loading import convert_c2_detectron_names
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


def blobs():
    """Names of Detectron's weights: with a pyramid, of C4, with group norm, of keypoints."""
    norms = ("bn_s", "bn_b", "gn_s", "gn_b")
    body = ["conv1_w", "conv1_b", "res_conv1_bn_s", "res_conv1_bn_b"]
    branches = [f"res{stage}_{block}_{branch}" for stage, block in ((2, 0), (3, 3), (4, 22), (5, 2)) for branch in ("branch1", "branch2a", "branch2b", "branch2c")]
    body += [f"{branch}_{kind}" for branch in branches for kind in ("w", "b", *norms)]
    sums = [f"fpn_inner_res{s}_{b}_sum_lateral" for s, b in ((2, 2), (3, 3), (4, 5))] + ["fpn_inner_res5_2_sum"] + [f"fpn_res{s}_{b}_sum" for s, b in ((2, 2), (3, 3), (4, 5), (5, 2))]
    fpn = [f"{name}_{kind}" for name in sums for kind in ("w", "b", "gn_s", "gn_b")]
    heads = ["fc6", "fc7", "cls_score", "bbox_pred", "mask_fcn_logits", "conv5_mask", "kps_score_lowres", "conv_fcn1", "conv_fcn8", "head_conv1", "_[mask]_fcn1", "_[mask]_fcn4"]
    heads = [f"{name}_{kind}" for name in heads for kind in ("w", "b")] + [f"{name}_gn_{kind}" for name in ("head_conv2", "_[mask]_fcn2") for kind in "sb"]
    pyramid = [f"{name}_fpn2_{kind}" for name in ("conv_rpn", "rpn_cls_logits", "rpn_bbox_pred") for kind in "wb"]
    single = [name.replace("_fpn2", "") for name in pyramid]
    return [n for n in body + fpn + heads + pyramid if not n.endswith("_b") or "branch" not in n or "bn_b" in n or "gn_b" in n], single


def detectron1():
    """What detectron2 calls them."""
    out = {}
    for names in blobs():
        # One norm at a time: both kinds have one name there.
        for other in ("_gn_", "_bn_"):
            weights = {name: torch.zeros(8, 1, 1, 1) for name in names if other not in name}
            out.update({blob: name for name, blob in convert_c2_detectron_names(weights)[1].items()})
    return out


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
    lists["detectron1"] = detectron1()
    with open(os.path.join(folder, "names.json"), "w") as out:
        json.dump(dict(origin=origin, **lists), out, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1])
