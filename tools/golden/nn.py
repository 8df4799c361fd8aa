"""What torch's own layers give, and their gradients, on the seeded inputs of packages/nn/test.

Inputs and weights come from seeded.py in OUR layout (NHWC, HWIO, HWOI, [in, out]) and are transposed
for torch; outputs and gradients are stored in our layout. Other scripts here share `weights` and `summary`.

usage: /usr/bin/python3 tools/golden/nn.py packages/nn/test/golden
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.ops import FrozenBatchNorm2d

from seeded import uniform
from summary import rounded, summary


def to_torch(name, a):
    """Ours to torch's: NHWC and HWIO by rank and name."""
    if a.ndim == 4:
        return a.transpose(0, 3, 1, 2) if name.startswith("x") or name.startswith("dy") else a.transpose(3, 2, 0, 1)
    return a.transpose() if a.ndim == 2 else a


def from_torch(name, a):
    if a.ndim == 4:
        return a.transpose(0, 2, 3, 1) if name.startswith("x") or name.startswith("y") else a.transpose(2, 3, 1, 0)
    return a.transpose() if a.ndim == 2 else a


def seeded_weight(name, shape):
    """A weight of our layout as packages/testing/src/seeded-params.ts makes it."""
    u = uniform(name, shape)
    if name.endswith("running_var"):
        u = 0.5 + u
    elif len(shape) == 1:
        u = 0.75 + 0.5 * u if name.endswith("weight") else 0.4 * (u - 0.5)
    else:
        u = (u - 0.5) * np.sqrt(12 * shape[-1] / np.prod(shape))
    return u.astype(np.float32)


def seed_module(module, reorder=None):
    """Fills parameters and buffers of a torch module; `reorder(name, ours)` may undo what fc6 flattens."""
    with torch.no_grad():
        for name, value in list(module.named_parameters()) + list(module.named_buffers()):
            if name.endswith("num_batches_tracked"):
                continue
            shape = list(value.shape)
            ours = [shape[2], shape[3], shape[1], shape[0]] if len(shape) == 4 else shape[::-1]
            a = seeded_weight(name, ours)
            if reorder is not None:
                a = reorder(name, a)
            value.copy_(torch.from_numpy(np.ascontiguousarray(a.transpose(3, 2, 0, 1) if a.ndim == 4 else a.transpose())))


def seeded_input(name, shape, offset=-0.5, scale=2.0):
    return ((uniform(name, shape) + offset) * scale).astype(np.float32)


def run(case, f, inputs):
    """y and the gradients of sum(y * dy), dy seeded, for each input (in our layout)."""
    tensors = {k: torch.from_numpy(np.ascontiguousarray(to_torch(k, v))).requires_grad_() for k, v in inputs.items()}
    y = f(**tensors)
    ours = from_torch("y", y.detach().numpy())
    dy = seeded_input(f"{case}.dy", ours.shape)
    y.backward(torch.from_numpy(np.ascontiguousarray(to_torch("dy", dy))))
    return dict(
        shape=list(ours.shape), y=rounded(ours),
        gradients={k: rounded(from_torch(k, t.grad.numpy())) for k, t in tensors.items() if t.grad is not None},
    )


def conv_cases():
    cases = []
    for size, stride, padding, dilation, relu, h, w in [
        (3, 1, 1, 1, True, 5, 4), (3, 2, 1, 1, False, 6, 7), (1, 2, 0, 1, True, 5, 6), (7, 2, 3, 1, False, 8, 9),
        (3, 1, 2, 2, True, 5, 6), (3, 1, 0, 1, False, 4, 5), (3, 2, 1, 2, False, 7, 6), (1, 1, 0, 1, True, 3, 4),
    ]:
        name = f"conv{len(cases)}"
        inputs = dict(
            x=seeded_input(f"{name}.x", (2, h, w, 2)), weight=seeded_weight(f"{name}.weight", (size, size, 2, 3)), bias=seeded_weight(f"{name}.bias", (3,)),
        )
        f = lambda x, weight, bias: (F.relu if relu else lambda t: t)(F.conv2d(x, weight, bias, stride, padding, dilation))
        cases.append(dict(name=name, x=[2, h, w, 2], size=size, stride=stride, padding=padding, dilation=dilation, relu=relu, **run(name, f, inputs)))
    return cases


def grouped_cases():
    """Neighbouring groups share a convolution up to 32 channels: some that do, and some that don't."""
    cases = []
    for groups, inputs, outputs, size, stride, padding, dilation, relu, h, w in [
        (2, 3, 2, 3, 1, 1, 1, True, 5, 4), (4, 2, 3, 3, 2, 1, 1, False, 7, 6), (3, 1, 2, 3, 1, 2, 2, False, 5, 6), (2, 20, 1, 1, 1, 0, 1, False, 2, 3),
    ]:
        name = f"grouped{len(cases)}"
        args = dict(
            x=seeded_input(f"{name}.x", (2, h, w, groups * inputs)), weight=seeded_weight(f"{name}.weight", (size, size, inputs, groups * outputs)),
            bias=seeded_weight(f"{name}.bias", (groups * outputs,)),
        )
        f = lambda x, weight, bias: (F.relu if relu else lambda t: t)(F.conv2d(x, weight, bias, stride, padding, dilation, groups))
        cases.append(dict(name=name, x=[2, h, w, groups * inputs], weight=[size, size, inputs, groups * outputs], groups=groups, stride=stride, padding=padding, dilation=dilation, relu=relu, **run(name, f, args)))
    return cases


def overlapping_case():
    """The keypoint head's: 4 x 4, stride 2, padding 1."""
    inputs = dict(
        x=seeded_input("overlapping.x", (2, 3, 4, 5)), weight=seeded_weight("overlapping.weight", (4, 4, 3, 5)), bias=seeded_weight("overlapping.bias", (3,)),
    )
    return run("overlapping", lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, 2, 1), inputs)


def bilinear_cases():
    cases = []
    for h, w, height, width in [(2, 3, 4, 6), (3, 4, 5, 7), (1, 2, 3, 4)]:
        name = f"bilinear{len(cases)}"
        x = seeded_input(f"{name}.x", (2, h, w, 2))
        cases.append(dict(name=name, x=[2, h, w, 2], height=height, width=width, **run(name, lambda x: F.interpolate(x, (height, width), mode="bilinear", align_corners=False), dict(x=x))))
    return cases


def transpose_case():
    inputs = dict(
        x=seeded_input("transpose.x", (2, 3, 4, 5)), weight=seeded_weight("transpose.weight", (2, 2, 3, 5)), bias=seeded_weight("transpose.bias", (3,)),
    )
    return run("transpose", lambda x, weight, bias: F.relu(F.conv_transpose2d(x, weight, bias, 2)), inputs)


def dense_case():
    inputs = dict(weight=seeded_weight("dense.weight", (5, 4)), bias=seeded_weight("dense.bias", (4,)))
    x = torch.from_numpy(seeded_input("dense.x", (3, 5))).requires_grad_()
    t = {k: torch.from_numpy(np.ascontiguousarray(v.T)).requires_grad_() for k, v in inputs.items()}
    y = F.relu(F.linear(x, t["weight"], t["bias"]))
    y.backward(torch.from_numpy(seeded_input("dense.dy", y.shape)))
    return dict(
        shape=list(y.shape), y=rounded(y.detach().numpy()),
        gradients=dict(x=rounded(x.grad.numpy()), weight=rounded(t["weight"].grad.numpy().T), bias=rounded(t["bias"].grad.numpy())),
    )


def norm_cases():
    cases = {}
    shape, channels = (2, 4, 5, 8), 8
    base = dict(weight=seeded_weight("norm.weight", (channels,)), bias=seeded_weight("norm.bias", (channels,)))
    for name, groups, offset in [("group2", 2, -0.5), ("group8", 8, 4.5), ("group1", 1, -0.2)]:
        x = seeded_input(f"{name}.x", shape, offset)
        cases[name] = dict(groups=groups, offset=offset, **run(name, lambda x, weight, bias: F.group_norm(x, groups, weight, bias, 1e-5), dict(x=x, **base)))

    # A convolution and batch norm: by the batch's statistics (which moves the running ones), and frozen.
    conv = seeded_weight("bn.conv.weight", (3, 3, 3, channels))
    x = seeded_input("bn.x", (2, 6, 5, 3))
    mean, var = (torch.from_numpy(seeded_weight(f"bn.{k}", (channels,))) for k in ("running_mean", "running_var"))

    def batch(x, conv, weight, bias):
        return F.relu(F.batch_norm(F.conv2d(x, conv, None, 2, 1), mean, var, weight, bias, True, 0.1, 1e-5))

    def frozen(x, conv, weight, bias):
        bn = FrozenBatchNorm2d(channels, eps=1e-3)
        bn.weight, bn.bias = weight, bias
        bn.running_mean, bn.running_var = (torch.from_numpy(seeded_weight(f"bn.{k}", (channels,))) for k in ("running_mean", "running_var"))
        return F.relu(bn(F.conv2d(x, conv, None, 2, 1)))

    for name, f in (("batch", batch), ("frozen", frozen)):
        cases[name] = run(name, f, dict(x=x, conv=conv, **base))
    cases["batch"]["running_mean"] = rounded(mean.numpy())
    cases["batch"]["running_var"] = rounded(var.numpy())
    return cases


def pool_cases():
    cases = []
    for size, stride, padding, h, w in [(3, 2, 1, 6, 5), (3, 2, 1, 7, 8), (1, 2, 0, 5, 4), (2, 2, 0, 4, 5)]:
        name = f"pool{len(cases)}"
        x = seeded_input(f"{name}.x", (2, h, w, 2), -1.2)  # mostly negative: padding must not win
        cases.append(dict(name=name, x=[2, h, w, 2], size=size, stride=stride, padding=padding, **run(name, lambda x: F.max_pool2d(x, size, stride, padding), dict(x=x))))
    return cases


def upsample_cases():
    cases = []
    for h, w, height, width in [(2, 3, 4, 6), (3, 4, 5, 7), (2, 2, 3, 5)]:
        name = f"upsample{len(cases)}"
        x = seeded_input(f"{name}.x", (2, h, w, 2))
        cases.append(dict(name=name, x=[2, h, w, 2], height=height, width=width, **run(name, lambda x: F.interpolate(x, (height, width), mode="nearest"), dict(x=x))))
    return cases


def write(folder, name, script, **values):
    origin = f"tools/golden/{script}, torch {torch.__version__}"
    path = os.path.join(folder, f"{name}.json")
    with open(path, "w") as out:
        json.dump(dict(origin=origin, **values), out, separators=(",", ":"))
    print(path, os.path.getsize(path))


if __name__ == "__main__":
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    write(folder, "conv2d", "nn.py", cases=conv_cases(), transpose=transpose_case())
    write(folder, "grouped", "nn.py", cases=grouped_cases(), overlapping=overlapping_case())
    write(folder, "dense", "nn.py", case=dense_case())
    write(folder, "norm", "nn.py", cases=norm_cases())
    write(folder, "pool", "nn.py", pool=pool_cases(), upsample=upsample_cases(), bilinear=bilinear_cases())
