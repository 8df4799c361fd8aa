"""Makes packages/coco-eval/test/golden/*.json: small sets made for the awkward corners, with pycocotools' answers.

    python tools/golden/coco_eval.py        # pycocotools 2.0.11, numpy
"""
import contextlib
import copy
import io
import json
import pathlib

import numpy as np
from pycocotools import mask as M
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

OUT = pathlib.Path(__file__).parents[2] / "packages/coco-eval/test/golden"
NAMES = "AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl".split()


def blob(h, w, x, y, bw, bh):
    yy, xx = np.mgrid[0:h, 0:w]
    return ((((xx - x - bw / 2) / (bw / 2)) ** 2 + ((yy - y - bh / 2) / (bh / 2)) ** 2) <= 1).astype(np.uint8)


def rle(mask):
    r = M.encode(np.asfortranarray(mask))
    return dict(size=[int(v) for v in r["size"]], counts=r["counts"].decode())


def plain(r):
    """The same mask with its runs written out."""
    flat = M.decode(dict(size=r["size"], counts=r["counts"].encode())).T.ravel()
    counts, value, n = [], 0, 0
    for pixel in flat:
        if pixel != value:
            counts, value, n = counts + [n], pixel, 0
        n += 1
    return dict(size=r["size"], counts=[int(v) for v in counts + [n]])


class Set:
    def __init__(self, seed, categories=(1, 4, 9)):
        self.r = np.random.default_rng(seed)
        self.images, self.annotations, self.bbox, self.segm = [], [], [], []
        self.categories = [dict(id=c, name=f"c{c}") for c in categories]

    def image(self, h=70, w=80):
        # Ids descend, so that the order of the file is not the order of the ids.
        self.images.append(dict(id=1000 - 7 * len(self.images), width=w, height=h, file_name=f"{len(self.images)}.png"))
        return self.images[-1]

    def object(self, image, box, category, crowd=0, area=None, polygon=False):
        x, y, bw, bh = box
        mask = blob(image["height"], image["width"], *box)
        seg = rle(mask)
        if polygon:
            t = np.linspace(0, 2 * np.pi, 9, endpoint=False)
            seg = [[round(float(v), 2) for v in np.stack([x + bw / 2 + bw / 2 * np.cos(t), y + bh / 2 + bh / 2 * np.sin(t)], 1).ravel()]]
        elif crowd:
            seg = plain(seg)
        self.annotations.append(dict(id=len(self.annotations) + 1, image_id=image["id"], category_id=category, iscrowd=crowd,
                                     bbox=[float(v) for v in box], area=float(mask.sum()) if area is None else float(area), segmentation=seg))

    def detection(self, image, box, category, score):
        box = [round(float(v), 2) for v in box]
        common = dict(image_id=image["id"], category_id=category, score=float(score))
        self.bbox.append(dict(**common, bbox=box))
        self.segm.append(dict(**common, segmentation=rle(blob(image["height"], image["width"], *box))))

    def near(self, box, spread):
        return np.asarray(box) + self.r.normal(0, spread, 4) * [box[2], box[3], box[2], box[3]] * [1, 1, 0.5, 0.5]

    def box(self, image, low=6, high=50):
        bw, bh = self.r.uniform(low, high, 2)
        return [round(float(v), 1) for v in (self.r.uniform(0, image["width"] - bw), self.r.uniform(0, image["height"] - bh), bw, bh)]

    def category(self):
        return self.categories[int(self.r.integers(len(self.categories)))]["id"]

    def fill(self, images, polygon=False, crowds=0.0, digits=4):
        for _ in range(images):
            image = self.image()
            for _ in range(int(self.r.integers(1, 5))):
                box, c = self.box(image), self.category()
                self.object(image, box, c, int(self.r.random() < crowds), polygon=polygon)
                for _ in range(int(self.r.integers(0, 4))):
                    self.detection(image, self.near(box, self.r.choice([0.02, 0.1])), c if self.r.random() < 0.8 else self.category(),
                                   np.round(self.r.random(), digits))


def evaluate(ground_truth, results, kind, limits):
    with contextlib.redirect_stdout(io.StringIO()):
        g = COCO()
        g.dataset = copy.deepcopy(ground_truth)
        g.createIndex()
        e = COCOeval(g, g.loadRes(copy.deepcopy(results)), kind)
        e.params.maxDets = limits
        e.evaluate()
        e.accumulate()
        if limits[2] == 100:
            e.summarize()
            return dict(zip(NAMES, [float(v) for v in e.stats]))
    # Summarize looks for 100 by value; with other limits the numbers are read from its arrays, at the last limit.
    p, q = e.eval["precision"], e.eval["recall"]

    def mean(a):
        a = a[a > -1]
        return float(a.mean()) if a.size else -1.0

    return dict(zip(NAMES, [mean(p[..., 0, 2]), mean(p[0, ..., 0, 2]), mean(p[5, ..., 0, 2])] + [mean(p[..., a, 2]) for a in (1, 2, 3)]
                    + [mean(q[..., 0, m]) for m in (0, 1, 2)] + [mean(q[..., a, 2]) for a in (1, 2, 3)]))


def write(name, s, limits=(1, 10, 100), both=False):
    truth = dict(images=s.images, annotations=s.annotations, categories=s.categories)
    results = dict(bbox=s.bbox, segm=s.segm)
    if both:
        results["segm"] = [dict(**b, segmentation=m["segmentation"]) for b, m in zip(s.bbox, s.segm)]
    stats = {kind: evaluate(truth, results[kind], kind, list(limits)) for kind in ("bbox", "segm")}
    text = json.dumps(dict(origin="pycocotools 2.0.11 COCOeval; tools/golden/coco_eval.py", maxDetections=limits, groundTruth=truth,
                           results=results, stats=stats), separators=(",", ":"))
    assert len(text) < 50_000, (name, len(text))
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(text + "\n")
    print(name, len(text), {k: [round(x, 3) for x in v.values()] for k, v in stats.items()})


s = Set(1)
s.fill(12, crowds=0.4)
image = s.image()
s.object(image, [5, 5, 60, 50], 1, crowd=1)          # many detections on one crowd, one of them also on an object
s.object(image, [10, 10, 20, 20], 1)
for i in range(6):
    s.detection(image, [8 + 4 * i, 9 + 3 * i, 18, 18], 1, 0.9 - 0.1 * i)
write("crowds", s)

s = Set(2)
s.fill(14, digits=1)                                   # scores tie within and across images
image = s.image()
for x in (10, 10, 12):                                 # equal objects, equal detections
    s.object(image, [x, 10, 20, 20], 4)
for x in (10, 10, 11):
    s.detection(image, [x, 10, 20, 20], 4, 0.5)
write("ties", s)

s = Set(3, categories=(2, 3, 5, 8))
s.fill(8)
for i in range(3):
    s.image()                                          # nothing there, nothing found
    image = s.image()
    s.object(image, s.box(image), 2)                   # nothing found
    image = s.image()
    s.detection(image, s.box(image), 3, 0.7)           # nothing there
s.annotations = [a for a in s.annotations if a["category_id"] != 8]  # a category found but never there
write("empty", s)

s = Set(4, categories=(1,))
for n in (130, 20):
    image = s.image(48, 48)
    boxes = [s.box(image, 4, 14) for _ in range(25)]
    for box in boxes:
        s.object(image, box, 1)
    for i in range(n):
        s.detection(image, s.near(boxes[i % 25], 0.1), 1, np.round(s.r.random(), 3))
write("many", s)
write("many-400", s, limits=(1, 5, 400))

s = Set(5)
for area in (32**2 - 1, 32**2, 32**2 + 1, 96**2 - 1, 96**2, 96**2 + 1, 31.999**2, 96.001**2):
    image = s.image(120, 120)
    side = round(float(np.sqrt(area)), 3)
    for c in (1, 4):
        s.object(image, [8, 9, side, side], c, area=area)
        s.detection(image, s.near([8, 9, side, side], 0.03), c, np.round(s.r.random(), 2))
    s.detection(image, [5, 6, 32, 32], 1, np.round(s.r.random(), 2))     # sizes on the limits, matched or not
    s.detection(image, [20, 21, 96, 96], 4, np.round(s.r.random(), 2))
write("areas", s)

s = Set(6)
s.fill(16, polygon=True)
write("polygons", s, both=True)
