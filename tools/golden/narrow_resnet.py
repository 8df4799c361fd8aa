"""torchvision's ResNets with fewer channels."""
import torch
from torchvision.models.resnet import ResNet


class NarrowResNet(ResNet):
    """A ResNet of `block`, as many in each stage as `layers` says, with `width` channels in its stem; groups as ResNeXt's."""

    def __init__(self, block, layers, width, norm, groups=1, width_per_group=64):
        torch.nn.Module.__init__(self)
        self._norm_layer = norm
        self.inplanes, self.dilation, self.groups, self.base_width = width, 1, groups, width_per_group
        self.conv1 = torch.nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(width)
        self.relu = torch.nn.ReLU(inplace=True)
        self.maxpool = torch.nn.MaxPool2d(3, 2, 1)
        for i, blocks in enumerate(layers):
            setattr(self, f"layer{i + 1}", self._make_layer(block, width * 2**i, blocks, stride=1 if i == 0 else 2))
