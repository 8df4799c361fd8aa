"""Golden values of @mrcnn/roi-align. Needs torch and torchvision with C++ ops; run: python3 tools/golden/roi_align.py"""
import json
from collections import OrderedDict
from pathlib import Path

import torch
import torchvision
from torchvision.ops import MultiScaleRoIAlign, roi_align
from torchvision.ops.poolers import LevelMapper


def flat(t):
    return [float(f"{v:.7g}") for v in t.detach().numpy().reshape(-1)]


def pattern(*shape):
    """Values that a test can remake: of NHWC index i, (7919 i mod 1009) / 1009."""
    n, h, w, c = shape
    values = (torch.arange(n * h * w * c, dtype=torch.int64) * 7919 % 1009).double() / 1009
    return values.float().reshape(shape)


def nchw(t):
    return t.permute(0, 3, 1, 2).contiguous()


def nhwc(t):
    return t.permute(0, 2, 3, 1).contiguous()


shape = (2, 11, 17, 2)
boxes = torch.tensor([
    [4.3, 2.1, 40.7, 30.9],      # inside
    [0.0, 0.0, 68.0, 44.0],      # the whole image
    [-30.5, -20.2, 20.1, 15.3],  # beyond the top left corner
    [50.0, 30.0, 120.0, 90.0],   # beyond the bottom right corner
    [20.2, 20.4, 20.9, 21.0],    # thinner than a cell
    [300.0, 10.0, 340.0, 30.0],  # wholly outside
])
image_index = [0, 1, 0, 1, 1, 0]
rois = torch.cat([torch.tensor(image_index).float()[:, None], boxes], 1)
cases = []
for aligned in (False, True):
    for ratio in (0, 1, 2):
        x = nchw(pattern(*shape)).requires_grad_()
        y = roi_align(x, rois, (3, 5), 0.25, ratio, aligned)
        y.backward(nchw(pattern(len(boxes), 3, 5, shape[3])))
        cases.append({"aligned": aligned, "samplingRatio": ratio, "output": flat(nhwc(y)), "gradient": flat(nhwc(x.grad))})

image = (128, 192)
sizes = {"p2": (32, 48), "p3": (16, 24), "p4": (8, 12), "p5": (4, 6), "p6": (2, 3)}
maps = OrderedDict((name, nchw(pattern(2, *size, 2))) for name, size in sizes.items())
g = torch.Generator().manual_seed(5)
low = torch.rand(10, 2, generator=g) * 90 - 20
side = torch.exp(torch.rand(10, 2, generator=g) * 4.5 + 1.5)
pyramid_boxes = torch.cat([low, low + side], 1)
per_image = [pyramid_boxes[:6], pyramid_boxes[6:]]
pyramid = [
    {"canonicalScale": s, "output": flat(nhwc(MultiScaleRoIAlign(["p2", "p3", "p4", "p5"], (3, 4), 2, canonical_scale=s)(
        maps, per_image, [(120, 190), image])))}
    for s in (224, 32)
]

# sides about the borders between levels, and at random
sides = [s * (1 + e) for s in (56, 112, 224, 448, 896) for e in (-1e-4, -1e-6, -2e-7, 0, 2e-7, 1e-4)]
sides += (torch.exp(torch.rand(60, generator=g) * 7)).tolist()
level_boxes = torch.tensor([[3.7, 8.1, 3.7 + s, 8.1 + s] for s in sides] + [[0, 0, 224, 224], [0, 0, 112, 448], [5, 5, 5, 9]])
levels = LevelMapper(2, 5)([level_boxes]) + 2

target = Path(__file__).parents[2] / "packages/roi-align/test/golden"
target.mkdir(parents=True, exist_ok=True)
origin = f"torchvision {torchvision.__version__} roi_align and MultiScaleRoIAlign on CPU, by tools/golden/roi_align.py"
write = lambda name, value: (target / f"{name}.json").write_text(json.dumps({"origin": origin, **value}, separators=(",", ":")) + "\n")
write("roi-align", {"featureShape": shape, "boxes": flat(boxes), "imageIndex": image_index, "outputSize": [3, 5], "spatialScale": 0.25, "cases": cases})
exact = lambda t: [float(str(v)) for v in t.numpy().reshape(-1)]
write("roi-align-pyramid", {
    "imageSize": image, "featureSizes": sizes, "batch": 2, "channels": 2, "boxes": exact(pyramid_boxes), "imageIndex": [0] * 6 + [1] * 4,
    "outputSize": [3, 4], "samplingRatio": 2, "cases": pyramid,
    "levelBoxes": exact(level_boxes), "levels": levels.tolist(),
})
