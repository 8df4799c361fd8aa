"""Matches, labels and regression targets of anchors and proposals, and mask targets, by torchvision's own classes.

Boxes and masks come from seeded.py and small formulas, which the test repeats. The samplers take
everything, so nothing here depends on a draw.

usage: /usr/bin/python3 tools/golden/targets.py packages/targets/test/golden/targets.json
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import json
import sys

import numpy as np
import torch
import torchvision
from torchvision.models.detection.roi_heads import RoIHeads, project_masks_on_boxes
from torchvision.models.detection.rpn import RegionProposalNetwork

from seeded import uniform

EVERYTHING = 10**6
SIDE = 5


def anchors():
    """16x16, 24x12 and 40x40 boxes around every eighth pixel of a 64x48 image; some cross its border."""
    rows = [
        (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        for y in range(0, 48, 8)
        for x in range(0, 64, 8)
        for w, h in ((16, 16), (24, 12), (40, 40))
    ]
    return torch.tensor(rows, dtype=torch.float32)


def boxes(name, count):
    u = uniform(name, (count, 4))
    x1, y1 = 48 * u[:, 0], 36 * u[:, 1]
    return torch.from_numpy(np.stack([x1, y1, x1 + 4 + 30 * u[:, 2], y1 + 4 + 24 * u[:, 3]], 1).astype(np.float32))


CASES = {
    "random": boxes("random.gt", 6),
    "crowded": boxes("crowded.gt", 40),
    # The same object twice, an object midway between anchors, one exactly on an anchor.
    "ties": torch.tensor([[10, 10, 30, 30], [10, 10, 30, 30], [20, 20, 28, 28], [8, 8, 24, 24]], dtype=torch.float32),
    # The second object overlaps no anchor: it chooses every anchor that does not overlap it.
    "unreached": torch.tensor([[8, 8, 24, 24], [500, 500, 510, 510]], dtype=torch.float32),
    "empty": torch.zeros((0, 4)),
}


def rounded(tensor):
    return [float(f"{v:.8g}") for v in tensor.flatten().tolist()]


def bitmaps(count):
    y, x = np.mgrid[:48, :64]
    return torch.from_numpy(np.stack([(x * 7 + y * 13 + g * 5 + (x // 9) * (y // 7)) % 11 < 6 for g in range(count)]).astype(np.uint8))


rpn = RegionProposalNetwork(None, None, 0.7, 0.3, EVERYTHING, 0.5, {}, {}, 0.7)
heads = {
    low: RoIHeads(None, None, None, 0.5, low, EVERYTHING, 0.5, None, 0.05, 0.5, 100) for low in (0.5, 0.2)
}
out = {
    "origin": f"torchvision {torchvision.__version__}, torch {torch.__version__}; tools/golden/targets.py",
    "cases": {},
}
for name, gt in CASES.items():
    labels = torch.arange(len(gt)) % 3 + 1
    target = {"boxes": gt, "labels": labels}
    case = {}

    rpn_labels, rpn_boxes = rpn.assign_targets_to_anchors([anchors()], [target])
    case["anchorLabels"] = rpn_labels[0].int().tolist()
    positive = torch.where(rpn_labels[0] > 0)[0]
    case["anchorDeltas"] = rounded(rpn.box_coder.encode([rpn_boxes[0][positive]], [anchors()[positive]])[0])
    if len(gt):
        case["anchorMatches"] = rpn.proposal_matcher(rpn.box_similarity(gt, anchors())).tolist()

    for low, head in heads.items():
        proposals, matched, roi_labels, deltas = head.select_training_samples([boxes(f"{name}.proposals", 60)], [target])
        positive = torch.where(roi_labels[0] > 0)[0]
        with_gt = head.add_gt_proposals([boxes(f"{name}.proposals", 60)], [gt])
        roi = {
            "labelsBeforeSampling": head.assign_targets_to_proposals(with_gt, [gt], [labels])[1][0].tolist(),
            "labels": roi_labels[0].tolist(),
            "positive": positive.tolist(),
            "matchedGt": matched[0][positive].tolist(),
            "deltas": rounded(deltas[0][positive]),
        }
        if len(gt):
            roi["matches"] = head.proposal_matcher(torchvision.ops.box_iou(gt, with_gt[0])).tolist()
        if name == "random" and low == 0.5:
            masks = project_masks_on_boxes(bitmaps(len(gt)), proposals[0][positive], matched[0][positive], SIDE)
            roi["masks"] = rounded(masks)
        case[f"rois{low}"] = roi
    out["cases"][name] = case

with open(sys.argv[1], "w") as file:
    json.dump(out, file, separators=(",", ":"))
    file.write("\n")
