"""One training step of a narrow Mask R-CNN (ResNet-18 of width 8, frozen BN, FPN-16) made of torchvision's own classes.

Every weight, image and object comes from seeded.py, and the samplers take everything, so that the
TypeScript test can build the same step without stored weights. The fixture holds each loss, and of
each parameter's gradient its norm and 16 projections onto seeded signs.

Also what the same model detects on the two images.

usage: /usr/bin/python3 tools/golden/training_step.py packages/model/test/golden/training-step.json
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import json
import sys

import numpy as np
import torch
import torchvision
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.resnet import BasicBlock
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

from narrow_resnet import NarrowResNet
from seeded import uniform

PROJECTIONS = 16
WIDTH, CHANNELS, CLASSES = 8, 16, 4
SIZES = [(64, 96), (80, 64)]


def build():
    body = NarrowResNet(BasicBlock, (2, 2, 2, 2), WIDTH, FrozenBatchNorm2d)
    backbone = BackboneWithFPN(body, {f"layer{i + 1}": str(i) for i in range(4)}, [WIDTH * 2**i for i in range(4)], CHANNELS)
    anchors = AnchorGenerator(((8,), (16,), (32,), (64,), (128,)), ((0.5, 1.0, 2.0),) * 5)
    names = ["0", "1", "2", "3"]
    return MaskRCNN(
        backbone, num_classes=None, min_size=64, max_size=96, rpn_anchor_generator=anchors,
        rpn_pre_nms_top_n_train=60, rpn_post_nms_top_n_train=40, rpn_pre_nms_top_n_test=60, rpn_post_nms_top_n_test=40,
        rpn_batch_size_per_image=1000000, box_batch_size_per_image=1000000, box_positive_fraction=0.5,
        box_head=TwoMLPHead(CHANNELS * 49, 32),
        box_predictor=torchvision.models.detection.faster_rcnn.FastRCNNPredictor(32, CLASSES),
        box_roi_pool=MultiScaleRoIAlign(names, 7, 2), mask_roi_pool=MultiScaleRoIAlign(names, 14, 2),
        mask_head=MaskRCNNHeads(CHANNELS, (16, 16), 1), mask_predictor=MaskRCNNPredictor(16, 16, CLASSES),
    )


def seed_weights(model):
    with torch.no_grad():
        for name, value in list(model.named_parameters()) + list(model.named_buffers()):
            u = uniform(name, tuple(value.shape))
            if name.endswith("running_var"):
                u = 0.5 + u
            elif ".bn" in name or "downsample.1" in name:
                u = 0.75 + 0.5 * u if name.endswith("weight") else 0.4 * (u - 0.5)
            elif name.endswith("bias"):
                u = 0.2 * (u - 0.5)
            else:
                fan_in = value.shape[0] if "conv5_mask" in name else int(np.prod(value.shape[1:]))
                # Classifier and mask logits stay within a few units, so that no loss saturates.
                gain = 0.1 if "cls_score" in name or "mask_fcn_logits" in name else 1
                u = (u - 0.5) * gain * np.sqrt(12 / fan_in)
            value.copy_(torch.from_numpy(u.astype(np.float32)))


def objects(image, height, width):
    """Four ellipses; the box is the mask's tight box."""
    u = uniform(f"objects{image}", (4, 4))
    boxes, masks = [], []
    ys, xs = np.mgrid[0:height, 0:width]
    for a, b, c, d in u:
        cx, cy = np.floor(a * width), np.floor(b * height)
        rx, ry = 5 + np.floor(c * 14), 5 + np.floor(d * 14)
        mask = ((xs - cx) ** 2 * ry**2 + (ys - cy) ** 2 * rx**2 <= rx**2 * ry**2).astype(np.uint8)
        masks.append(mask)
        rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
        boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return dict(
        boxes=torch.tensor(boxes, dtype=torch.float32),
        labels=torch.tensor([1 + (image + i) % 3 for i in range(4)]),
        masks=torch.from_numpy(np.stack(masks)),
    )


def main(out):
    torch.manual_seed(0)
    model = build().train()
    seed_weights(model)
    images = [torch.from_numpy(np.floor(uniform(f"image{i}", (h, w, 3)) * 256).astype(np.float32) / 255).permute(2, 0, 1) for i, (h, w) in enumerate(SIZES)]
    losses = model(images, [objects(i, h, w) for i, (h, w) in enumerate(SIZES)])
    sum(losses.values()).backward()
    gradients = {}
    for name, parameter in model.named_parameters():
        g = parameter.grad.double().numpy().ravel()
        signs = np.where(uniform(f"signs {name}", (PROJECTIONS, g.size)) < 0.5, -1.0, 1.0)
        gradients[name] = [float(f"{v:.7g}") for v in [np.linalg.norm(g), *(signs @ g)]]
    model.eval()
    model.roi_heads.score_thresh = 0.3
    with torch.no_grad():
        found = model(images)
    detections = [
        dict(
            boxes=[[float(f"{v:.8g}") for v in box] for box in o["boxes"].tolist()],
            labels=o["labels"].tolist(),
            scores=[float(f"{v:.8g}") for v in o["scores"].tolist()],
            areas=(o["masks"][:, 0] > 0.5).sum((1, 2)).tolist(),
        )
        for o in found
    ]
    json.dump(
        dict(
            origin=f"tools/golden/training_step.py, torch {torch.__version__}, torchvision {torchvision.__version__}",
            sizes=SIZES, projections=PROJECTIONS,
            losses={k: float(v) for k, v in losses.items()}, gradients=gradients, detections=detections,
        ),
        open(out, "w"), separators=(",", ":"),
    )
    print({k: float(v) for k, v in losses.items()}, [len(d["labels"]) for d in detections], min(v[0] for v in gradients.values()))


if __name__ == "__main__":
    main(sys.argv[1])
