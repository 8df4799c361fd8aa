"""The five losses of Mask R-CNN and their gradients, by torchvision's own functions.

Logits, deltas and targets come from seeded.py, and the sampler takes everything.

usage: /usr/bin/python3 tools/golden/losses.py packages/losses/test/golden/losses.json
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import json
import sys

import numpy as np
import torch
import torchvision
from torchvision.models.detection import roi_heads
from torchvision.models.detection.rpn import RegionProposalNetwork

from seeded import uniform


def spread(name, shape, width):
    """float32 in (-width / 2, width / 2)."""
    return torch.from_numpy(((uniform(name, shape) - 0.5) * width).astype(np.float32))


def leaf(name, shape, width):
    return spread(name, shape, width).requires_grad_()


def rounded(tensor):
    return [float(f"{v:.8g}") for v in tensor.flatten().tolist()]


out = {"origin": f"torchvision {torchvision.__version__}, torch {torch.__version__}; tools/golden/losses.py"}

# RPN: two images of 30 anchors; every third anchor is left out, of the others every fifth is positive.
objectness, deltas = leaf("rpn.objectness", (2, 30), 12), leaf("rpn.deltas", (2, 30, 4), 3)
labels = torch.tensor([-1.0 if i % 3 == 2 else 1.0 if i % 5 == 0 else 0.0 for i in range(60)]).reshape(2, 30)
rpn = RegionProposalNetwork(None, None, 0.7, 0.3, 256, 0.5, {}, {}, 0.7)
losses = rpn.compute_loss(
    objectness.reshape(-1, 1), deltas.reshape(-1, 4), list(labels), list(spread("rpn.targets", (2, 30, 4), 3))
)
(losses[0] + losses[1]).backward()
out["rpn"] = {
    "loss_objectness": losses[0].item(),
    "loss_rpn_box_reg": losses[1].item(),
    "objectness": rounded(objectness.grad),
    "deltas": rounded(deltas.grad),
}

# Box head: 12 RoIs, 5 classes; RoI i has class i % 5.
logits, deltas = leaf("box.logits", (12, 5), 12), leaf("box.deltas", (12, 20), 3)
labels = torch.arange(12) % 5
losses = roi_heads.fastrcnn_loss(logits, deltas, [labels[:7], labels[7:]], list(spread("box.targets", (12, 4), 3).split([7, 5])))
(losses[0] + losses[1]).backward()
out["box"] = {
    "loss_classifier": losses[0].item(),
    "loss_box_reg": losses[1].item(),
    "logits": rounded(logits.grad),
    "deltas": rounded(deltas.grad),
}

# Mask head: 3 RoIs, 4x4, 5 classes, soft targets (given instead of cropped). torch is NCHW, the fixture NHWC.
logits = leaf("mask.logits", (3, 4, 4, 5), 12)
targets = torch.from_numpy(uniform("mask.targets", (3, 4, 4)).astype(np.float32))
roi_heads.project_masks_on_boxes = lambda *_: targets
loss = roi_heads.maskrcnn_loss(
    logits.permute(0, 3, 1, 2), [torch.zeros(3, 4)], [targets], [torch.tensor([2, 4, 1])], [torch.arange(3)]
)
loss.backward()
out["mask"] = {"loss_mask": loss.item(), "logits": rounded(logits.grad)}

with open(sys.argv[1], "w") as file:
    json.dump(out, file, separators=(",", ":"))
    file.write("\n")
