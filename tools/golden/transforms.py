"""Golden values of @mrcnn/transforms, one file per library:

    python tools/golden/transforms.py torchvision   # transforms.json (torch 1.13, torchvision 0.14)
    python tools/golden/transforms.py colors        # colors.json (the same)
    PYTHONPATH=DETECTRON2_SOURCE python tools/golden/transforms.py detectron2   # detectron2.json (its compiled part is not needed)
    python tools/golden/transforms.py matterport    # matterport.json (scikit-image, tensorflow)
"""
import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from seeded import uniform

TARGET = Path(__file__).parents[2] / "packages/transforms/test/golden"


def write(name, origin, **values):
    text = json.dumps({"origin": f"{origin}, by tools/golden/transforms.py", **values})
    assert len(text) < 50_000, (name, len(text))
    TARGET.mkdir(parents=True, exist_ok=True)
    (TARGET / f"{name}.json").write_text(text + "\n")


def flat(t):
    """Shortest decimals that read back as the same float32."""
    return [float(str(v)) for v in t.numpy().reshape(-1)]


def photo(height, width, low, high):
    """RGB bytes in [low, high], which the tests remake."""
    values = uniform(f"photo{height}x{width}", (height, width, 3))
    return (low + np.floor(values * (high - low + 1))).astype(np.uint8)


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def transform(min_size, max_size):
    from torchvision.models.detection.transform import GeneralizedRCNNTransform

    t = GeneralizedRCNNTransform(min_size, max_size, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    return t.eval()


def size_of(height, width, min_size, max_size):
    """Shape after resizing, of an image without memory behind it."""
    import torch

    image, _ = transform(min_size, max_size).resize(torch.zeros(1, 1, 1).expand(1, height, width), None)
    return list(image.shape[-2:])


def case(height, width, min_size, max_size):
    import torch
    from torchvision.models.detection.transform import resize_boxes

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
    import torch

    images = [torch.ones(3, *size) for size in sizes]
    return {"sizes": sizes, "batch": list(transform(8, 8).batch_images(images, 32).shape[-2:])}


SHAPES = [[480, 640], [640, 480], [427, 640], [1388, 1040], [33, 1000], [1, 7], [800, 1333], [161, 385], [127, 128]]


def of_torchvision():
    import torch
    import torchvision

    torch.manual_seed(0)
    write(
        "transforms", f"torchvision {torchvision.__version__} GeneralizedRCNNTransform",
        # Square images whose edge becomes 799 instead of 800.
        short799=[s for s in range(100, 3000) if size_of(s, s, 800, 1333)[0] == 799],
        sizes=[[*s, *m, *size_of(*s, *m)] for s in SHAPES for m in ([800, 1333], [256, 512], [97, 1000], [13, 1000])],
        cases=[
            case(7, 5, 11, 40),  # up
            case(13, 9, 6, 40),  # down
            case(5, 16, 20, 23),  # the longer edge decides
            case(9, 6, 12, 40),  # exactly twice
            case(8, 6, 6, 8),  # as it is
        ],
        batches=[batch([[33, 20], [31, 65]]), batch([[32, 64]])],
    )


def of_detectron2():
    import PIL
    import torch
    from detectron2.data.transforms import ResizeShortestEdge

    mean, std = [103.53, 116.28, 123.675], [57.375, 57.12, 58.395]
    sizes = []
    rng = np.random.default_rng(1)
    for shape in SHAPES + [[int(v) for v in rng.integers(20, 2000, 2)] for _ in range(150)]:
        for limit in ([800, 1333], [640, 1000], [int(v) for v in rng.integers(100, 1000, 2)]):
            sizes.append([*shape, *limit, *ResizeShortestEdge.get_output_shape(*shape, *limit)])

    def case(height, width, min_size, max_size, low=0, high=255):
        image = photo(height, width, low, high)[:, :, ::-1]
        resized = ResizeShortestEdge([min_size, min_size], max_size).get_transform(image).apply_image(image)
        # GeneralizedRCNN.preprocess_image
        x = torch.as_tensor(resized.astype("float32").transpose(2, 0, 1))
        x = (x - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
        values = dict(resized=resized[:, :, ::-1].ravel().tolist()) if resized.size < 1500 else {}
        return dict(size=[height, width], low=low, high=high, minSize=min_size, maxSize=max_size, resizedSize=list(resized.shape[:2]),
                    sha256=sha256(x.permute(1, 2, 0).numpy()), **values)

    write(
        "detectron2", f"detectron2 02b5c4e ResizeShortestEdge with Pillow {PIL.__version__}, preprocess_image with torch {torch.__version__}",
        mean=mean, std=std, sizes=sizes,
        cases=[
            case(7, 5, 11, 40), case(13, 9, 6, 40), case(5, 16, 20, 23), case(9, 6, 12, 40), case(8, 6, 6, 8), case(1, 1, 3, 3),
            case(40, 3, 1, 17), case(3, 50, 2, 20, 90, 170), case(48, 64, 10, 100), case(17, 23, 10, 100, 250, 255),
            case(97, 131, 160, 300), case(427, 640, 256, 333), case(480, 640, 800, 1333), case(333, 1000, 300, 500), case(1201, 301, 128, 512),
        ],
    )


def of_matterport():
    sys.path.insert(0, str(Path(__file__).parents[1] / "fidelity"))
    import matterport
    import scipy
    import skimage

    def case(height, width, min_size, max_size, low=0, high=255):
        image = photo(height, width, low, high)
        molded, (top, left, bottom, right) = matterport.mold(image, matterport.Config(min_dim=min_size, max_dim=max_size))
        part = np.round(molded + matterport.MEAN_PIXEL)[top:bottom, left:right].astype(np.uint8)
        values = dict(resized=part.ravel().tolist()) if part.size < 1500 else {}
        return dict(size=[height, width], low=low, high=high, minSize=min_size, maxSize=max_size,
                    window=[left, top, right - left, bottom - top], sha256=sha256(molded), **values)

    write(
        "matterport", f"tools/fidelity/matterport.py mold (resize_image and mold_image of Mask_RCNN 2.1), scikit-image {skimage.__version__}, scipy {scipy.__version__}",
        mean=matterport.MEAN_PIXEL.tolist(),
        cases=[
            case(7, 5, 11, 16), case(13, 9, 6, 8), case(5, 16, 20, 24), case(9, 6, 12, 20), case(8, 6, 6, 8), case(1, 1, 3, 4),
            case(40, 3, 4, 17), case(3, 50, 2, 20, 90, 170), case(10, 10, 10, 13), case(48, 64, 10, 20), case(17, 23, 20, 25, 250, 255),
            case(31, 45, 20, 64), case(97, 131, 160, 256), case(427, 640, 256, 320), case(480, 640, 800, 1024), case(333, 1000, 300, 512, 20, 210),
            case(1201, 301, 128, 512),
        ],
    )


def of_colors():
    import torch
    import torchvision
    import torchvision.transforms.functional as F

    def case(**change):
        # Floats: torchvision rounds bytes down after each of its functions.
        x = torch.from_numpy(photo(6, 7, 0, 255)).permute(2, 0, 1).float() / 255
        for name, amount in change.items():
            x = getattr(F, f"adjust_{name}")(x, amount)
        return dict(change=change, data=[round(float(v) * 255, 3) for v in x.permute(1, 2, 0).reshape(-1)])

    write(
        "colors", f"torchvision {torchvision.__version__} transforms.functional.adjust_*, on floats",
        size=[6, 7],
        cases=[
            case(brightness=1.4), case(brightness=0.3), case(contrast=1.6), case(contrast=0.2), case(saturation=1.5), case(saturation=0.0),
            case(hue=0.1), case(hue=-0.37), case(hue=0.5), case(brightness=1.3, contrast=0.7, saturation=1.4, hue=-0.05),
        ],
    )


{"torchvision": of_torchvision, "colors": of_colors, "detectron2": of_detectron2, "matterport": of_matterport}[sys.argv[1]]()
