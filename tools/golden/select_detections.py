"""The detection stage: box head outputs to detections, by torchvision's RoIHeads.

Logits, deltas and RoIs come from seeded.py. Case "offset" stays below the 1000 candidates up to which
batched_nms shifts the classes apart; case "grouped" is above.

usage: /usr/bin/python3 tools/golden/select_detections.py packages/heads/test/golden/select-detections.json
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import json
import sys

import numpy as np
import torch
import torchvision
from torchvision.models.detection.roi_heads import RoIHeads

from seeded import spread, uniform

SIZES = [(90, 120), (110, 75)]
CASES = {
    "offset": dict(counts=[40, 25], classes=6, threshold=0.05, nms=0.5, most=100),
    "few": dict(counts=[40, 25], classes=6, threshold=0.3, nms=0.3, most=10),
    "grouped": dict(counts=[400, 30], classes=6, threshold=0.01, nms=0.5, most=100),
    "none": dict(counts=[0, 20], classes=3, threshold=0.999, nms=0.5, most=100),
}


def rounded(tensor):
    return [float(f"{v:.8g}") for v in tensor.flatten().tolist()]


out = {
    "origin": f"torchvision {torchvision.__version__}, torch {torch.__version__}; tools/golden/select_detections.py",
    "cases": {},
}
for name, case in CASES.items():
    count, classes = sum(case["counts"]), case["classes"]
    u = uniform(f"{name}.rois", (count, 4))
    x1, y1 = 90 * u[:, 0], 80 * u[:, 1]
    rois = torch.from_numpy(np.stack([x1, y1, x1 + 8 + 40 * u[:, 2], y1 + 8 + 40 * u[:, 3]], 1).astype(np.float32))
    logits = torch.from_numpy(spread(f"{name}.logits", (count, classes), 8))
    deltas = spread(f"{name}.deltas", (count, 4 * classes), 10)
    deltas[::10] *= 6  # some beyond the clamp at ln(1000 / 16), some vanishing
    heads = RoIHeads(None, None, None, 0.5, 0.5, 512, 0.25, None, case["threshold"], case["nms"], case["most"])
    boxes, scores, labels = heads.postprocess_detections(
        logits, torch.from_numpy(deltas), list(rois.split(case["counts"])), SIZES
    )
    passing = (torch.softmax(logits[: case["counts"][0]], 1)[:, 1:] > case["threshold"]).sum().item()
    print(name, "candidates of the first image:", passing, "kept:", [len(b) for b in boxes])
    out["cases"][name] = {
        **case,
        "images": [
            {"boxes": rounded(b), "scores": rounded(s), "labels": k.tolist()} for b, s, k in zip(boxes, scores, labels)
        ],
    }

with open(sys.argv[1], "w") as file:
    json.dump(out, file, separators=(",", ":"))
    file.write("\n")
