"""ResNets of width 8 made of torchvision's own classes, on a seeded image: features and weight gradients.

Weights come from seeded.py (see nn.py); the fixture holds norms and seeded projections, computed in
float64. The script refuses a seed whose float32 gradients differ much: some unit lies on relu's kink.

usage: /usr/bin/python3 tools/golden/backbones.py packages/backbones/test/golden
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import functools
import os
import sys

import torch
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import FrozenBatchNorm2d

from narrow_resnet import NarrowResNet
from nn import seed_module, seeded_input, summary, write

WIDTH = 8
INPUT = (2, 50, 70, 3)  # odd sizes appear at c2 and c3
EVEN = (1, 44, 64, 3)  # even before the stem's pool, where "same" pads after the end only


class Narrow(NarrowResNet):
    """WIDTH channels where torchvision's has 64; gives the maps of its stages."""

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        maps = []
        for i in range(4):
            x = getattr(self, f"layer{i + 1}")(x)
            maps.append(x)
        return maps


class Caffe2(Narrow):
    """The stride in the first 1 x 1, layer4 dilated as detectron2's RES5_DILATION = 2, TensorFlow's "same" in the stem."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for layer in (self.layer2, self.layer3, self.layer4):
            layer[0].conv1.stride, layer[0].conv2.stride = layer[0].conv2.stride, (1, 1)
        self.layer4[0].conv1.stride = self.layer4[0].downsample[0].stride = (1, 1)
        for block in self.layer4:
            block.conv2.dilation = block.conv2.padding = (2, 2)
        self.maxpool = torch.nn.Sequential(torch.nn.ConstantPad2d((0, 1, 0, 1), -torch.inf), torch.nn.MaxPool2d(3, 2))


def ours(t):
    a = t.detach().numpy()
    return a.transpose(0, 2, 3, 1) if a.ndim == 4 else a


def step(block, layers, norm_layer, train, dtype, kind=Narrow, shape=INPUT, **options):
    model = kind(block, layers, WIDTH, norm_layer, **options)
    seed_module(model)
    model.train(train).to(dtype)
    x = torch.from_numpy(seeded_input("image4", shape).transpose(0, 3, 1, 2).copy()).to(dtype)
    maps = model(x)
    # Sums of squares give every map a gradient of its own.
    sum((m**2).mean() for m in maps).backward()
    return model, maps


def case(block, layers, norm_layer, train, **options):
    single, _ = step(block, layers, norm_layer, train, torch.float32, **options)
    model, maps = step(block, layers, norm_layer, train, torch.float64, **options)
    for (name, a), b in zip(single.named_parameters(), model.parameters()):
        assert (a.grad - b.grad).norm() <= 2e-5 * b.grad.norm(), name
    gradients = {}
    for name in ("conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer2.0.downsample.0.weight", "layer3.1.bn2.bias", "layer4.1.conv2.weight"):
        parameter = dict(model.named_parameters()).get(name)
        if parameter is not None:
            g = parameter.grad.numpy()
            gradients[name] = summary(name, g.transpose(2, 3, 1, 0) if g.ndim == 4 else g)
    running = {n: summary(n, b.numpy()) for n, b in model.named_buffers() if n in ("bn1.running_mean", "layer4.1.bn2.running_var")} if train else {}
    return dict(
        names=sorted(n for n in model.state_dict() if not n.endswith("num_batches_tracked")),
        maps={f"c{i + 2}": summary(f"c{i + 2}", ours(m)) for i, m in enumerate(maps)}, gradients=gradients, running=running,
    )


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    group = functools.partial(torch.nn.GroupNorm, 4)
    frozen = functools.partial(FrozenBatchNorm2d, eps=1e-5)
    write(
        sys.argv[1], "resnet", "backbones.py", input=INPUT, even=EVEN,
        cases=dict(
            resnet18_group_norm=case(BasicBlock, [2, 2, 2, 2], group, True),
            resnet18_batch_norm=case(BasicBlock, [2, 2, 2, 2], torch.nn.BatchNorm2d, True),
            resnet50_frozen_batch_norm=case(Bottleneck, [3, 4, 6, 3], frozen, False),
            resnext50_4x32d=case(Bottleneck, [3, 4, 6, 3], frozen, False, groups=4, width_per_group=32),
            resnet50_caffe2_dc5=case(Bottleneck, [3, 4, 6, 3], frozen, False, kind=Caffe2, shape=EVEN),
        ),
    )
