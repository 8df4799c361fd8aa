"""Makes packages/coco-eval/test/golden/{voc,cityscapes,tide,lvis}.json: the answers of the reference code itself, on random sets or on those of coco_eval.py.

    python tools/golden/other_metrics.py DETECTRON2_SOURCE      # numpy, pillow, pycocotools, cityscapesscripts, tidecv, lvis; detectron2 isn't imported

VOC's is `voc_eval` as detectron2 has it (from py-faster-rcnn), read out of detectron2/evaluation/pascal_voc_evaluation.py.
"""
import json
import pathlib
import sys
import tempfile
import xml.etree.ElementTree as ET
from functools import lru_cache

import numpy as np
from PIL import Image
from pycocotools import mask as M

OUT = pathlib.Path(__file__).parents[2] / "packages/coco-eval/test/golden"
if not hasattr(np, "in1d"):
    np.in1d = np.isin          # cityscapesscripts asks for the old name


def write(name, origin, **values):
    text = json.dumps(dict(origin=f"{origin}; tools/golden/other_metrics.py", **values), separators=(",", ":"))
    assert len(text) < 50_000, (name, len(text))
    (OUT / f"{name}.json").write_text(text + "\n")
    print(name, len(text))


def voc(source):
    text = (pathlib.Path(source) / "detectron2/evaluation/pascal_voc_evaluation.py").read_text()
    scope = dict(np=np, ET=ET, lru_cache=lru_cache, PathManager=type("P", (), dict(open=staticmethod(open))))
    exec(text[text.index("@lru_cache(maxsize=None)"):], scope)
    cases = []
    for seed in range(6):
        r = np.random.default_rng(seed)
        images, scores = [], iter(r.permutation(5000) / 5000)     # no two are equal: there their order is open
        for _ in range(12):
            objects, detections = [], []
            for _ in range(int(r.integers(0, 5))):
                x, y, w, h = (int(v) for v in r.integers(1, 60, 4))
                objects.append(dict(category=f"c{r.integers(3)}", box=[x, y, x + w, y + h], isDifficult=bool(r.random() < 0.25)))
                for _ in range(int(r.integers(0, 4))):
                    near = np.round(np.array(objects[-1]["box"]) + r.normal(0, r.choice([0, 2, 9]), 4), 1)
                    box = [float(v) for v in (*near[:2], *np.maximum(near[2:], near[:2]))]
                    detections.append(dict(category=objects[-1]["category"] if r.random() < 0.9 else "c1", score=float(next(scores)), box=box))
            images.append(dict(objects=objects, detections=detections))
        expected = {}
        with tempfile.TemporaryDirectory() as folder:
            for i, image in enumerate(images):
                entries = "".join(
                    f"<object><name>{o['category']}</name><pose>x</pose><truncated>0</truncated><difficult>{int(o['isDifficult'])}</difficult><bndbox>"
                    + "".join(f"<{key}>{v}</{key}>" for key, v in zip(("xmin", "ymin", "xmax", "ymax"), o["box"])) + "</bndbox></object>" for o in image["objects"])
                pathlib.Path(folder, f"{i}.xml").write_text(f"<annotation>{entries}</annotation>")
            pathlib.Path(folder, "set").write_text("\n".join(str(i) for i in range(len(images))))
            for c in ("c0", "c1", "c2"):
                lines = [" ".join(map(str, (i, d["score"], *d["box"]))) for i, image in enumerate(images) for d in image["detections"] if d["category"] == c]
                pathlib.Path(folder, f"found-{c}").write_text("\n".join(lines))
            for metric, old in (("11-point", True), ("area", False)):
                for threshold in (0.5, 0.75):
                    scope["parse_rec"].cache_clear()
                    expected[f"{metric} {threshold}"] = [
                        float(scope["voc_eval"](f"{folder}/found-{{}}", f"{folder}/{{}}.xml", f"{folder}/set", c, threshold, old)[2]) for c in ("c0", "c1", "c2")]
        cases.append(dict(images=images, expected=expected))
    write("voc", "voc_eval of detectron2/evaluation/pascal_voc_evaluation.py", cases=cases)


def cityscapes():
    sys.argv = sys.argv[:1]
    from cityscapesscripts.evaluation import evalInstanceLevelSemanticLabeling as E
    from cityscapesscripts.evaluation.instance import Instance
    from cityscapesscripts.helpers.labels import id2label, labels

    names = ["person", "car", "bus", "bicycle"]
    ids = [label.id for name in names for label in labels if label.name == name]
    void = [label.id for label in labels if label.ignoreInEval]
    rle = lambda mask: M.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    h, w = 60, 90
    cases = []
    for seed in range(5):
        r = np.random.default_rng(seed)
        images, matches = [], {}
        E.args.instLabels = names
        with tempfile.TemporaryDirectory() as folder:
            for i in range(5):
                gt = np.full((h, w), 7, np.int32)                                   # road
                gt[: int(r.integers(0, 20))] = void[int(r.integers(1, 4))]

                def blob(scale=1.0):
                    y, x, ry, rx = r.uniform(0, h), r.uniform(0, w), *(scale * r.uniform(3, 18, 2))
                    yy, xx = np.mgrid[0:h, 0:w]
                    return ((yy - y) / ry) ** 2 + ((xx - x) / rx) ** 2 <= 1

                for n in range(int(r.integers(1, 9))):
                    c = int(r.choice(ids[: 3 if seed % 2 else 4]))
                    gt[blob()] = c if r.random() < 0.2 else 1000 * c + n
                found = []
                for value in np.unique(gt):
                    if value // 1000 not in ids and value not in ids:
                        continue
                    c = int(value // 1000) if value >= 1000 else int(value)
                    for _ in range(int(r.integers(0, 3))):
                        mask = np.roll(gt == value, r.integers(-3, 4, 2), (0, 1)) & (r.random((h, w)) < r.choice([0.97, 0.7]))
                        found.append((c if r.random() < 0.9 else int(r.choice(ids)), mask))
                found += [(int(r.choice(ids)), blob(0.7)) for _ in range(int(r.integers(0, 4)))] + [(ids[0], np.zeros((h, w), bool))]
                info, detections = {}, []
                for d, (c, mask) in enumerate(found):
                    file = f"{folder}/{i}-{d}.png"
                    Image.fromarray((mask * 255).astype(np.uint8)).save(file)
                    score = float(np.round(r.random(), 1))                          # scores tie
                    info[file] = dict(labelID=c, conf=score)
                    detections.append(dict(categoryId=c, score=score, counts=rle(mask)))
                instances = {name: [] for name in names}
                listed = []
                for value in np.unique(gt):
                    one = Instance(gt, value)
                    name = id2label[one.labelID].name
                    if name in names:
                        instances[name].append(one.toDict())
                        listed.append(dict(categoryId=one.labelID, isGroup=bool(value < 1000), counts=rle(gt == value)))
                truth, predicted = E.assignGt2Preds(instances, Image.fromarray(gt), info, E.args)
                matches[i] = dict(groundTruth=truth, prediction=predicted)
                images.append(dict(instances=listed, ignored=rle(np.isin(gt, void)), detections=detections))
            with np.errstate(all="ignore"):
                result = E.computeAverages(E.evaluateMatches(matches, E.args), E.args)
        number = lambda value: -1.0 if np.isnan(value) else float(value)
        cases.append(dict(images=images, AP=number(result["allAp"]), AP50=number(result["allAp50%"]),
                          perCategory=[[number(result["classes"][n]["ap"]), number(result["classes"][n]["ap50%"])] for n in names]))
    write("cityscapes", "cityscapesScripts 2.3.0 evalInstanceLevelSemanticLabeling", size=[h, w], categories=[dict(id=i, name=n) for i, n in zip(ids, names)], cases=cases)


def tide():
    from tidecv import TIDE, datasets

    short = dict(Cls="class", Loc="localization", Both="both", Dupe="duplicate", Bkg="background", Miss="missed")
    answers = {}
    for name in ("crowds", "ties", "empty", "many", "areas", "polygons"):
        case = json.loads((OUT / f"{name}.json").read_text())
        answers[name] = {}
        for kind, mode in (("bbox", TIDE.BOX), ("segm", TIDE.MASK)):
            with tempfile.TemporaryDirectory() as folder:
                for file, values in (("truth", case["groundTruth"]), ("found", case["results"][kind])):
                    pathlib.Path(folder, file).write_text(json.dumps(values))
                run = TIDE().evaluate(datasets.COCO(f"{folder}/truth"), datasets.COCOResult(f"{folder}/found"), mode=mode)
            costs, counts = run.fix_main_errors(), run.count_errors()
            answers[name][kind] = {short[error.short_name]: [counts[error], float(costs[error]) / 100] for error in costs}
    write("tide", "tidecv 1.0.1 TIDE.evaluate, fix_main_errors, count_errors", answers=answers)


def lvis():
    from lvis import LVIS, LVISEval, LVISResults

    np.float = float           # lvis asks for the old name
    cases = []
    for name, seed in (("polygons", 1), ("ties", 2), ("many", 3)):
        r = np.random.default_rng(seed)
        case = json.loads((OUT / f"{name}.json").read_text())
        truth = case["groundTruth"]
        ids = [c["id"] for c in truth["categories"]]
        extra = dict(images={}, frequency={c: str(r.choice(list("rcf"))) for c in ids})
        for image in truth["images"]:
            there = {a["category_id"] for a in truth["annotations"] if a["image_id"] == image["id"]}
            image["neg_category_ids"] = [c for c in ids if c not in there and r.random() < 0.5]
            image["not_exhaustive_category_ids"] = [c for c in ids if r.random() < 0.4]
            extra["images"][image["id"]] = [image["neg_category_ids"], image["not_exhaustive_category_ids"]]
        for category in truth["categories"]:
            category["frequency"] = extra["frequency"][category["id"]]
        # As an image has 300 at most: four times the same, a little apart in score.
        times = 4 if name == "many" else 1
        results = {k: [dict(d, score=d["score"] - 1e-4 * t) for t in range(times) for d in case["results"][k]] for k in ("bbox", "segm")}
        stats = {}
        for kind in ("bbox", "segm"):
            with tempfile.TemporaryDirectory() as folder:
                for file, values in (("truth", truth), ("found", results[kind])):
                    pathlib.Path(folder, file).write_text(json.dumps(values))
                gt = LVIS(f"{folder}/truth")
                e = LVISEval(gt, LVISResults(gt, f"{folder}/found"), kind)
                e.run()
            stats[kind] = {key.split("@")[0]: float(value) for key, value in e.get_results().items()}
        cases.append(dict(name=name, times=times, **extra, stats=stats))
    write("lvis", "lvis 0.5.3 LVISEval", cases=cases)


if __name__ == "__main__":
    lvis()
    voc(sys.argv[1])
    cityscapes()
    tide()
