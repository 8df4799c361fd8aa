"""How far from 0 the fresh weights of torchvision's Mask R-CNN lie, parameter by parameter.

The model is the narrow one of training_step.py, made anew for each of SEEDS seeds; the fixture holds each parameter's
root mean square over all of them and its largest magnitude.

usage: /usr/bin/python3 tools/golden/initial_weights.py packages/model/test/golden/initial-weights.json
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import json
import sys

import torch
import torchvision

from training_step import build

SEEDS = 60


def main(out):
    squares, most, sizes = {}, {}, {}
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        model = build()
        # What torchvision's ResNet does to its convolutions, which narrow ones missed: they took their place afterwards.
        for layer in model.backbone.body.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        for name, value in model.named_parameters():
            v = value.detach().double()
            squares[name] = squares.get(name, 0.0) + float((v**2).sum())
            most[name] = max(most.get(name, 0.0), float(v.abs().max()))
            sizes[name] = v.numel()
    parameters = {n: [float(f"{(squares[n] / (SEEDS * sizes[n])) ** 0.5:.6g}"), float(f"{most[n]:.6g}")] for n in squares}
    origin = f"tools/golden/initial_weights.py, torch {torch.__version__}, torchvision {torchvision.__version__}"
    json.dump(dict(origin=origin, seeds=SEEDS, parameters=parameters), open(out, "w"), separators=(",", ":"))


main(sys.argv[1])
