"""ResNet classifiers of few channels as torch saves them, and what their stages put out.

usage: python tools/golden/classifiers.py apps/trainer/test/golden
needs torch and torchvision. The files are base64 of zlib; weights are of few values, so that they are small.
"""
import base64
import io
import json
import sys
import zlib
from pathlib import Path

import torch
import torchvision
from torchvision.models.resnet import BasicBlock, Bottleneck

from narrow_resnet import NarrowResNet


def classifier(block, layers, **kwargs):
    torch.manual_seed(5)
    net = NarrowResNet(block, layers, 2, torch.nn.BatchNorm2d, **kwargs)
    net.fc = torch.nn.Linear(16 * block.expansion, 5)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith("num_batches_tracked"):
                value.fill_(1000)
            elif name.endswith("running_var"):
                # Small, so that eps shows.
                value.copy_(torch.randint(1, 5, value.shape) / 4096)
            elif value.dim() == 1:
                value.copy_(torch.randint(-4, 5, value.shape) / 16 + (1.0 if name.endswith("weight") else 0.0))
            else:
                value.copy_(torch.randint(-2, 3, value.shape) / 256)
    return net.eval()


MODELS = {
    "resnet18": (lambda: classifier(BasicBlock, [2, 2, 2, 2]), lambda state, file: torch.save(state, file, _use_new_zipfile_serialization=False)),
    "resnet50": (lambda: classifier(Bottleneck, [3, 4, 6, 3]), torch.save),
    # As a training script keeps it, in DataParallel.
    "resnext50": (lambda: classifier(Bottleneck, [3, 4, 6, 3], groups=2, width_per_group=32), lambda state, file: torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, file)),
}

out = Path(sys.argv[1])
out.mkdir(exist_ok=True)
for name, (make, save) in MODELS.items():
    net = make()
    file = io.BytesIO()
    save(net.state_dict(), file)
    x = torch.sin(torch.arange(64 * 64 * 3, dtype=torch.float32) * 0.37).reshape(1, 64, 64, 3).permute(0, 3, 1, 2)
    with torch.no_grad():
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        stages = []
        for i in range(4):
            x = getattr(net, f"layer{i + 1}")(x)
            stages.append(x)
    golden = {
        "origin": f"torch {torch.__version__}, torchvision {torchvision.__version__}, tools/golden/classifiers.py",
        "file": base64.b64encode(zlib.compress(file.getvalue(), 9)).decode(),
        "tensors": len(net.state_dict()),
        # Sums of magnitudes of each stage, and the last stage, rows, columns, channels.
        "stages": [float(stage.abs().sum(dtype=torch.float64)) for stage in stages],
        "c5": [float(f"{value:.7g}") for value in stages[-1].permute(0, 2, 3, 1).flatten().tolist()],
    }
    (out / f"{name}.json").write_text(json.dumps(golden) + "\n")
    print(name, len(json.dumps(golden)), golden["stages"])
