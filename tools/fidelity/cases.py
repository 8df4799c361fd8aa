"""What the scripts that make fidelity cases share: the image, the categories, and how answers are written down.

A case is a folder with `image.png`, a file of weights, `expected.json`, `masks.bin` and `args`, the options of
`mrcnn detect` that name its model and image size. `expected.json` holds kind, seed, height, width and, best
detection first: boxes [x1, y1, x2, y2] in pixels of the image, scores, labels (COCO category ids), mask_area,
keypoints [N][17][x, y, 1] and keypoints_scores. `masks.bin` has each mask's height * width bits, packed into whole
bytes, most significant bit first.
"""
import json
import os

import numpy as np
from PIL import Image, ImageDraw

# The 80 categories of COCO's boxes, in the order in which detectron2 and matterport count them.
CATEGORY_IDS = [i for i in range(1, 91) if i not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]


def draw(rng, height, width):
    """Shapes and noise on a gradient: uint8 RGB [height, width, 3]."""
    corners = rng.uniform(30, 220, (2, 2, 3))
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    background = (1 - y) * ((1 - x) * corners[0, 0] + x * corners[0, 1]) + y * ((1 - x) * corners[1, 0] + x * corners[1, 1])
    image = Image.fromarray(background.astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        w, h = rng.uniform(0.08, 0.5, 2) * min(height, width)
        left, top = rng.uniform(-0.1, 0.95, 2) * (width, height)
        fill = tuple(int(v) for v in rng.integers(0, 256, 3))
        box = [float(left), float(top), float(left + w), float(top + h)]
        shape = rng.integers(3)
        if shape == 0:
            pen.ellipse(box, fill=fill)
        elif shape == 1:
            pen.rectangle(box, fill=fill)
        else:
            pen.polygon([(box[0], box[3]), (box[2], box[3]), ((box[0] + box[2]) / 2, box[1])], fill=fill)
    noise = rng.integers(-12, 13, (height, width, 3))
    return np.clip(np.asarray(image).astype(np.int16) + noise, 0, 255).astype(np.uint8)


def image_sizes(min_size, max_size):
    """MIN and MAX of the environment, or the given sizes."""
    return int(os.environ.get("MIN", min_size)), int(os.environ.get("MAX", max_size))


def write_image(folder, image):
    os.makedirs(folder, exist_ok=True)
    Image.fromarray(image).save(os.path.join(folder, "image.png"))


def write_expected(folder, *, kind, seed, image, args, boxes, scores, labels, masks=None, keypoints=None, keypoint_scores=None):
    """Writes expected.json, masks.bin and args from arrays: boxes [N, 4], masks bool [N, height, width], keypoints [N, K, 2]."""
    height, width = image.shape[:2]
    scores = np.asarray(scores, dtype=np.float64)
    answer = dict(
        kind=kind, seed=seed, height=height, width=width,
        boxes=np.asarray(boxes, dtype=np.float64).reshape(-1, 4).tolist(), scores=scores.tolist(), labels=[int(v) for v in labels],
    )
    if masks is not None:
        masks = np.asarray(masks, dtype=bool).reshape(len(scores), height * width)
        answer["mask_area"] = masks.sum(1).tolist()
        np.packbits(masks, axis=1).tofile(os.path.join(folder, "masks.bin"))
    if keypoints is not None:
        points = np.asarray(keypoints, dtype=np.float64)
        answer["keypoints"] = np.concatenate([points, np.ones_like(points[..., :1])], -1).tolist()
        answer["keypoints_scores"] = np.asarray(keypoint_scores, dtype=np.float64).tolist()
    with open(os.path.join(folder, "expected.json"), "w") as out:
        json.dump(answer, out)
    with open(os.path.join(folder, "args"), "w") as out:
        out.write(args + "\n")
    spread = [round(float(v), 4) for v in (scores.max(), np.median(scores), scores.min())] if len(scores) else []
    print(kind, seed, f"{height}x{width}", "detections", len(scores), "score max/median/min", spread)
