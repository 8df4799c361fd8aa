"""The set and the peers of coco-eval.mjs, which starts this:

    python coco-eval.py make FOLDER IMAGES       # truth.json, bbox.json, segm.json: of COCO val2017's kind, seeded
    python coco-eval.py pycocotools|faster-coco-eval FOLDER bbox|segm     # one line of JSON: seconds, peak megabytes, statistics
"""
import contextlib
import io
import json
import pathlib
import resource
import sys
import time

import numpy as np

CATEGORIES, DETECTIONS, OBJECTS = 80, 100, 7.2
H, W = 480, 640


def make(folder, images):
    """Blobs of 12 to 40 corners, sizes log-normal about 90 pixels; a hundred detections per image, some near its objects.
    Beyond 5,000 images they are the same 5,000 again, under other ids."""
    from pycocotools import mask as M

    folder.mkdir(parents=True, exist_ok=True)
    r = np.random.default_rng(17)

    def blob(box):
        x, y, w, h = box
        n = int(r.integers(12, 41))
        t = np.linspace(0, 2 * np.pi, n, endpoint=False) + r.uniform(0, 0.1, n)
        radius = np.clip(1 + np.cumsum(r.normal(0, 0.12, n)) * np.sin(t / 2), 0.4, 1.3)
        px = np.clip(x + w / 2 * (1 + radius * np.cos(t)), 0, W)
        py = np.clip(y + h / 2 * (1 + radius * np.sin(t)), 0, H)
        return np.round(np.stack([px, py], 1).ravel(), 2)

    def box():
        w, h = np.minimum(np.exp(r.normal(np.log(90), 0.8, 2)), [W - 2, H - 2])
        return np.array([r.uniform(0, W - w), r.uniform(0, H - h), w, h])

    popular = r.dirichlet(np.full(CATEGORIES, 0.5))
    truth, count, own, lines = [], 0, min(images, 5000), dict(bbox=[], segm=[])
    for i in range(1, own + 1):
        objects = []
        for _ in range(min(40, int(r.geometric(1 / (OBJECTS + 1)) - 1))):
            count += 1
            corners = blob(box())
            rle = M.frPyObjects([corners], H, W)[0]
            crowd = int(r.random() < 0.01)
            form = dict(size=[H, W], counts=runs(M.decode(rle))) if crowd else [corners.tolist()]
            c = int(r.choice(CATEGORIES, p=popular)) + 1
            objects.append((M.toBbox(rle), c))
            truth.append(dict(id=count, image_id=i, category_id=c, iscrowd=crowd, area=float(M.area(rle)), bbox=M.toBbox(rle).tolist(), segmentation=form))
        polygons, categories = [], []
        for _ in range(DETECTIONS):
            if objects and r.random() < 0.5:
                near, c = objects[int(r.integers(len(objects)))]
                b = near + r.normal(0, r.choice([0.03, 0.1, 0.3]), 4) * np.maximum(near[[2, 3, 2, 3]], 1)
                b[2:] = np.maximum(b[2:], 2)
            else:
                b, c = box(), int(r.choice(CATEGORIES, p=popular)) + 1
            polygons.append(blob(b))
            categories.append(c)
        rles = M.frPyObjects(polygons, H, W)
        boxes = M.toBbox(rles)
        scores = np.sort(r.beta(0.6, 2, DETECTIONS).astype(np.float32))[::-1]
        for d in range(DETECTIONS):
            common = dict(category_id=categories[d], score=float(scores[d]))
            lines["bbox"].append((i, json.dumps(dict(**common, bbox=boxes[d].tolist()))[1:]))
            lines["segm"].append((i, json.dumps(dict(**common, segmentation=dict(size=[H, W], counts=rles[d]["counts"].decode())))[1:]))
    for kind, entries in lines.items():
        with open(folder / f"{kind}.json", "w") as file:
            for first in range(0, images, own):
                file.write("[" if first == 0 else ",\n")
                file.write(",\n".join(f'{{"image_id": {i + first}, {rest}' for i, rest in entries if i + first <= images))
            file.write("]")
    again = [dict(a, id=a["id"] + count * (first // own), image_id=a["image_id"] + first) for first in range(own, images, own) for a in truth if a["image_id"] + first <= images]
    truth += again
    json.dump(dict(images=[dict(id=i, width=W, height=H, file_name=f"{i}.jpg") for i in range(1, images + 1)], annotations=truth,
                   categories=[dict(id=c, name=f"category {c}") for c in range(1, CATEGORIES + 1)]), open(folder / "truth.json", "w"))
    print(json.dumps(dict(images=images, objects=len(truth), detections=images * DETECTIONS)))


def runs(mask):
    flat = mask.T.ravel()
    ends = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])
    counts = np.diff(ends)
    return [int(v) for v in (np.concatenate([[0], counts]) if flat[0] else counts)]


def peer(name, folder, kind):
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        if name == "pycocotools":
            from pycocotools.coco import COCO
            from pycocotools.cocoeval import COCOeval
        else:
            from faster_coco_eval import COCO
            from faster_coco_eval import COCOeval_faster as COCOeval
        start = time.perf_counter()
        truth = COCO(str(folder / "truth.json"))
        found = truth.loadRes(str(folder / f"{kind}.json"))
        loaded = time.perf_counter()
        e = COCOeval(truth, found, kind)
        e.evaluate()
        e.accumulate()
        e.summarize()
    end = time.perf_counter()
    print(json.dumps(dict(load=loaded - start, evaluate=end - loaded, total=end - start, megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                          stats=[float(v) for v in e.stats][:12])))


if __name__ == "__main__":
    what, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    make(folder, int(sys.argv[3])) if what == "make" else peer(what, folder, sys.argv[3])
