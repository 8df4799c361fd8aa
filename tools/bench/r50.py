"""The Python side of tools/bench/r50.mjs: torchvision's Mask R-CNN R50-FPN with seeded weights.

usage: /usr/bin/python3 r50.py make DIR SIZE        writes weights.safetensors (torch's layout), image.bin (RGB bytes), model.onnx
       /usr/bin/python3 r50.py detect DIR THREADS N  prints {"seconds": [...], "detections": n} as JSON
       /usr/bin/python3 r50.py train DIR THREADS N   the same for a training step: batch 2, 512 RoIs an image
needs Debian's python3-torch, python3-torchvision and libopenblas0-pthread.
"""
import json
import sys
import time

import numpy as np
import torch
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.resnet import resnet50
from torchvision.ops import FrozenBatchNorm2d


def build(size):
    body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    return MaskRCNN(_resnet_fpn_extractor(body, 3), 91, min_size=size, max_size=size)


def spread(model, size):
    """Random weights whose scores differ, so that NMS and the heads have real work: 100 detections."""
    g = torch.Generator().manual_seed(1)
    model.eval()
    with torch.no_grad():
        for name, b in model.named_buffers():
            if name.endswith("running_var"):
                b.copy_(0.5 + torch.rand(b.shape, generator=g))
            elif "bn3.weight" in name:
                b.fill_(0.25)
        model.rpn.head.cls_logits.weight.mul_(20)
        model.rpn.head.bbox_pred.weight.mul_(5)
        seen = []
        hook = model.roi_heads.box_predictor.cls_score.register_forward_hook(lambda m, i, o: seen.append(o))
        model([torch.rand(3, size, size, generator=g)])
        hook.remove()
        logits = torch.cat(seen)
        model.roi_heads.box_predictor.cls_score.weight.mul_(3 / (logits - logits.mean(0)).std())


def write_safetensors(path, state):
    header, blobs, at = {}, [], 0
    for name, value in state.items():
        blob = value.contiguous().numpy().astype("<f4").tobytes()
        header[name] = dict(dtype="F32", shape=list(value.shape), data_offsets=[at, at + len(blob)])
        blobs.append(blob)
        at += len(blob)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as f:
        f.write(len(head).to_bytes(8, "little") + head)
        for blob in blobs:
            f.write(blob)


def load(folder):
    size = json.load(open(f"{folder}/case.json"))["size"]
    model = build(size)
    model.load_state_dict(torch.load(f"{folder}/weights.pth"))
    image = torch.from_numpy(np.fromfile(f"{folder}/image.bin", np.uint8).reshape(size, size, 3).copy()).permute(2, 0, 1).float() / 255
    return model, image, size


def timed(work, count):
    work()
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def main():
    action, folder = sys.argv[1], sys.argv[2]
    if action == "make":
        size = int(sys.argv[3])
        torch.manual_seed(0)
        model = build(size)
        spread(model, size)
        torch.save(model.state_dict(), f"{folder}/weights.pth")
        write_safetensors(f"{folder}/weights.safetensors", model.state_dict())
        rng = np.random.default_rng(3)
        blocks = rng.integers(0, 256, (16, 16, 3)).repeat(-(-size // 16), 0).repeat(-(-size // 16), 1)[:size, :size]
        image = np.clip(blocks + rng.integers(-20, 20, blocks.shape), 0, 255).astype(np.uint8)
        image.tofile(f"{folder}/image.bin")
        json.dump(dict(size=size), open(f"{folder}/case.json", "w"))
        x = torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
        torch.onnx.export(model, ([x],), f"{folder}/model.onnx", opset_version=11, input_names=["image"], do_constant_folding=True)
        return
    torch.set_num_threads(int(sys.argv[3]))
    model, image, size = load(folder)
    count = int(sys.argv[4])
    if action == "detect":
        model.eval()
        found = []

        def work():
            with torch.no_grad():
                found[:] = model([image])

        print(json.dumps(dict(seconds=timed(work, count), detections=len(found[0]["labels"]))))
        return
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-5, momentum=0.9, weight_decay=1e-4)
    boxes = torch.tensor([[40 * i + 10.0, 30 * i + 20.0, 40 * i + 90.0, 30 * i + 120.0] for i in range(8)])
    masks = torch.zeros(8, size, size, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.long().tolist()):
        mask[y1:y2, x1:x2] = 1
    targets = [dict(boxes=boxes, labels=torch.arange(8) + 1, masks=masks)] * 2

    def step():
        losses = model([image, image], targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()

    print(json.dumps(dict(seconds=timed(step, count))))


main()
