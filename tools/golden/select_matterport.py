"""matterport's choice of proposals and detections (tools/fidelity/matterport.py) on seeded inputs.

Its boxes are normalised by the side less one; here they are multiplied by it, as ours are.

usage: python tools/golden/select_matterport.py packages/rpn/test/golden packages/heads/test/golden
needs tensorflow, h5py and scikit-image
"""
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "fidelity"))
import numpy as np
import tensorflow as tf

from matterport import Config, propose, refine
from seeded import spread, uniform

SIDE = 128
ORIGIN = f"tools/fidelity/matterport.py, tensorflow {tf.__version__}; tools/golden/select_matterport.py"
XY = [1, 0, 3, 2]
CLASSES, COUNT = 6, 60
WINDOW = (16, 0, 112, 128)  # y1, x1, y2, x2 in pixels, exclusive


def boxes_from(u, extent):
    x1, y1 = extent * u[:, 0], extent * u[:, 1]
    return np.stack([x1, y1, x1 + 4 + 40 * u[:, 2], y1 + 4 + 40 * u[:, 3]], 1).astype(np.float32)


def normalised(boxes):
    return tf.constant((boxes[:, XY] / np.float32(SIDE - 1)).astype(np.float32))


def pixels(boxes):
    return [float(f"{v:.8g}") for v in (np.asarray(boxes)[:, XY] * (SIDE - 1)).ravel()]


def swapped(deltas):
    return deltas.reshape(-1, 2, 2)[:, :, ::-1].reshape(deltas.shape).copy()


def proposals():
    out = {}
    # The last has more than 1000 boxes, and scores of which many round to 1.
    for name, pre, post, threshold, levels, width in [
        ("some", 150, 40, 0.5, [180, 60, 15], 8), ("filled", 60, 50, 0.2, [180, 60, 15], 8), ("equal", 1200, 60, 0.5, [1000, 400], 60),
    ]:
        count = sum(levels)
        anchors = boxes_from(uniform(f"{name}.anchors", (count, 4)), 120)
        logits = spread(f"{name}.objectness", (count,), width)
        deltas = spread(f"{name}.deltas", (count, 4), 8)
        # A softmax over (0, x) is the sigmoid of x.
        pair = np.stack([np.zeros_like(logits), logits], 1)
        config = Config(max_dim=SIDE, pre_nms=pre, post_nms=post, rpn_nms=threshold)
        found = propose(config, tf.constant(pair), tf.constant(swapped(deltas)), normalised(anchors))
        out[name] = dict(levels=levels, width=width, pre=pre, post=post, threshold=threshold, boxes=pixels(found))
    return out


def detections():
    out = {}
    for name, least, most, nms in [("some", 0.3, 100, 0.3), ("few", 0.2, 5, 0.5), ("none", 1.0, 10, 0.3)]:
        rois = boxes_from(uniform(f"{name}.rois", (COUNT, 4)), 90)
        rois[::9] = 0  # as proposals are filled up
        logits = spread(f"{name}.logits", (COUNT, CLASSES), 8)
        deltas = spread(f"{name}.deltas", (COUNT, 4 * CLASSES), 10)
        config = Config(max_dim=SIDE, classes=CLASSES, min_confidence=least, detections=most, detection_nms=nms)
        y1, x1, y2, x2 = WINDOW
        window = (np.array([y1, x1, y2 - 1, x2 - 1]) / (SIDE - 1)).astype(np.float32)
        found = refine(config, normalised(rois), tf.constant(logits), tf.constant(swapped(deltas.reshape(-1, 4)).reshape(COUNT, CLASSES, 4)), window).numpy()
        found = found[: int((found[:, 4] > 0).sum())]
        out[name] = dict(
            least=least, most=most, nms=nms, boxes=pixels(found[:, :4]), labels=[int(v) for v in found[:, 4]], scores=[float(f"{v:.8g}") for v in found[:, 5]]
        )
    return dict(window=[x1, y1, x2 - 1, y2 - 1], count=COUNT, classes=CLASSES, cases=out)


if __name__ == "__main__":
    for folder, values in [(sys.argv[1], dict(cases=proposals())), (sys.argv[2], detections())]:
        with open(os.path.join(folder, "select-matterport.json"), "w") as file:
            json.dump({"origin": ORIGIN, "side": SIDE, **values}, file, separators=(",", ":"))
            file.write("\n")
