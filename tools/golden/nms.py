"""Golden values of @mrcnn/nms. Needs torch and torchvision with C++ ops; run: python3 tools/golden/nms.py"""
import json
from pathlib import Path

import torch
import torchvision
from torchvision.ops import batched_nms, nms
from torchvision.ops.boxes import _batched_nms_coordinate_trick, _batched_nms_vanilla


def flat(t):
    return [float(str(v)) for v in t.numpy().reshape(-1)]


def make(n, size, step, levels, seed):
    """Boxes on a lattice of `step` pixels and scores of `levels` values: many ties, many IoUs of small fractions."""
    g = torch.Generator().manual_seed(seed)
    low = torch.randint(0, int(size / step), (n, 2), generator=g)
    side = torch.randint(2, max(4, int(size / step / 3)), (n, 2), generator=g)
    boxes = torch.cat([low, low + side], 1).float() * step
    scores = torch.randint(1, levels + 1, (n,), generator=g).float() / levels
    return boxes, scores, g


plain = []
for seed, (n, step, levels) in enumerate([(150, 10, 20), (150, 7.3, 1000000), (200, 16, 5), (60, 20, 1)]):
    boxes, scores, _ = make(n, 160, step, levels, seed)
    plain.append({
        "boxes": flat(boxes),
        "scores": flat(scores),
        "kept": [{"iouThreshold": t, "indices": nms(boxes, scores, t).tolist()} for t in (0.3, 1 / 3, 0.5, 0.7)],
    })
# IoU exactly 1/2 (as float32: kept at 0.5), then just above
boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 5.001]])
scores = torch.tensor([0.9, 0.8, 0.7])
plain.append({"boxes": flat(boxes), "scores": flat(scores),
              "kept": [{"iouThreshold": 0.5, "indices": nms(boxes, scores, 0.5).tolist()}]})


def batched(n, seed, classes, threshold):
    boxes, scores, g = make(n, 100, 2.1, 200, seed)
    if n > 1000:  # torchvision then orders equal scores by an unstable sort: leave it no ties
        scores = torch.randperm(n, generator=g).float()
    groups = torch.randint(0, classes, (n,), generator=g)
    return boxes, scores, groups, batched_nms(boxes, scores, groups, threshold)


grouped = []
# a seed for which shifting by class changes the answer
for seed in range(100000):
    boxes, scores, groups, kept = batched(400, seed, 20, 0.5)
    if kept.tolist() != _batched_nms_vanilla(boxes, scores, groups, 0.5).tolist():
        break
else:
    raise SystemExit("no seed shows the rounding of the coordinate trick")
grouped.append((boxes, scores, groups, 0.5, kept))
# more than 1000 boxes: class by class; the shifted form would answer otherwise
for seed in range(100000):
    boxes, scores, groups, kept = batched(1001, seed, 20, 0.5)
    if kept.tolist() != _batched_nms_coordinate_trick(boxes, scores, groups, 0.5).tolist():
        break
else:
    raise SystemExit("no seed tells the two rules apart")
grouped.append((boxes, scores, groups, 0.5, kept))
boxes, scores, groups, kept = batched(40, 3, 3, 0.3)
grouped.append((boxes, scores, groups, 0.3, kept))

target = Path(__file__).parents[2] / "packages/nms/test/golden"
target.mkdir(parents=True, exist_ok=True)
origin = f"torchvision {torchvision.__version__} C++ nms and batched_nms on CPU, by tools/golden/nms.py"
(target / "nms.json").write_text(json.dumps({"origin": origin, "cases": plain}) + "\n")
for name, (b, s, g, t, k) in zip(("few", "many", "three"), grouped):
    (target / f"batched-{name}.json").write_text(json.dumps({
        "origin": origin, "boxes": flat(b), "scores": flat(s), "groups": g.tolist(), "iouThreshold": t, "indices": k.tolist(),
    }, separators=(",", ":")) + "\n")
