"""Golden values of @mrcnn/anchors, one file per library:

    python tools/golden/anchors.py torchvision   # anchors.json (torch, torchvision)
    PYTHONPATH=DETECTRON2_SOURCE python tools/golden/anchors.py detectron2   # detectron2.json (its compiled part is not needed)
    python tools/golden/anchors.py matterport    # matterport.json (tensorflow, scikit-image)
"""
import hashlib
import json
import sys
from pathlib import Path

TARGET = Path(__file__).parents[2] / "packages/anchors/test/golden"


def write(name, origin, **values):
    text = json.dumps({"origin": f"{origin}, by tools/golden/anchors.py", **values})
    assert len(text) < 50_000, (name, len(text))
    TARGET.mkdir(parents=True, exist_ok=True)
    (TARGET / f"{name}.json").write_text(text + "\n")


def exact(a):
    """Shortest decimals that read back as the same float32."""
    return [float(str(v)) for v in a.reshape(-1)]


def case(sizes, ratios, image, features):
    import torch
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.image_list import ImageList

    generator = AnchorGenerator(sizes, ratios)
    maps = [torch.zeros(1, 1, *size) for size in features]
    anchors = generator(ImageList(torch.zeros(1, 3, *image), [image]), maps)[0]
    return {
        "sizes": sizes,
        "aspectRatios": ratios,
        "imageSize": image,
        "featureSizes": features,
        "cells": [cell.reshape(-1).tolist() for cell in generator.cell_anchors],
        "anchors": [int(v) for v in anchors.reshape(-1)],
    }


five = [[s] for s in (32, 64, 128, 256, 512)]
three = [0.5, 1.0, 2.0]


def of_torchvision():
    import torchvision

    write(
        "anchors", f"torchvision {torchvision.__version__} AnchorGenerator",
        cases=[
            # neither side divides by the strides
            case(five, [three] * 5, (61, 93), [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]),
            # the coarsest level of an 800 x 1344 input: strides 61 and 64
            case([[512]], [three], (800, 1344), [(13, 21)]),
            # several sizes per level, and halves that round to even
            case([[5, 7, 9], [30]], [[1.0, 0.3], [1.0, 2.5, 0.7]], (50, 70), [(5, 7), (2, 3)]),
        ],
    )


def of_detectron2():
    import torch
    from detectron2.modeling.anchor_generator import DefaultAnchorGenerator

    def case(sizes, ratios, strides, features, offset=0.0):
        generator = DefaultAnchorGenerator(sizes=sizes, aspect_ratios=ratios, strides=strides, offset=offset)
        anchors = torch.cat([boxes.tensor for boxes in generator([torch.zeros(1, 1, *size) for size in features])])
        return {
            "sizes": sizes, "aspectRatios": ratios, "strides": strides, "offset": offset, "featureSizes": features,
            "cells": [exact(cell.numpy()) for cell in generator.cell_anchors],
            "count": len(anchors), "sha256": hashlib.sha256(anchors.numpy().tobytes()).hexdigest(), "last": exact(anchors[-1].numpy()),
        }

    write(
        "detectron2", "detectron2 02b5c4e DefaultAnchorGenerator",
        cases=[
            case(five, [three] * 5, [4, 8, 16, 32, 64], [(200, 336), (100, 168), (50, 84), (25, 42), (13, 21)]),
            case([[32, 64, 128, 256, 512]], [three], [16], [(50, 84)]),  # C4
            case([[5, 7.5, 9], [30]], [[1.0, 0.3], [1.0, 2.5, 0.7]], [10, 25], [(5, 7), (2, 3)], 0.5),
        ],
    )


def of_matterport():
    sys.path.insert(0, str(Path(__file__).parents[1] / "fidelity"))
    import matterport

    def case(side, step):
        config = matterport.Config(max_dim=side)
        anchors = matterport.anchors(config)
        return {
            "side": side, "sizes": [[s] for s in config.scales], "strides": list(matterport.STRIDES), "widthsOverHeights": list(config.ratios),
            "count": len(anchors), "step": step, "anchors": exact(anchors[::step][:, [1, 0, 3, 2]]),
        }

    write(
        "matterport", "tools/fidelity/matterport.py anchors (generate_pyramid_anchors and norm_boxes of Mask_RCNN 2.1), xyxy",
        cases=[case(1024, 1009), case(320, 101), case(100, 31)],
    )


{"torchvision": of_torchvision, "detectron2": of_detectron2, "matterport": of_matterport}[sys.argv[1]]()
