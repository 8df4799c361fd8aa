"""A fidelity case of matterport's Mask R-CNN: R101-FPN with seeded, well-spread weights, an image, and the answer of matterport.py.

usage: python tools/fidelity/matterport_case.py OUT_DIR SEED [HEIGHT WIDTH]
    MIN, MAX in the environment: IMAGE_MIN_DIM and IMAGE_MAX_DIM, 800 and 1024 by default; MAX is a multiple of 64
    SCORE in the environment: DETECTION_MIN_CONFIDENCE, 0.05 by default (0.7 in the library)
writes OUT_DIR/weights.h5 (as the library's released file), image.png, expected.json, masks.bin, args (see cases.py).
The answer is computed with the weights read back from the file.
"""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf

from cases import CATEGORY_IDS, draw, image_sizes, write_expected, write_image
from matterport import Config, Net, detect, read_weights, write_weights

# Spread of the outputs of the layers that end a branch.
TARGETS = {"rpn_class_raw": 1.8, "rpn_bbox_pred": 0.5, "mrcnn_class_logits": 2.5, "mrcnn_bbox_fc": 0.5, "mrcnn_mask": 3.0}


def spread(seed, background):
    """Starts layers as spread.py does those of torch; `background` is added to the class logit of label 0."""
    rng = np.random.default_rng(seed)

    def normal(shape):
        return rng.normal(size=shape).astype(np.float32)

    def start(layer, x):
        if hasattr(layer, "moving_variance"):
            shape = layer.gamma.shape
            uniform = lambda: rng.random(shape, dtype=np.float32)
            last = 0.3 if layer.name.startswith("bn") and layer.name.endswith("2c") else 1
            layer.moving_mean.assign(0.2 * uniform() - 0.1)
            layer.moving_variance.assign(0.5 + uniform())
            layer.gamma.assign((0.6 + 0.4 * uniform()) * last)
            layer.beta.assign(0.1 * uniform() - 0.05)
            return
        shape = layer.kernel.shape
        rectified = 1 if layer.name.startswith("fpn") else 2
        inputs = shape[-1] if "deconv" in layer.name else np.prod(shape[:-1])
        layer.kernel.assign(normal(shape) * np.sqrt(rectified / inputs, dtype=np.float32))
        layer.bias.assign(0.05 * normal(layer.bias.shape))
        if layer.name not in TARGETS:
            return
        activation, layer.activation = layer.activation, None
        y = layer(x)
        layer.activation = activation
        target, axes = TARGETS[layer.name], list(range(y.ndim - 1))
        mean = tf.reduce_mean(y, axes)
        factor = target / tf.math.reduce_std(y - mean)
        layer.kernel.assign(layer.kernel * factor)
        layer.bias.assign(layer.bias * factor - mean * factor + 0.1 * target * normal(layer.bias.shape))
        if layer.name == "mrcnn_class_logits":
            layer.bias.assign(layer.bias + background * tf.one_hot(0, layer.bias.shape[0]))

    return start


def main(out, seed, height=256, width=320):
    image = draw(np.random.default_rng(seed), height, width)
    write_image(out, image)
    min_dim, max_dim = image_sizes(Config.min_dim, Config.max_dim)
    score = float(os.environ.get("SCORE", 0.05))
    config = Config(min_dim=min_dim, max_dim=max_dim, min_confidence=score)
    path = os.path.join(out, "weights.h5")
    # The more background, the fewer detections.
    fresh = Net(start=spread(seed, 1.0 + 2 * (seed % 3)))
    detect(fresh, config, image)
    write_weights(path, fresh)
    found = detect(Net(arrays=read_weights(path)), config, image)
    boxes = found["boxes"][:, [1, 0, 3, 2]]
    args = f"--model matterport/mask_rcnn_coco --min-size {min_dim} --max-size {max_dim}" + ("" if score == 0.05 else f" --score-threshold {score}")
    write_expected(
        out, kind="matterport", seed=seed, image=image, args=args,
        boxes=boxes, scores=found["scores"], labels=[CATEGORY_IDS[c - 1] for c in found["classes"]], masks=found["masks"],
    )


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(2)
    main(sys.argv[1], int(sys.argv[2]), *map(int, sys.argv[3:5]))
