"""torchvision's RPN, box, mask and keypoint heads on seeded inputs, and their gradients; those of its v2 detectors too.

usage: /usr/bin/python3 tools/golden/heads.py packages/heads/test/golden packages/rpn/test/golden
needs Debian's python3-torch and python3-torchvision (torch 1.13, torchvision 0.14).
"""
import os
import sys

import torch
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead, concat_box_prediction_layers

from nn import seed_module, seeded_input, summary, write

ROIS, CHANNELS, SIDE, HIDDEN, CLASSES = 3, 6, 7, 10, 4


def tensor(name, shape):
    return torch.from_numpy(seeded_input(name, shape).transpose(0, 3, 1, 2).copy()).requires_grad_()


def nhwc(a):
    return a.detach().numpy().transpose(0, 2, 3, 1)


def gradients(module, reorder=None):
    found = {}
    for name, p in module.named_parameters():
        if p.grad is None:
            continue
        g = p.grad.numpy()
        g = g.transpose(2, 3, 1, 0) if g.ndim == 4 else g.T
        found[name] = summary(name, g if reorder is None else reorder(name, g))
    return found


def box():
    module = torch.nn.ModuleDict(dict(box_head=TwoMLPHead(CHANNELS * SIDE**2, HIDDEN), box_predictor=FastRCNNPredictor(HIDDEN, CLASSES)))
    # Ours flattens rows, columns, channels; torch's channels, rows, columns.
    to_torch = lambda name, a: a.reshape(SIDE, SIDE, CHANNELS, HIDDEN).transpose(2, 0, 1, 3).reshape(-1, HIDDEN) if name.endswith("fc6.weight") else a
    to_ours = lambda name, a: a.reshape(CHANNELS, SIDE, SIDE, HIDDEN).transpose(1, 2, 0, 3).reshape(-1, HIDDEN) if name.endswith("fc6.weight") else a
    seed_module(module, to_torch)
    x = tensor("pooled", (ROIS, SIDE, SIDE, CHANNELS))
    logits, deltas = module["box_predictor"](module["box_head"](x))
    ((logits**2).mean() + (deltas**2).mean()).backward()
    return dict(
        outputs=dict(classLogits=summary("classLogits", logits.detach().numpy()), deltas=summary("deltas", deltas.detach().numpy())),
        gradients=dict(pooled=summary("pooled", nhwc(x.grad)), **gradients(module, to_ours)),
    )


def box_v2():
    """Convolutions with batch norm, one hidden layer; in evaluation, so without gradients of the norms' statistics."""
    module = torch.nn.ModuleDict(
        dict(box_head=FastRCNNConvFCHead((CHANNELS, SIDE, SIDE), (5, 7), (HIDDEN,), torch.nn.BatchNorm2d), box_predictor=FastRCNNPredictor(HIDDEN, CLASSES))
    ).eval()
    last = "box_head.3.weight"
    to_torch = lambda name, a: a.reshape(SIDE, SIDE, 7, HIDDEN).transpose(2, 0, 1, 3).reshape(-1, HIDDEN) if name == last else a
    seed_module(module, to_torch)
    logits, deltas = module["box_predictor"](module["box_head"](tensor("pooled", (ROIS, SIDE, SIDE, CHANNELS))))
    return dict(outputs=dict(classLogits=summary("classLogits", logits.detach().numpy()), deltas=summary("deltas", deltas.detach().numpy())))


def keypoint():
    module = torch.nn.ModuleDict(dict(keypoint_head=KeypointRCNNHeads(CHANNELS, (5, 7)), keypoint_predictor=KeypointRCNNPredictor(7, 3)))
    seed_module(module)
    x = tensor("pooled", (ROIS, SIDE, SIDE, CHANNELS))
    logits = module["keypoint_predictor"](module["keypoint_head"](x))
    (logits**2).mean().backward()
    return dict(outputs=dict(logits=summary("logits", nhwc(logits))), gradients=dict(pooled=summary("pooled", nhwc(x.grad)), **gradients(module)))


def mask_v2():
    module = torch.nn.ModuleDict(dict(mask_head=MaskRCNNHeads(CHANNELS, (5, 7), 1, torch.nn.BatchNorm2d), mask_predictor=MaskRCNNPredictor(7, 8, CLASSES))).eval()
    seed_module(module)
    logits = module["mask_predictor"](module["mask_head"](tensor("pooled", (ROIS, SIDE, SIDE, CHANNELS))))
    return dict(outputs=dict(logits=summary("logits", nhwc(logits))))


def mask():
    module = torch.nn.ModuleDict(dict(mask_head=MaskRCNNHeads(CHANNELS, (5, 7), 1), mask_predictor=MaskRCNNPredictor(7, 8, CLASSES)))
    seed_module(module)
    x = tensor("pooled", (ROIS, SIDE, SIDE, CHANNELS))
    logits = module["mask_predictor"](module["mask_head"](x))
    (logits**2).mean().backward()
    return dict(outputs=dict(logits=summary("logits", nhwc(logits))), gradients=dict(pooled=summary("pooled", nhwc(x.grad)), **gradients(module)))


def rpn(convs=1):
    module = RPNHead(CHANNELS, 3, conv_depth=convs)
    seed_module(module)
    shapes = [(2, 6, 9, CHANNELS), (2, 3, 5, CHANNELS), (2, 2, 1, CHANNELS)]
    maps = [tensor(f"p{i + 2}", s) for i, s in enumerate(shapes)]
    logits, deltas = concat_box_prediction_layers(*module(maps))  # [B * A, 1] and [B * A, 4], in the anchors' order
    ((logits**2).mean() + (deltas**2).mean()).backward()
    return dict(
        inputs=shapes,
        outputs=dict(objectness=summary("objectness", logits.detach().reshape(2, -1).numpy()), deltas=summary("deltas", deltas.detach().reshape(2, -1, 4).numpy())),
        gradients=dict({f"p{i + 2}": summary(f"p{i + 2}", nhwc(m.grad)) for i, m in enumerate(maps)}, **gradients(module)),
    )


if __name__ == "__main__":
    for folder in sys.argv[1:3]:
        os.makedirs(folder, exist_ok=True)
    write(sys.argv[1], "heads", "heads.py", config=dict(rois=ROIS, channels=CHANNELS, side=SIDE, hidden=HIDDEN, classes=CLASSES), box=box(), boxV2=box_v2(), mask=mask(), maskV2=mask_v2(), keypoint=keypoint())
    write(sys.argv[2], "rpn-head", "heads.py", channels=CHANNELS, case=rpn(), caseV2=rpn(2))
