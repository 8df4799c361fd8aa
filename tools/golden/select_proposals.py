"""The proposal stage: RPN outputs to proposals, by torchvision's RegionProposalNetwork.

Logits, deltas and anchors come from seeded.py. Case "offset" stays below the 1000 boxes up to which
batched_nms shifts the levels apart; case "grouped" is above.

usage: /usr/bin/python3 tools/golden/select_proposals.py packages/rpn/test/golden/select-proposals.json
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import json
import sys

import numpy as np
import torch
import torchvision
from torchvision.models.detection.rpn import RegionProposalNetwork

from seeded import spread, uniform

SIZES = [(90, 120), (110, 75)]
CASES = {
    "offset": dict(levels=[180, 60, 15], pre=50, post=60, threshold=0.7, score=0.0),
    "score": dict(levels=[180, 60, 15], pre=100, post=200, threshold=0.5, score=0.3),
    "grouped": dict(levels=[1500, 500], pre=900, post=120, threshold=0.6, score=0.0),
}


def rounded(tensor):
    return [float(f"{v:.8g}") for v in tensor.flatten().tolist()]


out = {
    "origin": f"torchvision {torchvision.__version__}, torch {torch.__version__}; tools/golden/select_proposals.py",
    "cases": {},
}
for name, case in CASES.items():
    count = sum(case["levels"])
    u = uniform(f"{name}.anchors", (count, 4))
    x1, y1 = 110 * u[:, 0] - 10, 100 * u[:, 1] - 10
    anchors = torch.from_numpy(
        np.stack([x1, y1, x1 + 8 + 40 * u[:, 2], y1 + 8 + 40 * u[:, 3]], 1).astype(np.float32)
    )
    objectness = torch.from_numpy(spread(f"{name}.objectness", (2, count), 8))
    for image in objectness:
        for level in image.split(case["levels"]):
            assert len(level.unique()) == len(level), "torch leaves the order of equal logits open"
    deltas = spread(f"{name}.deltas", (2, count, 4), 2)
    deltas[:, ::10, 2:] *= 6  # some beyond the clamp at ln(1000 / 16), some vanishing
    top = {"training": case["pre"], "testing": case["pre"]}, {"training": case["post"], "testing": case["post"]}
    rpn = RegionProposalNetwork(None, None, 0.7, 0.3, 256, 0.5, *top, case["threshold"], case["score"]).eval()
    decoded = rpn.box_coder.decode(torch.from_numpy(deltas).reshape(-1, 4), [anchors, anchors]).view(2, -1, 4)
    boxes, scores = rpn.filter_proposals(decoded, objectness.reshape(-1, 1), SIZES, case["levels"])
    out["cases"][name] = {
        **case,
        "counts": [len(b) for b in boxes],
        "boxes": rounded(torch.cat(boxes)),
        "scores": rounded(torch.cat(scores)),
    }

with open(sys.argv[1], "w") as file:
    json.dump(out, file, separators=(",", ":"))
    file.write("\n")
