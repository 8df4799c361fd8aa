"""detectron2's choice of proposals and detections, on the seeded inputs of packages/rpn/test and packages/heads/test.

usage: PYTHONPATH=DETECTRON2_SOURCE python tools/golden/select_detectron2.py packages/rpn/test/golden packages/heads/test/golden
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14), and what detectron2 imports
(fvcore, iopath, omegaconf, hydra-core, black, cloudpickle, tabulate, matplotlib, pycocotools).
"""
import json
import os
import sys

import numpy as np
import torch
import torchvision
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.proposal_generator.proposal_utils import find_top_rpn_proposals
from detectron2.modeling.roi_heads.fast_rcnn import fast_rcnn_inference

from seeded import spread, uniform

SIZES = [(90, 120), (110, 75)]
ORIGIN = f"detectron2 02b5c4e, torchvision {torchvision.__version__}, torch {torch.__version__}; tools/golden/select_detectron2.py"
# Logits as far apart as these round many probabilities to 1: only logits tell which is better.
PROPOSALS = {
    "offset": dict(levels=[180, 60, 15], pre=50, post=60, threshold=0.7, width=60),
    "grouped": dict(levels=[1500, 500], pre=900, post=120, threshold=0.6, width=60),
}
DETECTIONS = {
    "offset": dict(counts=[40, 25], classes=6, threshold=0.05, nms=0.5, most=100),
    "grouped": dict(counts=[400, 30], classes=6, threshold=0.01, nms=0.5, most=100),
}


def rounded(tensor):
    return [float(f"{v:.8g}") for v in tensor.flatten().tolist()]


def boxes_from(u, wide, high, shift):
    x1, y1 = wide * u[:, 0] + shift, high * u[:, 1] + shift
    return torch.from_numpy(np.stack([x1, y1, x1 + 8 + 40 * u[:, 2], y1 + 8 + 40 * u[:, 3]], 1).astype(np.float32))


def proposals(name, case):
    count = sum(case["levels"])
    anchors = boxes_from(uniform(f"{name}.anchors", (count, 4)), 110, 100, -10)
    logits = torch.from_numpy(spread(f"{name}.objectness", (2, count), case["width"]))
    deltas = spread(f"{name}.deltas", (2, count, 4), 2)
    deltas[:, ::10, 2:] *= 6
    decoded = torch.stack([Box2BoxTransform((1.0, 1.0, 1.0, 1.0)).apply_deltas(d, anchors) for d in torch.from_numpy(deltas)])
    found = find_top_rpn_proposals(
        list(decoded.split(case["levels"], 1)), list(logits.split(case["levels"], 1)), SIZES, case["threshold"], case["pre"], case["post"], 0.0, False
    )
    return {**case, "counts": [len(f) for f in found], "boxes": rounded(torch.cat([f.proposal_boxes.tensor for f in found])), "logits": rounded(torch.cat([f.objectness_logits for f in found]))}


def detections(name, case):
    count, classes = sum(case["counts"]), case["classes"]
    rois = boxes_from(uniform(f"{name}.rois", (count, 4)), 90, 80, 0)
    logits = torch.from_numpy(spread(f"{name}.logits", (count, classes), 8))
    deltas = spread(f"{name}.deltas", (count, 4 * classes), 10)
    deltas[::10] *= 6
    # Ours has the background first, detectron2 last and without a box.
    probabilities = torch.softmax(torch.roll(logits, -1, 1), 1)
    boxes = Box2BoxTransform((10.0, 10.0, 5.0, 5.0)).apply_deltas(torch.from_numpy(deltas[:, 4:].copy()), rois)
    found, _ = fast_rcnn_inference(
        list(boxes.split(case["counts"])), list(probabilities.split(case["counts"])), SIZES, case["threshold"], case["nms"], case["most"]
    )
    return {**case, "images": [dict(boxes=rounded(f.pred_boxes.tensor), scores=rounded(f.scores), labels=[int(c) + 1 for c in f.pred_classes]) for f in found]}


if __name__ == "__main__":
    for folder, name, make, cases in [(sys.argv[1], "select-detectron2", proposals, PROPOSALS), (sys.argv[2], "select-detectron2", detections, DETECTIONS)]:
        with open(os.path.join(folder, f"{name}.json"), "w") as file:
            json.dump({"origin": ORIGIN, "cases": {key: make(key, case) for key, case in cases.items()}}, file, separators=(",", ":"))
            file.write("\n")
