"""Holds `mrcnn detect` against fidelity cases, as the *_case.py beside this file write them.

usage: python tools/fidelity/check.py CASE_DIR ... [--backend wasm,tensorflow]
needs pycocotools, and the packages built (npm run build).

Asked for are the same detections in the same order: boxes within 0.01 pixel, scores within 1e-4, masks within 0.1 % of the
pixels of their union, keypoints within 0.05 pixel. Detections whose scores tie within 2e-4 may change places. Prints the
largest differences of each case; exits with 1 when one is too large.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

COMMAND = ["node", str(Path(__file__).parents[2] / "apps/trainer/bin/mrcnn.mjs"), "detect"]
LIMITS = dict(box=0.01, score=1e-4, mask=1e-3, keypoint=0.05)
TIE = 2e-4


def detect(case, backend, out):
    args = (case / "args").read_text().split()
    weights = next(case.glob("weights.*"))
    if "--score-threshold" not in args:
        args += ["--score-threshold", "0.05"]
    run = subprocess.run([*COMMAND, str(case / "image.png"), *args, "--weights", str(weights), "--backend", backend, "--json", out], capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(run.stderr.strip().splitlines()[-1])
    return json.loads(Path(out).read_text())


def compare(case, expected, found):
    """The largest differences, and how many expected detections have no twin."""
    count, height, width = len(expected["scores"]), expected["height"], expected["width"]
    worst, used, lonely = dict.fromkeys(LIMITS, 0.0), set(), 0
    if len(found) != count:
        raise RuntimeError(f"{len(found)} detections instead of {count}")
    bits = np.unpackbits(np.fromfile(case / "masks.bin", np.uint8).reshape(count, -1), axis=1) if "mask_area" in expected else None
    corners = np.array([[x, y, x + w, y + h] for x, y, w, h in (d["bbox"] for d in found)]).reshape(-1, 4)
    for i, box in enumerate(expected["boxes"]):
        difference = np.abs(corners - box).max(1)
        twins = [
            j for j in range(max(0, i - 3), min(count, i + 4))
            if j not in used and abs(found[j]["score"] - expected["scores"][i]) < TIE and found[j]["category_id"] == expected["labels"][i]
        ]
        if not twins:
            lonely += 1
            continue
        j = min(twins, key=lambda j: difference[j])
        used.add(j)
        now = dict(box=difference[j], score=abs(found[j]["score"] - expected["scores"][i]))
        if bits is not None:
            theirs = bits[i, : height * width].reshape(height, width)
            ours = coco_mask.decode(dict(found[j]["segmentation"], counts=found[j]["segmentation"]["counts"].encode()))
            now["mask"] = (ours != theirs).sum() / max(1, (ours | theirs).sum())
        if "keypoints" in expected:
            points = np.array(found[j]["keypoints"]).reshape(-1, 3)
            now["keypoint"] = np.abs(points[:, :2] - np.array(expected["keypoints"][i])[:, :2]).max()
        for name, value in now.items():
            worst[name] = max(worst[name], float(value))
    return worst, lonely


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="+", type=Path)
    parser.add_argument("--backend", default="wasm,tensorflow")
    options = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in options.cases:
            expected = json.loads((case / "expected.json").read_text())
            for backend in options.backend.split(","):
                worst, problem = {}, ""
                try:
                    worst, lonely = compare(case, expected, detect(case, backend, f"{folder}/found.json"))
                    over = [name for name, limit in LIMITS.items() if not worst[name] <= limit]
                    problem = f"{lonely} detections have no twin" if lonely else ", ".join(over)
                except RuntimeError as error:
                    problem = str(error)
                failures += problem != ""
                figures = "  ".join(f"{name} {value:.1e}" for name, value in worst.items())
                size = f"{expected['height']}x{expected['width']}"
                verdict = f"OFF ({problem})" if problem else "ok"
                print(f"{verdict}  {case.name}: {expected['kind']}, seed {expected['seed']}, {size}, {backend}, {len(expected['scores'])} detections:  {figures}", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
