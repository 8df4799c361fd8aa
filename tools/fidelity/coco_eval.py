"""Holds @mrcnn/coco-eval against pycocotools on sets made anew: every statistic, precision, recall and score array.

    python tools/fidelity/coco_eval.py [--seeds 240] [--first 0] [--types bbox,segm,keypoints]

pycocotools 2.0.11 and numpy; `npm run build` first. The sets hold crowds, ignored and equal objects, ties, empty images and masks,
all forms of masks, sizes on the limits and more detections than count; two of three have unusual parameters.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

TOOLS = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(TOOLS / "golden"))
from coco_eval import evaluate, options, random_case  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=240)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--types", default="bbox,segm,keypoints")
    args = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for kind in args.types.split(","):
            cases = {}
            for seed in range(args.first, args.first + args.seeds):
                truth, results, params = random_case(seed, kind)
                cases[seed] = truth, results, params
                (folder / f"{seed}.case.json").write_text(json.dumps(dict(truth=truth, results=results, options=options(kind, params))))
            subprocess.run(["node", str(TOOLS / "fidelity/coco_eval.mjs"), str(folder)], check=True)
            most, objects, detections, above = 0.0, 0, 0, 0
            for seed, (truth, results, params) in cases.items():
                ours = json.loads((folder / f"{seed}.ours.json").read_text())
                expected = evaluate(truth, results, kind, params)
                assert ours["stats"].keys() == expected["stats"].keys()
                off = max(abs(ours["stats"][name] - value) for name, value in expected["stats"].items())
                for name in ("precision", "recall", "scores"):
                    theirs = expected[name].ravel()
                    assert len(ours[name]) == len(theirs), (seed, name, len(ours[name]), theirs.shape)
                    off = max(off, float(np.abs(np.array(ours[name]) - theirs).max(initial=0)))
                if not off <= 1e-12:
                    wrong += 1
                    print(f"{kind} seed {seed}: off by {off}: {params}")
                most, objects, detections = max(most, off), objects + len(truth["annotations"]), detections + len(results)
                above += expected["stats"]["AP"] > 0
            print(f"{kind}: {len(cases)} sets ({objects} objects, {detections} detections; {above} with an AP above 0), at most {most:.1e} apart")
            for file in folder.iterdir():
                file.unlink()
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
