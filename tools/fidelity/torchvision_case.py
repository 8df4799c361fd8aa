"""A fidelity case of torchvision: one of its detectors with seeded, well-spread weights, an image, and what it answers.

usage: /usr/bin/python3 tools/fidelity/torchvision_case.py OUT_DIR SEED MODEL [HEIGHT WIDTH]
    MODEL  maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2, fasterrcnn_resnet50_fpn, fasterrcnn_resnet50_fpn_v2 or keypointrcnn_resnet50_fpn
    MIN, MAX in the environment: the model's image sizes, 800 and 1333 by default
    LEGACY=1 in the environment: torch's file format before 1.6
writes OUT_DIR/weights.pth, image.png, expected.json, masks.bin, args (see cases.py).
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import os
import sys

import numpy as np
import torch
from torchvision.models import detection

from cases import draw, image_sizes, write_expected, write_image
from spread import spread

TARGETS = {
    "rpn.head.cls_logits": 2.5, "rpn.head.bbox_pred": 0.1, "roi_heads.box_predictor.cls_score": 2.5, "roi_heads.box_predictor.bbox_pred": 0.3,
    "roi_heads.mask_predictor.mask_fcn_logits": 3.0, "roi_heads.keypoint_predictor.kps_score_lowres": 3.0,
}


def main(out, seed, name, height=256, width=320):
    torch.manual_seed(seed)
    torch.set_num_threads(2)
    image = draw(np.random.default_rng(seed), height, width)
    write_image(out, image)
    min_size, max_size = image_sizes(800, 1333)
    model = getattr(detection, name)(weights=None, weights_backbone=None, min_size=min_size, max_size=max_size).eval()
    if not name.endswith("v2"):
        # As torchvision has it when it loads its weights, whose batch norm was frozen with eps 0.
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = 0.0
    x = torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
    shift = 1.0 if name.startswith("keypoint") else 2.0 + 2 * (seed % 3)
    spread(model, lambda: model([x]), seed, TARGETS, background=("roi_heads.box_predictor.cls_score", 0, shift))
    state = {k: v for k, v in model.state_dict().items() if name.endswith("v2") or not k.endswith("num_batches_tracked")}
    torch.save(state, os.path.join(out, "weights.pth"), _use_new_zipfile_serialization=os.environ.get("LEGACY") != "1")
    with torch.no_grad():
        found = model([x])[0]
    write_expected(
        out, kind=name, seed=seed, image=image, args=f"--model {name} --min-size {min_size} --max-size {max_size}",
        boxes=found["boxes"].numpy(), scores=found["scores"].numpy(), labels=found["labels"].numpy(),
        masks=(found["masks"][:, 0] > 0.5).numpy() if "masks" in found else None,
        keypoints=found["keypoints"][..., :2].numpy() if "keypoints" in found else None,
        keypoint_scores=found["keypoints_scores"].numpy() if "keypoints" in found else None,
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:6]))
