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
KEYPOINT_NAMES = "AP AP50 AP75 APm APl AR AR50 AR75 ARm ARl".split()


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


def evaluate(truth, results, kind, params):
    """pycocotools' precision [T, R, K, A, M], scores, recall [T, K, A, M], and its statistics; those that it looks up
    by a limit of 100 (20) are read at the last one, as ours are."""
    with contextlib.redirect_stdout(io.StringIO()):
        g = COCO()
        g.dataset = copy.deepcopy(truth)
        g.createIndex()
        d = g.loadRes(copy.deepcopy(results)) if results else COCO()
        e = COCOeval(g, d, kind)
        p = e.params
        for key, value in params.items():
            setattr(p, key, np.asarray(value) if key in ("iouThrs", "recThrs", "kpt_oks_sigmas") else copy.deepcopy(value))
        e.evaluate()
        e.accumulate()
        standard = 20 in p.maxDets if kind == "keypoints" else 100 in p.maxDets and len(p.maxDets) == 3 and p.maxDets[2] == 100
        if standard:
            e.summarize()
    q, r = e.eval["precision"], e.eval["recall"]

    def mean(a):
        a = a[a > -1]
        return float(a.mean()) if a.size else -1.0

    def number(name):
        values = q if name[:2] == "AP" else r
        limit = dict(AR1=0, AR10=1, AR100=2).get(name, len(p.maxDets) - 1)
        area = dict(s="small", m="medium", l="large").get(name[2:], "all")
        if limit >= len(p.maxDets) or area not in p.areaRngLbl:
            return -1.0
        if name[2:] in ("50", "75"):
            values = values[np.where(float(name[2:]) / 100 == np.asarray(p.iouThrs))[0]]
        return mean(values[..., p.areaRngLbl.index(area), limit])

    names = KEYPOINT_NAMES if kind == "keypoints" else NAMES
    stats = {name: number(name) for name in names}
    if standard:
        assert all(abs(a - b) < 1e-12 for a, b in zip(stats.values(), e.stats)), (stats, e.stats)
    return dict(stats=stats, precision=q, recall=r, scores=e.eval["scores"])


def random_case(seed, kind):
    """A set of few images with every corner in it, and parameters that are COCO's own for every third seed."""
    r = np.random.default_rng([seed, ["bbox", "segm", "keypoints"].index(kind)])
    points = 17 if seed % 3 == 0 else int(r.integers(1, 21))
    category_ids = sorted(int(v) for v in r.choice(95, int(r.integers(1, 6)), replace=False))
    r.shuffle(category_ids)
    digits = int(r.integers(0, 6))                                     # few digits: scores tie
    images, annotations, results = [], [], []
    with_boxes = r.random() < 0.5

    def segmentation(h, w, x, y, bw, bh):
        form = r.random()
        if form < 0.35:
            t = np.sort(r.uniform(0, 2 * np.pi, int(r.integers(3, 14))))
            return [[float(v) for v in np.round(np.stack([x + bw / 2 * (1 + np.cos(t)), y + bh / 2 * (1 + np.sin(t))], 1).ravel(), int(r.integers(0, 4)))]
                    for _ in range(int(r.integers(1, 3)))]
        mask = blob(h, w, x, y, max(bw, 1e-3), max(bh, 1e-3)) if form < 0.9 else (r.random((h, w)) < r.choice([0, 0.05, 0.5, 1])).astype(np.uint8)
        return plain(rle(mask)) if form < 0.5 else rle(mask)

    def keypoints(x, y, bw, bh):
        v = r.integers(0, 3, points) * (r.random() > 0.2)
        return np.stack([x + r.random(points) * bw, y + r.random(points) * bh, v], 1)

    for i in r.permutation(int(r.integers(1, 16))):
        h, w = (int(v) for v in r.integers(1, 160, 2))
        image = dict(id=int(i) * 7919 + 3, width=w, height=h, file_name=f"{i}.png")
        images.append(image)
        if r.random() < 0.15:
            continue                                                   # nothing there, nothing found
        known = []
        for _ in range(int(r.integers(0, 7))):
            bw, bh = np.minimum(r.choice([0, 3, 8, 20, 32, 60, 96, 120], 2) * r.choice([1, r.uniform(0.7, 1.3)]), [w, h])
            x, y = r.uniform(0, w - bw + 1e-9), r.uniform(0, h - bh + 1e-9)
            if known and r.random() < 0.2:
                x, y, bw, bh = known[-1][0]                            # equal objects
            c = int(r.choice(category_ids))
            a = dict(id=len(annotations) + 1, image_id=image["id"], category_id=c, iscrowd=int(r.random() < 0.2), bbox=[float(v) for v in (x, y, bw, bh)],
                     area=float(r.choice([bw * bh, 0.6 * bw * bh, 0, 32**2, 96**2])))
            if r.random() < 0.2:
                a["ignore"] = int(r.integers(0, 2))                    # which pycocotools doesn't heed
            points_of = keypoints(x, y, bw, bh)
            if kind == "segm":
                a["segmentation"] = segmentation(h, w, x, y, bw, bh)
            if kind == "keypoints":
                a.update(keypoints=[float(v) for v in points_of.ravel()], num_keypoints=int((points_of[:, 2] > 0).sum()))
            annotations.append(a)
            known.append(((x, y, bw, bh), c, points_of, a))
        for _ in range(int(r.choice([0, 2, 8, 20, 130], p=[0.1, 0.3, 0.3, 0.25, 0.05]))):
            if known and r.random() < 0.8:
                (x, y, bw, bh), c, points_of, a = known[int(r.integers(len(known)))]
                spread = r.choice([0, 0.02, 0.1, 0.4])
                x, y, bw, bh = np.array([x, y, bw, bh]) + r.normal(0, spread, 4) * [bw, bh, bw, bh]
                bw, bh = max(0, bw), max(0, bh)
                points_of = points_of + np.concatenate([r.normal(0, spread / 3, (points, 2)) * [bw, bh], np.zeros((points, 1))], 1)
                c = c if r.random() < 0.85 else int(r.choice(category_ids))
            else:
                x, y, bw, bh = r.uniform(0, w), r.uniform(0, h), r.uniform(0, w), r.uniform(0, h)
                c, points_of, a = int(r.choice(category_ids)), keypoints(x, y, bw, bh), None
            d = dict(image_id=image["id"], category_id=c, score=float(np.round(r.random(), digits)))
            if kind == "bbox" or with_boxes:
                d["bbox"] = [float(v) for v in (x, y, bw, bh)]
            if kind == "segm":
                d["segmentation"] = a["segmentation"] if a is not None and r.random() < 0.3 else segmentation(h, w, x, y, bw, bh)
                if isinstance(d["segmentation"], list) or isinstance(d["segmentation"]["counts"], list):
                    d["segmentation"] = rle(M.decode(M.merge(M.frPyObjects(d["segmentation"], h, w)) if isinstance(d["segmentation"], list) else M.frPyObjects(d["segmentation"], h, w)))
            if kind == "keypoints":
                d["keypoints"] = [float(v) for v in points_of.ravel()]
            results.append(d)
    r.shuffle(results)
    truth = dict(images=images, annotations=annotations, categories=[dict(id=c, name=f"c{c}") for c in category_ids])
    params = {}
    if kind == "keypoints" and points != 17:
        params["kpt_oks_sigmas"] = [float(v) for v in r.uniform(0.02, 0.12, points)]
    if seed % 3:
        ranges = dict(all=[0, 1e10], small=[0, 32**2], medium=[32**2, 96**2], large=[96**2, 1e10], tiny=[0, 100.5], some=[500, 4000])
        labels = ["all"] + [name for name in list(ranges)[1:] if r.random() < 0.5]
        params.update(
            iouThrs=[[0.5], [0.3, 0.5, 0.75], [0.05, 0.999, 1.0], list(np.linspace(0.5, 0.95, 10)), [0.75, 0.5]][int(r.integers(5))],
            recThrs=[list(np.linspace(0, 1, 101)), [0.0, 0.5, 1.0], list(np.linspace(0, 1, 11)), [0.25]][int(r.integers(4))],
            maxDets=[[1, 10, 100], [1], [3, 7], [100], [2, 5, 300], [1, 2, 3, 4]][int(r.integers(6))],
            areaRng=[ranges[name] for name in labels], areaRngLbl=labels)
        if r.random() < 0.4:
            params["imgIds"] = sorted(int(v) for v in r.choice([i["id"] for i in images], int(r.integers(1, len(images) + 1)), replace=False))
        if r.random() < 0.4:
            params["catIds"] = sorted(int(v) for v in r.choice(category_ids, int(r.integers(1, len(category_ids) + 1)), replace=False))
        if kind != "keypoints" and r.random() < 0.3:
            params["useCats"] = 0
    return truth, results, params


def options(kind, params):
    """The same parameters by our names."""
    names = dict(iouThrs="iouThresholds", recThrs="recallThresholds", maxDets="maxDetections", imgIds="imageIds", catIds="categoryIds", kpt_oks_sigmas="sigmas")
    found = {names[key]: [float(v) if isinstance(v, np.floating) else v for v in value] for key, value in params.items() if key in names}
    if "areaRng" in params:
        found["areaRanges"] = [dict(name=name, min=low, max=high) for name, (low, high) in zip(params["areaRngLbl"], params["areaRng"])]
    if "useCats" in params:
        found["useCategories"] = bool(params["useCats"])
    return dict(iouType=kind, **found)


def write(name, s, limits=(1, 10, 100), both=False):
    truth = dict(images=s.images, annotations=s.annotations, categories=s.categories)
    results = dict(bbox=s.bbox, segm=s.segm)
    if both:
        results["segm"] = [dict(**b, segmentation=m["segmentation"]) for b, m in zip(s.bbox, s.segm)]
    stats = {kind: evaluate(truth, results[kind], kind, dict(maxDets=list(limits)))["stats"] for kind in ("bbox", "segm")}
    text = json.dumps(dict(origin="pycocotools 2.0.11 COCOeval; tools/golden/coco_eval.py", maxDetections=limits, groundTruth=truth,
                           results=results, stats=stats), separators=(",", ":"))
    assert len(text) < 50_000, (name, len(text))
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(text + "\n")
    print(name, len(text), {k: [round(x, 3) for x in v.values()] for k, v in stats.items()})


def write_random(kind, most=18_000):
    """The first random cases that are small enough to keep, with all arrays."""
    cases, total = [], 0
    for seed in range(1, 900):
        truth, results, params = random_case(seed, kind)
        answer = evaluate(truth, results, kind, params) if len(truth["annotations"]) > 4 and len(results) > 9 else None
        if answer is None or answer["stats"]["AP"] <= 0 or not params:
            continue
        flat = {name: [float(v) for v in answer[name].ravel()] for name in ("precision", "recall", "scores")}
        case = dict(seed=seed, options=options(kind, params), groundTruth=truth, results=results, stats=answer["stats"], **flat)
        size = len(json.dumps(case, separators=(",", ":")))
        if size < most and total + size < 49_500:
            cases, total = cases + [case], total + size
    text = json.dumps(dict(origin="pycocotools 2.0.11 COCOeval; tools/golden/coco_eval.py", cases=cases), separators=(",", ":"))
    assert len(text) < 50_000 and len(cases) > 2, (kind, len(text), len(cases))
    (OUT / f"random-{kind}.json").write_text(text + "\n")
    print(f"random-{kind}", len(text), [c["seed"] for c in cases])


def main():
    for kind in ("bbox", "segm", "keypoints"):
        write_random(kind)
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


if __name__ == "__main__":
    main()
