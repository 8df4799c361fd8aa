"""Golden values of @mrcnn/boxes. Needs torch and torchvision; run: python3 tools/golden/boxes.py"""
import json
from pathlib import Path

import torch
import torchvision
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import boxes as ops


def flat(t):
    """Shortest decimals that read back as the same float32."""
    return [float(str(v)) for v in t.numpy().reshape(-1)]


def random_boxes(n, size):
    corner = torch.rand(n, 2) * size * 0.8
    return torch.cat([corner, corner + 1 + torch.rand(n, 2) * size * 0.5], 1)


torch.manual_seed(7)
a, b = random_boxes(24, 200), random_boxes(10, 200)
a[0], b[0] = a[1], a[2]  # identical pairs
reference = random_boxes(24, 200)
deltas = torch.randn(24, 4) * torch.tensor([1.0, 1.0, 3.0, 3.0])  # some beyond the clamp
wide = random_boxes(24, 400) - 100
small = torch.tensor([[0, 0, 10, 10], [0, 0, 9.99, 10], [5, 5, 5, 20], [1, 1, 1.001, 9], [0.1, 0.1, 10.1, 10.1]])
out = {
    "origin": f"torchvision {torchvision.__version__} box ops and BoxCoder, by tools/golden/boxes.py",
    "a": flat(a),
    "b": flat(b),
    "area": flat(ops.box_area(a)),
    "iou": flat(ops.box_iou(a, b)),
    "reference": flat(reference),
    "deltas": flat(deltas),
    "coder": [
        {
            "weights": list(w),
            "encoded": flat(BoxCoder(w).encode_single(a, reference)),
            "decoded": flat(BoxCoder(w).decode_single(deltas, reference)),
        }
        for w in [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)]
    ],
    "wide": flat(wide),
    "clipped": flat(ops.clip_boxes_to_image(wide, (120, 200))),
    "small": flat(small),
    "kept": [{"minSize": s, "indices": ops.remove_small_boxes(small, s).tolist()} for s in (1e-3, 1e-2, 10.0)],
    "xywh": flat(ops.box_convert(a, "xyxy", "xywh")),
}
target = Path(__file__).parents[2] / "packages/boxes/test/golden/boxes.json"
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(json.dumps(out) + "\n")
