"""Golden values of @mrcnn/anchors. Needs torch and torchvision; run: python3 tools/golden/anchors.py"""
import json
from pathlib import Path

import torch
import torchvision
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList


def case(sizes, ratios, image, features):
    generator = AnchorGenerator(sizes, ratios)
    maps = [torch.zeros(1, 1, *size) for size in features]
    anchors = generator(ImageList(torch.zeros(1, 3, *image), [image]), maps)[0]
    return {
        "sizes": sizes,
        "aspectRatios": ratios,
        "imageSize": image,
        "featureSizes": features,
        "cells": [cell.reshape(-1).tolist() for cell in generator.cell_anchors],
        "anchors": [int(v) for v in anchors.reshape(-1)],
    }


five = [[s] for s in (32, 64, 128, 256, 512)]
three = [0.5, 1.0, 2.0]
out = {
    "origin": f"torchvision {torchvision.__version__} AnchorGenerator, by tools/golden/anchors.py",
    "cases": [
        # neither side divides by the strides
        case(five, [three] * 5, (61, 93), [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]),
        # the coarsest level of an 800 x 1344 input: strides 61 and 64
        case([[512]], [three], (800, 1344), [(13, 21)]),
        # several sizes per level, and halves that round to even
        case([[5, 7, 9], [30]], [[1.0, 0.3], [1.0, 2.5, 0.7]], (50, 70), [(5, 7), (2, 3)]),
    ],
}
target = Path(__file__).parents[2] / "packages/anchors/test/golden/anchors.json"
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(json.dumps(out) + "\n")
