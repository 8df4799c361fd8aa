"""torchvision's FeaturePyramidNetwork with LastLevelMaxPool on seeded maps of odd sizes, and its gradients.

usage: /usr/bin/python3 tools/golden/fpn.py packages/fpn/test/golden
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import os
import sys

import torch
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from nn import seed_module, seeded_input, summary, write

CASES = {
    "odd": [(2, 13, 18, 3), (2, 7, 9, 4), (2, 4, 5, 5), (2, 2, 3, 6)],
    "even": [(1, 16, 24, 3), (1, 8, 12, 4), (1, 4, 6, 5), (1, 2, 3, 6)],
}


def nhwc(t):
    return t.detach().numpy().transpose(0, 2, 3, 1)


def case(shapes, norm_layer=None):
    fpn = FeaturePyramidNetwork([s[3] for s in shapes], 8, LastLevelMaxPool(), norm_layer).eval()
    seed_module(fpn)
    inputs = {f"c{i + 2}": torch.from_numpy(seeded_input(f"c{i + 2}", s).transpose(0, 3, 1, 2).copy()).requires_grad_() for i, s in enumerate(shapes)}
    maps = list(fpn(dict(inputs)).values())
    sum((m**2).mean() for m in maps).backward()
    gradients = {k: summary(k, nhwc(v.grad)) for k, v in inputs.items()}
    for name, p in fpn.named_parameters():
        gradients[name] = summary(name, p.grad.numpy().transpose(2, 3, 1, 0) if p.ndim == 4 else p.grad.numpy())
    return dict(inputs=shapes, maps={f"p{i + 2}": summary(f"p{i + 2}", nhwc(m)) for i, m in enumerate(maps)}, gradients=gradients)


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    write(sys.argv[1], "fpn", "fpn.py", channels=8, cases={k: case(v) for k, v in CASES.items()}, norm=case(CASES["odd"], torch.nn.BatchNorm2d))
