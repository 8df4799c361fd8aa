"""Golden values of @mrcnn/roi-align, by library:

    python tools/golden/roi_align.py torchvision   # roi-align.json, roi-align-pyramid.json (torch, torchvision with C++ ops)
    PYTHONPATH=DETECTRON2_SOURCE python tools/golden/roi_align.py detectron2   # detectron2.json (its compiled part is not needed)
    python tools/golden/roi_align.py matterport    # crop-and-resize.json (tensorflow, scikit-image)
"""
import json
import sys
from pathlib import Path

import numpy as np

from seeded import uniform

TARGET = Path(__file__).parents[2] / "packages/roi-align/test/golden"


def write(name, origin, **values):
    text = json.dumps({"origin": f"{origin}, by tools/golden/roi_align.py", **values}, separators=(",", ":"))
    assert len(text) < 50_000, (name, len(text))
    TARGET.mkdir(parents=True, exist_ok=True)
    (TARGET / f"{name}.json").write_text(text + "\n")


def exact(a):
    """Shortest decimals that read back as the same float32."""
    return [float(str(v)) for v in np.asarray(a, np.float32).reshape(-1)]


# Sides about the borders between levels.
BORDERS = [s * (1 + e) for s in (56, 112, 224, 448, 896) for e in (-1e-4, -1e-6, -2e-7, 0, 2e-7, 1e-4)]
# The maps of a pyramid over an image of 256 x 320, which the tests remake: uniform by name.
LEVELS = {"p2": (64, 80), "p3": (32, 40), "p4": (16, 20), "p5": (8, 10)}
CHANNELS = 3


def some_boxes(count, height, width, seed, low=6, high=300):
    """Boxes of all sizes, some at or beyond the image's edges: float32 [count, 4] xyxy."""
    rng = np.random.default_rng(seed)
    side = np.exp(rng.uniform(np.log(low), np.log(high), (count, 2)))
    centre = rng.uniform(0, 1, (count, 2)) * (width, height)
    return np.concatenate([centre - side / 2, centre + side / 2], 1).astype(np.float32)


def flat(t):
    return [float(f"{v:.7g}") for v in t.detach().numpy().reshape(-1)]


def pattern(*shape):
    """Values that a test can remake: of NHWC index i, (7919 i mod 1009) / 1009."""
    import torch

    n, h, w, c = shape
    values = (torch.arange(n * h * w * c, dtype=torch.int64) * 7919 % 1009).double() / 1009
    return values.float().reshape(shape)


def nchw(t):
    return t.permute(0, 3, 1, 2).contiguous()


def nhwc(t):
    return t.permute(0, 2, 3, 1).contiguous()


def of_torchvision():
    from collections import OrderedDict

    import torch
    import torchvision
    from torchvision.ops import MultiScaleRoIAlign, roi_align
    from torchvision.ops.poolers import LevelMapper

    shape = (2, 11, 17, 2)
    boxes = torch.tensor([
        [4.3, 2.1, 40.7, 30.9],      # inside
        [0.0, 0.0, 68.0, 44.0],      # the whole image
        [-30.5, -20.2, 20.1, 15.3],  # beyond the top left corner
        [50.0, 30.0, 120.0, 90.0],   # beyond the bottom right corner
        [20.2, 20.4, 20.9, 21.0],    # thinner than a cell
        [300.0, 10.0, 340.0, 30.0],  # wholly outside
    ])
    image_index = [0, 1, 0, 1, 1, 0]
    rois = torch.cat([torch.tensor(image_index).float()[:, None], boxes], 1)
    cases = []
    for aligned in (False, True):
        for ratio in (0, 1, 2):
            x = nchw(pattern(*shape)).requires_grad_()
            y = roi_align(x, rois, (3, 5), 0.25, ratio, aligned)
            y.backward(nchw(pattern(len(boxes), 3, 5, shape[3])))
            cases.append({"aligned": aligned, "samplingRatio": ratio, "output": flat(nhwc(y)), "gradient": flat(nhwc(x.grad))})

    image = (128, 192)
    sizes = {"p2": (32, 48), "p3": (16, 24), "p4": (8, 12), "p5": (4, 6), "p6": (2, 3)}
    maps = OrderedDict((name, nchw(pattern(2, *size, 2))) for name, size in sizes.items())
    g = torch.Generator().manual_seed(5)
    low = torch.rand(10, 2, generator=g) * 90 - 20
    side = torch.exp(torch.rand(10, 2, generator=g) * 4.5 + 1.5)
    pyramid_boxes = torch.cat([low, low + side], 1)
    per_image = [pyramid_boxes[:6], pyramid_boxes[6:]]
    pyramid = [
        {"canonicalScale": s, "output": flat(nhwc(MultiScaleRoIAlign(["p2", "p3", "p4", "p5"], (3, 4), 2, canonical_scale=s)(
            maps, per_image, [(120, 190), image])))}
        for s in (224, 32)
    ]

    # sides about the borders between levels, and at random
    sides = BORDERS + (torch.exp(torch.rand(60, generator=g) * 7)).tolist()
    level_boxes = torch.tensor([[3.7, 8.1, 3.7 + s, 8.1 + s] for s in sides] + [[0, 0, 224, 224], [0, 0, 112, 448], [5, 5, 5, 9]])
    levels = LevelMapper(2, 5)([level_boxes]) + 2

    origin = f"torchvision {torchvision.__version__} roi_align and MultiScaleRoIAlign on CPU"
    write("roi-align", origin, featureShape=shape, boxes=flat(boxes), imageIndex=image_index, outputSize=[3, 5], spatialScale=0.25, cases=cases)
    write(
        "roi-align-pyramid", origin, imageSize=image, featureSizes=sizes, batch=2, channels=2, boxes=exact(pyramid_boxes), imageIndex=[0] * 6 + [1] * 4,
        outputSize=[3, 4], samplingRatio=2, cases=pyramid, levelBoxes=exact(level_boxes), levels=levels.tolist(),
    )


def of_detectron2():
    import torch
    from detectron2.modeling.poolers import ROIPooler, assign_boxes_to_levels
    from detectron2.structures import Boxes

    rng = np.random.default_rng(7)
    sides = BORDERS + np.exp(rng.uniform(0, 7, 60)).tolist()
    level_boxes = torch.tensor([[3.7, 8.1, 3.7 + s, 8.1 + s] for s in sides] + [[0, 0, 224, 224], [0, 0, 112, 448], [5, 5, 5, 9]])
    levels = assign_boxes_to_levels([Boxes(level_boxes)], 2, 5, 224, 4) + 2

    boxes = torch.from_numpy(some_boxes(14, 256, 320, 3))
    boxes[3] = torch.tensor([0.0, 0.0, 320.0, 256.0])
    boxes[4] = torch.tensor([40.0, 40.0, 96.0, 96.0])  # bins of 2 cells to the bit
    pooler = ROIPooler(output_size=5, scales=[1 / 4, 1 / 8, 1 / 16, 1 / 32], sampling_ratio=0, pooler_type="ROIAlignV2")
    maps = [nchw(torch.from_numpy(uniform(name, (2, *size, CHANNELS)).astype(np.float32))) for name, size in LEVELS.items()]
    output = pooler(maps, [Boxes(boxes[:8]), Boxes(boxes[8:])])
    write(
        "detectron2", f"detectron2 02b5c4e ROIPooler (ROIAlignV2) and assign_boxes_to_levels, torch {torch.__version__}",
        levelBoxes=exact(level_boxes), levels=levels.tolist(),
        imageSize=[256, 320], featureSizes=LEVELS, channels=CHANNELS, boxes=exact(boxes), imageIndex=[0] * 8 + [1] * 6, outputSize=[5, 5], output=exact(nhwc(output)),
    )


def of_matterport():
    import tensorflow as tf

    sys.path.insert(0, str(Path(__file__).parents[1] / "fidelity"))
    import matterport

    def normalized(boxes, height, width):
        """(y1, x1, y2, x2) of boxes in inclusive pixels."""
        return (boxes / np.array([width - 1, height - 1] * 2, np.float32))[:, [1, 0, 3, 2]]

    # One sample and several, inside, on the edges and beyond; the map's sides differ.
    maps = uniform("map", (2, 9, 13, CHANNELS)).astype(np.float32)
    boxes = np.concatenate([some_boxes(9, 70, 100, 4, 5, 120), [[0, 0, 99, 69], [10.5, 20.25, 99, 69], [33.3, 0, 71.7, 69], [20, 30, 20, 30]]]).astype(np.float32)
    index = np.arange(len(boxes)) % 2
    crops = [
        dict(outputSize=list(size), output=exact(tf.image.crop_and_resize(maps, normalized(boxes, 70, 100), index, size)))
        for size in ((1, 1), (2, 3), (5, 4))
    ]

    # PyramidROIAlign of one square image; boxes that reach the right and bottom edges to the bit are many.
    side = 256
    config = matterport.Config(max_dim=side)
    rois = np.clip(some_boxes(14, side, side, 5), 0, side - 1)
    levels = [tf.constant(uniform(name, (1, side >> (i + 2), side >> (i + 2), CHANNELS)).astype(np.float32)) for i, name in enumerate(LEVELS)]
    pooled = matterport.pool(config, levels, tf.constant(normalized(rois, side, side)), 4)

    # Whole levels filled with their number say which level a roi was read from.
    config = matterport.Config(max_dim=1024)
    rng = np.random.default_rng(8)
    half_steps = [224 * 2.0 ** (k + 0.5) * (1 + e) for k in (-3, -2, -1, 0, 1) for e in (-1e-4, -1e-6, 0, 1e-6, 1e-4)]
    sides = [s for s in half_steps + BORDERS if s < 1000] + np.exp(rng.uniform(0, 6.9, 60)).tolist()
    level_boxes = np.array([[3.7, 8.1, 3.7 + s, 8.1 + s] for s in sides] + [[0, 0, 112, 448], [5, 5, 5, 9], [7, 7, 7, 7]], np.float32)
    constant = [tf.fill([1, 1024 >> i, 1024 >> i, 1], float(i)) for i in (2, 3, 4, 5)]
    found = matterport.pool(config, constant, tf.constant(normalized(level_boxes, 1024, 1024)), 1)
    write(
        "crop-and-resize", f"tensorflow {tf.__version__} crop_and_resize, and tools/fidelity/matterport.py pool (PyramidROIAlign of Mask_RCNN 2.1)",
        imageSize=[70, 100], featureShape=list(maps.shape), boxes=exact(boxes), imageIndex=index.tolist(), cases=crops,
        pyramid=dict(side=side, channels=CHANNELS, boxes=exact(rois), outputSize=[4, 4], output=exact(pooled)),
        levelSide=1024, levelBoxes=exact(level_boxes), levels=[int(v) for v in found.numpy().ravel()],
    )


{"torchvision": of_torchvision, "detectron2": of_detectron2, "matterport": of_matterport}[sys.argv[1]]()
