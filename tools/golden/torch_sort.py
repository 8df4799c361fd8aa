"""Orders of torch's unstable sort, and batched_nms of many boxes with equal scores, on seeded values.

usage: /usr/bin/python3 tools/golden/torch_sort.py packages/nms/test/golden/torch-sort.json
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import json
import sys

import numpy as np
import torch
import torchvision
from torchvision.ops import batched_nms

from seeded import uniform

sorts = []
for n, values in [(0, 1), (1, 1), (16, 3), (17, 3), (40, 2), (200, 1), (333, 20), (1000, 5), (700, 1000)]:
    scores = np.floor(uniform(f"sort {n}", (n,)) * values).astype(np.float32)
    sorts.append(dict(n=n, values=values, order=torch.from_numpy(scores).sort(descending=True)[1].tolist()))

# Boxes of 3 to 13 pixels, five scores.
n = 1300
u = uniform("boxes", (n, 4))
boxes = np.floor(np.stack([u[:, 0] * 90, u[:, 1] * 90, u[:, 0] * 90 + 3 + 10 * u[:, 2], u[:, 1] * 90 + 3 + 10 * u[:, 3]], 1)).astype(np.float32)
scores = (np.floor(uniform("scores", (n,)) * 5) / 5).astype(np.float32)
groups = np.floor(uniform("groups", (n,)) * 4).astype(np.int64)
kept = batched_nms(torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(groups), 0.3).tolist()
with open(sys.argv[1], "w") as out:
    origin = f"tools/golden/torch_sort.py, torch {torch.__version__}, torchvision {torchvision.__version__}"
    json.dump(dict(origin=origin, sorts=sorts, batched=dict(n=n, iouThreshold=0.3, kept=kept)), out, separators=(",", ":"))
    out.write("\n")
