"""Names of the tensors of torchvision's models that are not read: what each must be called is in the tests.

usage: python tools/golden/weights_foreign.py packages/weights/test/golden
needs torch and torchvision. Every list is one base64 of zlib of JSON: {model: [name, ...]}, of each stage's first blocks only.
"""
import base64
import json
import re
import sys
import zlib
from pathlib import Path

import torch
import torchvision
from torch import nn
from torchvision import models
from torchvision.models import detection
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.segmentation import deeplabv3_resnet50, fcn_resnet50


def rcnn(features, channels):
    """The tutorials' way: any features as the backbone, one map, no pyramid."""
    features.out_channels = channels
    sizes = detection.anchor_utils.AnchorGenerator(((32, 64),), ((0.5, 1.0),))
    pool = torchvision.ops.MultiScaleRoIAlign(["0"], 7, 2)
    return detection.FasterRCNN(features, 3, rpn_anchor_generator=sizes, box_roi_pool=pool)


def levels(*returned):
    sizes = detection.anchor_utils.AnchorGenerator(((32,),) * (len(returned) + 1), ((0.5, 1.0, 2.0),) * (len(returned) + 1))
    return detection.MaskRCNN(resnet_fpn_backbone(backbone_name="resnet18", weights=None, returned_layers=list(returned)), 3, rpn_anchor_generator=sizes)


bare = dict(weights=None)
whole = dict(weights=None, weights_backbone=None)
MODELS = {
    "mobilenet_v3": lambda: detection.fasterrcnn_mobilenet_v3_large_fpn(num_classes=3, **whole),
    "mobilenet_v2": lambda: rcnn(models.mobilenet_v2(**bare).features, 1280),
    "efficientnet": lambda: rcnn(models.efficientnet_b0(**bare).features, 1280),
    "vgg": lambda: rcnn(models.vgg16(**bare).features, 512),
    "vgg_bn": lambda: rcnn(models.vgg11_bn(**bare).features, 512),
    "densenet": lambda: rcnn(models.densenet121(**bare).features, 1024),
    "swin": lambda: rcnn(models.swin_t(**bare).features, 768),
    "convnext": lambda: rcnn(models.convnext_tiny(**bare).features, 768),
    "regnet": lambda: rcnn(nn.Sequential(models.regnet_y_400mf(**bare)), 440),
    "shufflenet": lambda: rcnn(models.shufflenet_v2_x0_5(**bare), 1024),
    "squeezenet": lambda: rcnn(models.squeezenet1_1(**bare).features, 512),
    "resnet_without_pyramid": lambda: rcnn(models.resnet18(**bare), 512),
    "layers_of_resnet": lambda: rcnn(nn.Sequential(*list(models.resnet18(**bare).children())[:-2]), 512),
    "levels_2_to_4": lambda: levels(2, 3, 4),
    "levels_1_to_3": lambda: levels(1, 2, 3),
    "level_4": lambda: levels(4),
    "ssd": lambda: detection.ssd300_vgg16(**whole),
    "ssdlite": lambda: detection.ssdlite320_mobilenet_v3_large(**whole),
    "retinanet": lambda: detection.retinanet_resnet50_fpn(**whole),
    "fcos": lambda: detection.fcos_resnet50_fpn(**whole),
    "deeplab": lambda: deeplabv3_resnet50(**whole),
    "fcn": lambda: fcn_resnet50(aux_loss=True, **whole),
    "resnet": lambda: models.resnet50(**bare),
    "mobilenet_alone": lambda: models.mobilenet_v3_small(**bare),
    "vit_alone": lambda: models.vit_b_16(**bare),
}

# Further blocks have the same names but for their numbers.
LATER = re.compile(r"layer[1-4]\.[2-9]|layer3\.\d\d|denselayer([3-9]|\d\d)|encoder_layer_([2-9]|\d\d)")


def names(model):
    return [name for name in model.state_dict() if LATER.search(name) is None]


lists = {name: names(make()) for name, make in MODELS.items()}
packed = base64.b64encode(zlib.compress(json.dumps(lists, separators=(",", ":")).encode(), 9)).decode()
origin = f"tools/golden/weights_foreign.py, torch {torch.__version__}, torchvision {torchvision.__version__}"
(Path(sys.argv[1]) / "foreign.json").write_text(json.dumps({"origin": origin, "names": packed}) + "\n")
print(len(packed), {name: len(one) for name, one in lists.items()})
