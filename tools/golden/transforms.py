"""Golden values of @mrcnn/transforms. Needs torch 1.13 and torchvision 0.14; run: python3 tools/golden/transforms.py"""
import json
from pathlib import Path

import torch
import torchvision
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes

torch.manual_seed(0)


def flat(t):
    """Shortest decimals that read back as the same float32."""
    return [float(str(v)) for v in t.numpy().reshape(-1)]


def transform(min_size, max_size):
    t = GeneralizedRCNNTransform(min_size, max_size, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    return t.eval()


def size_of(height, width, min_size, max_size):
    """Shape after resizing, of an image without memory behind it."""
    image, _ = transform(min_size, max_size).resize(torch.zeros(1, 1, 1).expand(1, height, width), None)
    return list(image.shape[-2:])


def case(height, width, min_size, max_size):
    t = transform(min_size, max_size)
    data = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    masks = (torch.rand(2, height, width) > 0.6).to(torch.uint8)
    boxes = torch.rand(3, 4) * torch.tensor([width, height, width, height])
    image, target = t.resize(t.normalize(data / 255), {"masks": masks, "boxes": boxes})
    size = list(image.shape[-2:])
    return {
        "size": [height, width],
        "minSize": min_size,
        "maxSize": max_size,
        "data": data.permute(1, 2, 0).reshape(-1).tolist(),
        "masks": ["".join(map(str, m.reshape(-1).tolist())) for m in masks],
        "boxes": flat(boxes),
        "resizedSize": size,
        "resized": [round(v, 6) for v in image.permute(1, 2, 0).reshape(-1).tolist()],
        "resizedMasks": ["".join(map(str, m.reshape(-1).tolist())) for m in target["masks"]],
        "resizedBoxes": flat(target["boxes"]),
        "boxesBack": flat(resize_boxes(target["boxes"], size, [height, width])),
    }


def batch(sizes):
    images = [torch.ones(3, *size) for size in sizes]
    return {"sizes": sizes, "batch": list(transform(8, 8).batch_images(images, 32).shape[-2:])}


shapes = [[480, 640], [640, 480], [427, 640], [1388, 1040], [33, 1000], [1, 7], [800, 1333], [161, 385], [127, 128]]
out = {
    "origin": f"torchvision {torchvision.__version__} GeneralizedRCNNTransform, by tools/golden/transforms.py",
    # Square images whose edge becomes 799 instead of 800.
    "short799": [s for s in range(100, 3000) if size_of(s, s, 800, 1333)[0] == 799],
    "sizes": [[*s, *m, *size_of(*s, *m)] for s in shapes for m in ([800, 1333], [256, 512], [97, 1000], [13, 1000])],
    "cases": [
        case(7, 5, 11, 40),  # up
        case(13, 9, 6, 40),  # down
        case(5, 16, 20, 23),  # the longer edge decides
        case(9, 6, 12, 40),  # exactly twice
        case(8, 6, 6, 8),  # as it is
    ],
    "batches": [batch([[33, 20], [31, 65]]), batch([[32, 64]])],
}
target = Path(__file__).parents[2] / "packages/transforms/test/golden/transforms.json"
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(json.dumps(out) + "\n")
