"""Files written by torch.save, as base64, and the values that torch reads back from them.

usage: python tools/golden/weights_torch.py packages/weights/test/golden
Run it with one torch of before 2.0 and one of after: each writes the fixture of its own version, torch-1.json or torch-2.json.
"""
import argparse
import base64
import collections
import io
import json
import os
import sys

import numpy
import torch


def tensors():
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 8
    shared = torch.arange(10, dtype=torch.float32)
    return collections.OrderedDict(
        f64=torch.tensor([0.1, -2.5, 1e-50], dtype=torch.float64),
        f32=torch.tensor([[0.0, -1.5, 3.4e38], [1e-45, float("inf"), 0.1]]),
        f16=torch.tensor([1.0, -2.5, 65504.0, 6e-8, float("inf"), 0.333], dtype=torch.float16),
        bf16=torch.tensor([1.0, -2.5, 3e38, 1e-40, 0.333], dtype=torch.bfloat16),
        i64=torch.tensor([[-7], [2**31 - 1]]),
        i32=torch.tensor([-(2**31), 0, 2**31 - 1], dtype=torch.int32),
        i16=torch.tensor([-32768, 7], dtype=torch.int16),
        i8=torch.tensor([-128, 127], dtype=torch.int8),
        u8=torch.tensor([0, 255, 3], dtype=torch.uint8),
        bool=torch.tensor([True, False]),
        scalar=torch.tensor(4.25),
        empty=torch.zeros(0, 3),
        transposed=base.permute(2, 0, 1),
        half_transposed=torch.arange(6, dtype=torch.float16).reshape(2, 3).t(),
        expanded=torch.tensor([1.0, 2.0]).expand(3, 2),
        strided=base[:, 1:, ::2],
        offset=shared[3:7],
        tied=shared,
        parameter=torch.nn.Parameter(torch.tensor([1.0, 2.0])),
    )


def written(value, **options):
    out = io.BytesIO()
    torch.save(value, out, **options)
    return base64.b64encode(out.getvalue()).decode()


def text(v):
    return {float("inf"): "Infinity", float("-inf"): "-Infinity"}.get(v, v)


def main(folder):
    state = tensors()
    values = {}
    for name, t in state.items():
        t = t.detach()
        t = t.float() if t.dtype.is_floating_point else t.int()
        values[name] = dict(shape=list(t.shape), values=[text(v) for v in t.double().ravel().tolist()])
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 2), torch.nn.BatchNorm2d(3))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    module(torch.ones(1, 2, 3, 3)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [8, 11])
    training = dict(optimizer=optimizer.state_dict(), lr_scheduler=scheduler.state_dict(), epoch=3, best=numpy.float64(0.5), args=argparse.Namespace(lr=0.1, device="cpu"))
    model = {name: dict(shape=list(t.shape), values=t.double().ravel().tolist()) for name, t in module.state_dict().items()}
    files = dict(
        zip=written(state),
        legacy=written(state, _use_new_zipfile_serialization=False),
        plain=written(dict(state)),
    )
    for key in ("model", "state_dict", "model_state_dict"):
        files[key] = written({key: module.state_dict(), **training})
    legacy_training = written({"model": module.state_dict(), **training}, _use_new_zipfile_serialization=False)
    origin = f"tools/golden/weights_torch.py, torch {torch.__version__}"
    with open(os.path.join(folder, f"torch-{torch.__version__[0]}.json"), "w") as out:
        json.dump(dict(origin=origin, files=files, tensors=values, legacyTraining=legacy_training, module=model), out, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1])
