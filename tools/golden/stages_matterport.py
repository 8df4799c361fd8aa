"""Every stage of a narrow model of matterport's Mask R-CNN (tools/fidelity/matterport.py).

usage: python tools/golden/stages_matterport.py packages/model/test/golden
needs tensorflow, h5py and scikit-image
"""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "fidelity"))
import numpy as np
import tensorflow as tf

from matterport import Config, Net, detect
from stages import Weights, answer, picture, rounded, summary, write

TARGETS = {"rpn_class_raw": 1.8, "rpn_bbox_pred": 1.5, "mrcnn_class_logits": 1.5, "mrcnn_bbox_fc": 1.0, "mrcnn_mask": 3.0}
XYXY = [1, 0, 3, 2]


def starting(weights):
    def start(layer, x):
        for variable in layer.weights:
            name, shape = f"{layer.name}/{variable.name}", tuple(variable.shape)
            deconv = "deconv" in layer.name
            fan_in = None if len(shape) == 1 else shape[-1] if deconv else int(np.prod(shape[:-1]))
            variable.assign(weights.start(name, shape, fan_in=fan_in, last=layer.name.startswith("bn") and layer.name.endswith("2c")))
        if layer.name in TARGETS:
            activation, layer.activation = layer.activation, None
            y = layer(x)
            layer.activation = activation
            factor = TARGETS[layer.name] / tf.math.reduce_std(y - tf.reduce_mean(y, list(range(y.ndim - 1)))).numpy()
            key = f"{layer.name}/kernel"
            layer.kernel.assign(weights.rescale(key, weights.scales[key] * factor))

    return start


def case(folder, name, size, dims, least):
    config = Config(
        depth=50, width=4, pyramid=8, rpn=16, dense=16, mask=8, classes=5, min_dim=dims[0], max_dim=dims[1], scales=(8, 16, 32, 64, 128),
        pre_nms=100, post_nms=60, detections=20, min_confidence=least,
    )
    weights = Weights()
    found = detect(Net(start=starting(weights)), config, picture(*size))
    count = int((found["found"][:, 4] > 0).numpy().sum())
    classes = found["found"][:count, 4].numpy().astype(int)
    pixels = lambda boxes: rounded(np.asarray(boxes)[:, XYXY] * (config.max_dim - 1))
    swap = lambda d: np.asarray(d).reshape(-1, 2, 2)[:, :, ::-1].reshape(np.asarray(d).shape)
    logits = found["objectness"].numpy()
    stages = dict(
        input=summary("input", found["molded"][None]),
        **{f"c{i + 2}": summary(f"c{i + 2}", v.numpy()) for i, v in enumerate(found["features"])},
        **{f"p{i + 2}": summary(f"p{i + 2}", v.numpy()) for i, v in enumerate(found["levels"])},
        objectness=summary("objectness", (logits[:, 1] - logits[:, 0])[None]),
        deltas=summary("deltas", swap(found["anchor_deltas"])[None]),
        pooled=summary("pooled", found["pooled"].numpy()), classLogits=summary("classLogits", found["logits"].numpy()),
        boxDeltas=summary("boxDeltas", swap(found["deltas"]).reshape(config.post_nms, -1)),
        maskPooled=summary("maskPooled", found["mask_pooled"].numpy()[:count]),
        maskLogits=summary("maskLogits", found["mask_logits"].numpy()[np.arange(count), :, :, classes]),
    )
    write(
        folder, name, f"tools/golden/stages_matterport.py, tools/fidelity/matterport.py, tensorflow {tf.__version__}",
        image=size, norm="frozen_batch_norm", numerics="matterport", weights=weights.table(),
        config=dict(
            image=dict(minSize=dims[0], maxSize=dims[1]), anchors=dict(sizes=[[8], [16], [32], [64], [128]]),
            rpn=dict(detection=dict(preNmsTopK=100, postNmsTopK=60)), box=dict(scoreThreshold=least, maxDetections=20),
        ),
        stages=stages, proposals=pixels(found["rois"]), detections=pixels(found["found"][:count, :4]),
        answer=answer(found["boxes"][:, XYXY], found["scores"], found["classes"], found["masks"]),
    )


if __name__ == "__main__":
    case(sys.argv[1], "matterport", (60, 84), (96, 128), 0.2)  # enlarged, landscape
    case(sys.argv[1], "matterport-portrait", (300, 200), (96, 192), 0.2)  # shrunk
