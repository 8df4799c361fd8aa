"""Keypoints that torchvision and detectron2 read off seeded heatmaps.

Each heatmap is spread(...) noise enlarged by repeating and smoothed by the test's own seeds: see `heatmaps`, whose twin is in
packages/heads/test/decode-keypoints.test.ts.

usage: PYTHONPATH=DETECTRON2_SOURCE python tools/golden/keypoints.py packages/heads/test/golden/keypoints.json
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14), and what detectron2 imports
(fvcore, iopath, omegaconf, hydra-core, black, cloudpickle, tabulate, matplotlib, pycocotools).
"""
import json
import sys

import numpy as np
import torch
import torchvision
from detectron2.structures.keypoints import heatmaps_to_keypoints as detectron2_keypoints
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints as torchvision_keypoints

from seeded import uniform

# Sides of the heatmap, keypoints, and the boxes: enlarged, shrunk, narrower than a pixel, empty.
CASES = {
    "enlarged": dict(side=14, keypoints=3, boxes=[[3.25, 4.5, 63.75, 40.1], [-5.5, 10, 14.2, 111.7], [0, 0, 14, 14]]),
    "shrunk": dict(side=28, keypoints=2, boxes=[[10.5, 20.25, 20.1, 26.9], [1, 2, 1.4, 40], [7, 7, 7, 7], [2, 3, 2.9, 3.3]]),
    "full": dict(side=56, keypoints=2, boxes=[[100.3, 50.7, 181.2, 200.9]]),
}


def heatmaps(name, rois, side, count):
    """float32 [rois, side, side, count]: each pixel the mean of its noise and that of its left and upper neighbours, times 8."""
    noise = (uniform(name, (rois, side, side, count)) - 0.5).astype(np.float32)
    left = np.concatenate([noise[:, :, :1], noise[:, :, :-1]], 2)
    up = np.concatenate([noise[:, :1], noise[:, :-1]], 1)
    return ((noise + left) + up) * np.float32(8 / 3)


out = {"origin": f"torchvision {torchvision.__version__}, torch {torch.__version__}, detectron2 02b5c4e; tools/golden/keypoints.py", "cases": {}}
for name, case in CASES.items():
    boxes = torch.tensor(case["boxes"], dtype=torch.float32)
    maps = torch.from_numpy(heatmaps(name, len(boxes), case["side"], case["keypoints"]).transpose(0, 3, 1, 2).copy())
    points, scores = torchvision_keypoints(maps, boxes)
    theirs = detectron2_keypoints(maps, boxes)
    out["cases"][name] = dict(
        case, points=points.tolist(), scores=scores.tolist(),
        detectron2=dict(points=theirs[:, :, :2].tolist(), scores=theirs[:, :, 3].tolist()),
    )
with open(sys.argv[1], "w") as file:
    json.dump(out, file, separators=(",", ":"))
    file.write("\n")
