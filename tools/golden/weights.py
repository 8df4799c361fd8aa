"""Files written by the reference implementation of safetensors, as base64, and the values they hold.

usage: /usr/bin/python3 tools/golden/weights.py packages/weights/test/golden
needs `pip install safetensors` (0.4 or later) and torch (for bfloat16).
"""
import base64
import json
import os
import sys

import numpy as np
import safetensors
import torch
from safetensors.torch import save

TENSORS = {
    "f32": torch.tensor([[0.0, -1.5, 3.4e38], [1e-45, float("inf"), 0.1]]),
    "f64": torch.tensor([0.1, -2.5, 1e-50], dtype=torch.float64),
    "f16": torch.tensor([1.0, -2.5, 65504.0, 6e-8, float("inf"), 0.333], dtype=torch.float16),
    "bf16": torch.tensor([1.0, -2.5, 3e38, 1e-40, 0.333], dtype=torch.bfloat16),
    "i32": torch.tensor([-(2**31), 0, 2**31 - 1], dtype=torch.int32),
    "i64": torch.tensor([[-7], [2**31 - 1]], dtype=torch.int64),
    "i8": torch.tensor([-128, 127], dtype=torch.int8),
    "u8": torch.tensor([0, 255, 3], dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "scalar": torch.tensor(4.25),
    "empty": torch.zeros(0, 3),
}


def text(v):
    return "Infinity" if v == float("inf") else v


def main(folder):
    os.makedirs(folder, exist_ok=True)
    values = {}
    for name, t in TENSORS.items():
        t = t.float() if t.dtype.is_floating_point else t.int()
        values[name] = dict(shape=list(t.shape), values=[text(v) for v in t.double().ravel().tolist()])
    data = save(TENSORS, {"format": "pt", "step": "12"})
    origin = f"tools/golden/weights.py, safetensors {safetensors.__version__}, torch {torch.__version__}"
    with open(os.path.join(folder, "safetensors.json"), "w") as out:
        json.dump(dict(origin=origin, base64=base64.b64encode(data).decode(), metadata={"format": "pt", "step": "12"}, tensors=values), out, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1])
