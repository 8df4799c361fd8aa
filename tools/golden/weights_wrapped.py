"""One small model's state_dict as training scripts wrap it.

usage: python tools/golden/weights_wrapped.py packages/weights/test/golden
needs torch. Every file is the base64 of what torch.save wrote.
"""
import argparse
import base64
import collections
import copy
import datetime
import io
import json
import pathlib
import sys
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


class Detector(nn.Module):
    """Two layers under the names of torchvision's detectors."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.ModuleDict({"body": nn.ModuleDict({"conv1": nn.Conv2d(1, 2, 1)})})
        self.rpn = nn.ModuleDict({"head": nn.ModuleDict({"cls_logits": nn.Conv2d(2, 1, 1)})})


torch.manual_seed(1)
model = Detector()

other = copy.deepcopy(model)
with torch.no_grad():
    for p in other.parameters():
        p.mul_(3)
ema = AveragedModel(other).state_dict()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
sum(p.sum() for p in model.parameters()).backward()
optimizer.step()
model.load_state_dict(state := {k: v.clone() for k, v in Detector().state_dict().items()})
average = AveragedModel(model).state_dict()
under = lambda prefix, items=None: collections.OrderedDict((prefix + k, v) for k, v in (items or state).items())
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [16, 22])

FILES = {
    "plain": state,
    "averaged": average,
    "compiled": under("_orig_mod."),
    "compiled in parallel": under("module._orig_mod."),
    "lightning": {
        "epoch": 3, "global_step": 400, "pytorch-lightning_version": "1.9.0", "state_dict": under("model."), "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.4)}}, "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [scheduler.state_dict()],
        "hparams_name": "kwargs", "hyper_parameters": {"lr": 0.02},
    },
    "lightning with a loss": {"state_dict": {**under("net.model."), "criterion.weight": torch.ones(2)}, "epoch": 1},
    "references": {"model": under("module."), "optimizer": optimizer.state_dict(), "lr_scheduler": scheduler.state_dict(), "args": argparse.Namespace(lr=0.02), "epoch": 25},
    "paths, dates and types among its arguments": {
        "args": argparse.Namespace(out=pathlib.Path("/runs/a"), lr=0.1, dtype=torch.float16), "begun": datetime.datetime(2022, 1, 2), "model": state,
        "data": [pathlib.PureWindowsPath("C:/a"), torch.int64], "version": torch.__version__, "took": datetime.timedelta(seconds=3),
    },
    "with an average before it": {"model_ema": ema, "model": state, "epoch": 1},
    "with an average behind it": {"state_dict": state, "ema_state_dict": ema},
    "average alone": {"ema": average, "epoch": 2},
    "net": {"net": state, "epoch": 3},
    "deep": {"trainer": {"model_state": under("module.")}, "best": 0.5},
    "flat with an epoch": {**state, "epoch": 3},
}


def saved(value):
    out = io.BytesIO()
    torch.save(value, out, _use_new_zipfile_serialization=False)
    return base64.b64encode(out.getvalue()).decode()


files = {kind: saved(value) for kind, value in FILES.items()}
out = {"origin": f"tools/golden/weights_wrapped.py, torch {torch.__version__}", "files": files}
(Path(sys.argv[1]) / "wrapped.json").write_text(json.dumps(out) + "\n")
print({kind: len(text) for kind, text in files.items()})
