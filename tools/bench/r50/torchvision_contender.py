"""torchvision's Mask R-CNN R50-FPN with seeded weights: makes the case that every contender runs, and is one of them.

usage: python3 torchvision_contender.py '{"action": "make", "folder": F, "height": H, "width": W}'
           writes weights.pth, weights.safetensors (torch's layout), image.bin (RGB bytes) and case.json
       python3 torchvision_contender.py '{"action": "export", "folder": F}'
           writes model.onnx
       python3 torchvision_contender.py '{"action": "detect" | "train", "folder": F, "threads": T, "warmup": N, "runs": N,
                                "device": "cpu" | "cuda", "precision": "float32" | "tf32" | "half", "compiled": false}'
           prints {"seconds": [...], "scores": [...], "memoryMb": M, ...} as its last line; a training step has two images, 512 RoIs each
"""
import contextlib
import inspect
import json
import re
import resource
import sys
import time

import numpy as np
import torch
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.resnet import resnet50
from torchvision.ops import FrozenBatchNorm2d


def build(height, width):
    body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    return MaskRCNN(_resnet_fpn_extractor(body, 3), 91, min_size=min(height, width), max_size=max(height, width))


def spread(model, height, width):
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
        model([torch.rand(3, height, width, generator=g)])
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


def make(folder, height, width):
    torch.manual_seed(0)
    model = build(height, width)
    spread(model, height, width)
    torch.save(model.state_dict(), f"{folder}/weights.pth")
    write_safetensors(f"{folder}/weights.safetensors", model.state_dict())
    rng = np.random.default_rng(3)
    blocks = rng.integers(0, 256, (16, 16, 3)).repeat(-(-height // 16), 0).repeat(-(-width // 16), 1)[:height, :width]
    image = np.clip(blocks + rng.integers(-20, 20, blocks.shape), 0, 255).astype(np.uint8)
    image.tofile(f"{folder}/image.bin")
    json.dump(dict(height=height, width=width), open(f"{folder}/case.json", "w"))


def load(folder):
    case = json.load(open(f"{folder}/case.json"))
    height, width = case["height"], case["width"]
    model = build(height, width)
    model.load_state_dict(torch.load(f"{folder}/weights.pth"))
    image = torch.from_numpy(np.fromfile(f"{folder}/image.bin", np.uint8).reshape(height, width, 3).copy()).permute(2, 0, 1).float() / 255
    return model, image


def export(folder):
    model, image = load(folder)
    model.eval()
    # Newer torch exports otherwise unless it is told.
    legacy = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(model, ([image],), f"{folder}/model.onnx", opset_version=11, input_names=["image"], do_constant_folding=True, **legacy)


def precise(device, precision):
    """Sets how float32 is multiplied; returns the context to compute in."""
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    if precision != "half":
        return contextlib.nullcontext
    return lambda: torch.autocast(device, torch.float16 if device == "cuda" else torch.bfloat16)


def compiled(model):
    """Compiles what has no choices in it: the whole would fall apart at each of them."""
    model.backbone = torch.compile(model.backbone)
    model.rpn.head = torch.compile(model.rpn.head)
    for name in ["box_head", "box_predictor", "mask_head", "mask_predictor"]:
        setattr(model.roi_heads, name, torch.compile(getattr(model.roi_heads, name)))


def timed(job, work):
    for _ in range(job["warmup"]):
        work()
    seconds = []
    for _ in range(job["runs"]):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def answer(device, **values):
    # The most that was resident at a time. Linux's own figure is of this program alone; rusage's begins with the parent's.
    try:
        kilobytes = int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read()).group(1))
    except OSError:
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if device == "cuda":
        values["note"] = f"{torch.cuda.max_memory_allocated() / 2**20:.0f} MB on the GPU"
    print("\n" + json.dumps(dict(values, memoryMb=round(kilobytes / 1024), cpuSeconds=time.process_time())))


def detector(job, model, image, device, context):
    model.eval()
    found = {}

    def work():
        with torch.no_grad(), context():
            (out,) = model([image.to(device)])
        # Also waits for the device.
        found.update({name: value.cpu() for name, value in out.items()})

    seconds = timed(job, work)
    answer(device, seconds=seconds, scores=found["scores"].tolist())


def trainer(job, model, image, device, context):
    _, height, width = image.shape
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-5, momentum=0.9, weight_decay=1e-4)
    boxes = torch.tensor([[40 * i + 10.0, 30 * i + 20.0, 40 * i + 90.0, 30 * i + 120.0] for i in range(8)])
    masks = torch.zeros(8, height, width, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.long().tolist()):
        mask[y1:y2, x1:x2] = 1
    target = dict(boxes=boxes, labels=torch.arange(8) + 1, masks=masks)
    # Half's small gradients would vanish unscaled.
    scaler = torch.cuda.amp.GradScaler(enabled=device == "cuda" and job["precision"] == "half")

    def step():
        own = {name: value.to(device) for name, value in target.items()}
        with context():
            losses = sum(model([image.to(device)] * 2, [own] * 2).values())
        optimizer.zero_grad()
        scaler.scale(losses).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.item()
        if device == "cuda":
            torch.cuda.synchronize()

    answer(device, seconds=timed(job, step))


def main():
    job = json.loads(sys.argv[1])
    if job["action"] == "make":
        return make(job["folder"], job["height"], job["width"])
    if job["action"] == "export":
        return export(job["folder"])
    device = job.get("device", "cpu")
    torch.set_num_threads(job["threads"])
    context = precise(device, job.get("precision", "float32"))
    model, image = load(job["folder"])
    model.to(device)
    if job.get("compiled"):
        compiled(model)
    {"detect": detector, "train": trainer}[job["action"]](job, model, image, device, context)


main()
