"""Makes packages/masks/test/golden/*.json, in parts because the references rarely share an environment:

    python tools/golden/masks.py pycocotools     # rle.json, polygons.json (pycocotools 2.0.11, numpy)
    python tools/golden/masks.py torchvision     # paste.json, crop.json   (torch 1.13, torchvision 0.14)
    PYTHONPATH=DETECTRON2_SOURCE python tools/golden/masks.py detectron2   # paste-detectron2.json (its compiled part is not needed)
    python tools/golden/masks.py matterport      # paste-matterport.json   (tensorflow, scikit-image)
"""
import json
import pathlib
import sys

import numpy as np

from seeded import uniform

OUT = pathlib.Path(__file__).parents[2] / "packages/masks/test/golden"
SCRIPT = "tools/golden/masks.py"


def write(name, origin, **values):
    OUT.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"origin": f"{origin}; {SCRIPT}", **values}, separators=(",", ":"))
    assert len(text) < 50_000, (name, len(text))
    (OUT / f"{name}.json").write_text(text + "\n")


def runs(mask):
    """COCO's counts of a mask, columns first."""
    flat = mask.T.ravel().astype(np.uint8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    ends = np.concatenate([[0], edges, [flat.size]])
    counts = np.diff(ends)
    return [int(v) for v in (counts if counts[-1] or len(counts) == 1 else counts[:-1])]


def probabilities(count, side, gain):
    """Noise about 1/2 which the tests remake; with a gain above 1 there are exact zeros and ones."""
    u = uniform(f"mask{count}x{side}", (count, side, side))
    return np.clip((u - 0.5) * gain + 0.5, 0, 1).astype(np.float32)


def ellipses(r, h, w, n):
    yy, xx = np.mgrid[0:h, 0:w]
    mask = np.zeros((h, w), np.uint8)
    for _ in range(n):
        cy, cx, ry, rx = r.uniform(0, h), r.uniform(0, w), r.uniform(0.5, h / 2 + 1), r.uniform(0.5, w / 2 + 1)
        mask |= (((xx - cx) / rx) ** 2 + ((yy - cy) / ry) ** 2 <= 1).astype(np.uint8)
    return mask


def with_pycocotools():
    from pycocotools import mask as M

    origin = "pycocotools 2.0.11 mask.encode/area/toBbox/merge/iou/frPyObjects"

    def text(rle):
        return rle["counts"].decode()

    def counts(mask):
        runs, value, n = [], 0, 0
        for pixel in mask.T.ravel():
            if pixel != value:
                runs, value, n = runs + [n], pixel, 0
            n += 1
        return [int(v) for v in runs + [n]]

    r = np.random.default_rng(1)
    groups = []
    for h, w in [(7, 5), (1, 9), (9, 1), (40, 61), (333, 130)]:
        masks = [ellipses(r, h, w, int(n)) for n in (1, 2, 3)]
        masks += [np.zeros((h, w), np.uint8), np.ones((h, w), np.uint8), (r.random((h, w)) < 0.5).astype(np.uint8)]
        if h * w > 1000:
            masks[-1] = (r.random((h, w)) < 0.01).astype(np.uint8)
        rles = [M.encode(np.asfortranarray(m)) for m in masks]
        crowd = [int(v) for v in r.integers(0, 2, len(rles))]
        groups.append(dict(
            size=[h, w], counts=[counts(m) for m in masks], strings=[text(x) for x in rles],
            area=[int(M.area(x)) for x in rles], box=[M.toBbox(x).tolist() for x in rles], isCrowd=crowd,
            union=text(M.merge(rles[:3])), intersection=text(M.merge(rles[:3], intersect=True)),
            iou=M.iou(rles, rles, crowd).ravel().tolist(),
        ))
    a, b = r.uniform(0, 60, (6, 4)), r.uniform(0, 60, (5, 4))
    b[0], b[1, 2] = a[0], 0
    crowd = [0, 1, 0, 1, 0]
    boxes = dict(detections=a.ravel().tolist(), groundTruth=b.ravel().tolist(), isCrowd=crowd, iou=M.iou(a, b, crowd).ravel().tolist())
    write("rle", origin, groups=groups, boxes=boxes)

    cases = []

    def case(polygons, h, w):
        rle = M.merge(M.frPyObjects([[float(v) for v in p] for p in polygons], h, w))
        cases.append(dict(size=[h, w], polygons=[[float(v) for v in p] for p in polygons], string=text(rle), area=int(M.area(rle))))

    case([[2, 2, 8, 2, 8, 8, 2, 8]], 12, 12)                     # a square on pixel edges
    case([[2.5, 2.5, 8.5, 2.5, 8.5, 8.5, 2.5, 8.5]], 12, 12)     # the same on pixel centres
    case([[0, 0, 12, 0, 12, 9, 0, 9]], 9, 12)                    # the whole image
    case([[-5, -5, 30, -5, 30, 30, -5, 30]], 9, 12)              # all around it
    case([[20, 20, 30, 20, 30, 30]], 9, 12)                      # beside it
    case([[1, 1, 9, 1, 1, 9, 9, 9]], 12, 12)                     # a bow tie
    case([[3, 3, 3, 3, 9, 3, 9, 3, 6, 9]], 12, 12)               # points repeated
    case([[1, 5, 11, 5, 6, 5]], 12, 12)                          # no area
    case([[1, 1, 5, 1, 5, 5, 1, 5], [4, 4, 9, 4, 9, 9, 4, 9], [8.2, 1.1, 11.7, 1.3, 10, 4.4]], 12, 13)
    for i in range(40):
        h, w = (int(v) for v in r.integers(5, 90, 2))
        polygons = []
        for _ in range(int(r.integers(1, 4))):
            k = int(r.integers(3, 12))
            angle = np.sort(r.uniform(0, 2 * np.pi, k)) if i % 3 else r.uniform(0, 2 * np.pi, k)
            x = r.uniform(-5, w + 5) + r.uniform(1, w) * np.cos(angle)
            y = r.uniform(-5, h + 5) + r.uniform(1, h) * np.sin(angle)
            polygons.append(np.round(np.stack([x, y], 1).ravel(), int(r.integers(0, 4))))
        case(polygons, h, w)
    boxes = [[2, 3, 4, 5], [0, 0, 20, 15], [-3.5, -2.25, 9, 30], [4.4, 5.5, 0, 3], [1.3, 2.7, 6.49, 7.51], [30, 30, 4, 4]]
    boxes += [[float(v) for v in np.round(r.uniform(-4, 18, 4) * [1, 1, 0.7, 0.7] + [0, 0, 4, 4], 2)] for _ in range(10)]
    drawn = [dict(box=box, string=text(M.frPyObjects(np.array([box], float), 15, 20)[0])) for box in boxes]
    # Outlines of many points all over the image, which the tests remake.
    tangled = []
    for h, w, n, a, b in [(40, 60, 1000, 31, 17), (97, 33, 501, 19, 41), (64, 64, 40, 67, 1), (9, 200, 3000, 103, 5)]:
        k = np.arange(n)
        points = np.stack([k * a % (w + 7) - 3, k * b % (h + 5) - 2 + k % 4 / 4], 1).ravel()
        triangles = points[: n // 3 * 6].reshape(-1, 6)
        tangled.append(dict(size=[h, w], points=n, steps=[a, b], string=text(M.frPyObjects([points.tolist()], h, w)[0]),
                            union=text(M.merge(M.frPyObjects(triangles[:200].tolist(), h, w)))))
    write("polygons", origin, cases=cases, boxes=dict(size=[15, 20], drawn=drawn), tangled=tangled)


def with_torchvision():
    import torch
    import torch.nn.functional as F
    from torchvision.models.detection.roi_heads import paste_masks_in_image, project_masks_on_boxes

    torch.manual_seed(3)
    torch.set_num_threads(1)
    r = np.random.default_rng(3)

    cases = []
    for side, (h, w), boxes in [
        (4, (20, 30), [[3, 4, 17.5, 15.2], [-6.3, -4.1, 9, 12], [20, 10, 40, 33], [5, 5, 5, 5], [0, 0, 30, 20], [29.5, 19.5, 30, 20]]),
        (7, (64, 48), [[1.26, 7.77, 40.1, 60.9], [10, 10, 12.2, 13.9], [-20, -20, 70, 90], [0, 5, 1, 15]]),
        (14, (90, 120), [[10.4, 12.6, 100.1, 77.7], [50, 20, 51, 88]]),
    ]:
        n = len(boxes)
        # Smooth blobs quantised to 1/256, so that the file stays small and no value lies on the threshold by chance.
        coarse = torch.rand(n, 1, 4, 4)
        p = F.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
        q = (p * 256).round()
        box = torch.tensor(boxes)
        pasted = (paste_masks_in_image(q / 256, box, (h, w)) > 0.5).numpy().astype(np.uint8)[:, 0]
        cases.append(dict(side=side, size=[h, w], boxes=box.ravel().tolist(), probabilities256=q.int().ravel().tolist(),
                          counts=[runs(m) for m in pasted]))
    write("paste", f"torchvision 0.14 paste_masks_in_image > 0.5, torch {torch.__version__}", cases=cases)

    cases = []
    for side, (h, w), boxes in [
        (7, (40, 50), [[3, 4, 37.5, 35.2], [-6.3, -4.1, 9, 12], [20, 10, 70, 33], [5, 5, 5, 5], [0, 0, 50, 40], [49.5, 39.5, 50, 40], [60, 60, 80, 80]]),
        (28, (90, 70), [[10.13, 12.77, 60.51, 77.7], [0.31, 20, 7.9, 88]]),
    ]:
        n = len(boxes)
        masks = np.stack([ellipses(r, h, w, 2) for _ in range(n)])
        box = torch.tensor(boxes, dtype=torch.float32)
        out = project_masks_on_boxes(torch.from_numpy(masks), box, torch.arange(n), side)
        cases.append(dict(side=side, size=[h, w], boxes=box.ravel().tolist(), counts=[runs(m) for m in masks],
                          targets=[round(v, 7) for v in out.ravel().tolist()]))
    resized = []
    mask = ellipses(r, 37, 53, 3)
    for h, w in [(37, 53), (74, 106), (20, 31), (61, 90), (1, 1), (800, 333)]:
        out = F.interpolate(torch.from_numpy(mask)[None, None].float(), size=(h, w))[0, 0].byte().numpy()
        resized.append(dict(size=[h, w], counts=runs(out)))
    write("crop", f"torchvision 0.14 project_masks_on_boxes and torch {torch.__version__} interpolate (nearest)",
          cases=cases, resize=dict(size=[37, 53], counts=runs(mask), to=resized))


# Sides of masks, gains, image sizes, thresholds and boxes: in whole and half pixels, where ties are, and anywhere.
def paste_cases(method, cases):
    made = []
    for side, gain, size, threshold, boxes in cases:
        masks = probabilities(len(boxes), side, gain)
        pasted = method(masks, np.array(boxes, np.float32), size, threshold)
        made.append(dict(side=side, gain=gain, size=size, threshold=threshold, boxes=boxes, counts=[runs(m) for m in pasted]))
    return made


def with_detectron2():
    import torch
    from detectron2.layers.mask_ops import paste_masks_in_image

    def paste(masks, boxes, size, threshold):
        return paste_masks_in_image(torch.from_numpy(masks), torch.from_numpy(boxes), tuple(size), threshold).numpy()

    write(
        "paste-detectron2", f"detectron2 02b5c4e paste_masks_in_image on the CPU, torch {torch.__version__}",
        cases=paste_cases(paste, [
            (1, 100, [10, 8], 0.5, [[2, 2, 6, 8], [2.5, 1.5, 6.5, 7.5], [0, 0, 8, 10], [7.25, 9.5, 8, 10]]),
            (4, 4, [20, 30], 0.5, [[3, 4, 17.5, 15.25], [-6.25, -4, 9, 12], [20, 10, 40, 33], [0, 0, 30, 20], [29.5, 19.5, 30, 20], [5, 5, 5, 9]]),
            (7, 2, [64, 48], 0.3, [[1.26, 7.77, 40.1, 60.9], [10, 10, 12.2, 13.9], [0, 0, 48, 64], [0, 5, 1, 15]]),
            (28, 1, [90, 120], 0.5, [[10.4, 12.6, 100.1, 77.7], [50, 20, 51, 88], [3.3, 5.5, 17.1, 80.9]]),
            (28, 3, [60, 80], 0.5, [[0, 0, 80, 60], [11.7, 13.2, 30.4, 25.6]]),
        ]),
    )


def with_matterport():
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "fidelity"))
    import matterport
    import scipy
    import skimage

    def paste(masks, boxes, size, threshold):
        full = np.zeros((len(boxes), *size), bool)
        for out, mask, (left, top, right, bottom) in zip(full, masks, boxes.astype(int)):
            out[top:bottom, left:right] = matterport.resize(mask, (bottom - top, right - left)) >= threshold
        return full

    write(
        "paste-matterport", f"tools/fidelity/matterport.py resize (unmold_mask of Mask_RCNN 2.1), scikit-image {skimage.__version__}, scipy {scipy.__version__}",
        cases=paste_cases(paste, [
            (1, 100, [10, 8], 0.5, [[2, 2, 6, 8], [0, 0, 8, 10], [7, 9, 8, 10]]),
            (4, 4, [20, 30], 0.5, [[3, 4, 17, 15], [0, 0, 30, 20], [29, 19, 30, 20], [5, 5, 7, 9], [2, 3, 26, 7]]),
            (28, 1, [90, 120], 0.5, [[10, 12, 101, 78], [50, 20, 51, 88], [3, 5, 17, 81], [40, 50, 68, 78]]),
            (28, 3, [60, 80], 0.25, [[0, 0, 80, 60], [11, 13, 30, 26]]),
        ]),
    )


{"pycocotools": with_pycocotools, "torchvision": with_torchvision, "detectron2": with_detectron2, "matterport": with_matterport}[sys.argv[1]]()
