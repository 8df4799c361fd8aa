"""Inference of matterport's Mask R-CNN (MIT licence), written anew after its published source in today's TensorFlow.

What it computes, and the names and layouts of the weights, are those of https://github.com/matterport/Mask_RCNN,
`mrcnn/model.py` and `mrcnn/utils.py` at 2.1; convolutions, norms and dense layers are Keras's, crop_and_resize, top_k and
non-maximum suppression TensorFlow's, resizing scikit-image's. Boxes are (y1, x1, y2, x2) here, as there.

needs tensorflow, h5py, scikit-image
"""
from dataclasses import dataclass

import h5py
import keras
import numpy as np
import skimage.transform
import tensorflow as tf


@dataclass(frozen=True)
class Config:
    """The library's defaults for COCO; the widths may be smaller for tests."""
    depth: int = 101
    width: int = 64
    pyramid: int = 256
    rpn: int = 512
    dense: int = 1024
    mask: int = 256
    classes: int = 81
    min_dim: int = 800
    max_dim: int = 1024
    scales: tuple = (32, 64, 128, 256, 512)
    ratios: tuple = (0.5, 1, 2)
    pre_nms: int = 6000
    post_nms: int = 1000
    rpn_nms: float = 0.7
    detections: int = 100
    min_confidence: float = 0.7
    detection_nms: float = 0.3


STRIDES = (4, 8, 16, 32, 64)
MEAN_PIXEL = np.array([123.7, 116.8, 103.9])
BOX_STD = np.array([0.1, 0.1, 0.2, 0.2], dtype=np.float32)
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
# Layers of the RPN are weights of one inner model in the file.
RPN = ("rpn_conv_shared", "rpn_class_raw", "rpn_bbox_pred")


class Net:
    """Keras layers by name. Those that `arrays` lacks are made by `start`, which sees what they are given."""

    def __init__(self, arrays=None, start=None):
        self.layers, self.arrays, self.start = {}, arrays, start

    def __call__(self, name, make, x, **options):
        if name not in self.layers:
            layer = self.layers[name] = make()
            layer.build(x.shape)
            if self.arrays is not None:
                layer.set_weights([self.arrays[name][weight.name] for weight in layer.weights])
            else:
                self.start(layer, x)
        return self.layers[name](x, **options)

    def conv(self, name, x, filters, size=1, **options):
        return self(name, lambda: keras.layers.Conv2D(filters, size, name=name, **options), x)

    def norm(self, name, x):
        return self(name, lambda: keras.layers.BatchNormalization(name=name), x, training=False)

    def dense(self, name, x, units):
        return self(name, lambda: keras.layers.Dense(units, name=name), x)

    def deconv(self, name, x, filters):
        return self(name, lambda: keras.layers.Conv2DTranspose(filters, 2, strides=2, activation="relu", name=name), x)


def write_weights(path, net):
    """An .h5 as Keras 2 saved weights: layer/layer/weight:0, with the inner model's layers in its own group."""
    groups = {"input_image": []}
    for name in net.layers:
        groups.setdefault("rpn_model" if name in RPN else name, []).append(name)
    groups.update({name: [] for name in ("ROI", "roi_align_classifier", "mrcnn_bbox", "mrcnn_detection", "roi_align_mask")})
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([name.encode() for name in groups])
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.0.8"
        for group, layers in groups.items():
            weights = {f"{name}/{weight.name}:0": weight.numpy() for name in layers for weight in net.layers[name].weights}
            g = file.create_group(group)
            g.attrs["weight_names"] = np.array([name.encode() for name in weights])
            for name, value in weights.items():
                g.create_dataset(name, data=value)


def read_weights(path):
    """The arrays of such a file: layer -> weight -> array."""
    arrays = {}
    with h5py.File(path, "r") as file:
        for group in file.attrs["layer_names"]:
            for path in file[group].attrs["weight_names"]:
                layer, weight = path.decode().split("/")
                arrays.setdefault(layer, {})[weight.removesuffix(":0")] = file[group][path][()]
    return arrays


# --- the photo -------------------------------------------------------------------------------------


def resize(image, shape, **options):
    return skimage.transform.resize(image, shape, order=1, mode="constant", cval=0, clip=True, anti_aliasing=False, **options)


def mold(image, config):
    """The square input float32 [side, side, 3] and the photo's window in it, in pixels."""
    h, w = image.shape[:2]
    scale = max(1, config.min_dim / min(h, w))
    if round(max(h, w) * scale) > config.max_dim:
        scale = config.max_dim / max(h, w)
    if scale != 1:
        image = resize(image, (round(h * scale), round(w * scale)), preserve_range=True).astype(np.uint8)
    h, w = image.shape[:2]
    top, left = (config.max_dim - h) // 2, (config.max_dim - w) // 2
    image = np.pad(image, [(top, config.max_dim - h - top), (left, config.max_dim - w - left), (0, 0)])
    return (image.astype(np.float32) - MEAN_PIXEL).astype(np.float32), (top, left, top + h, left + w)


def norm_boxes(boxes, shape):
    h, w = shape
    return np.divide(boxes - np.array([0, 0, 1, 1]), np.array([h - 1, w - 1, h - 1, w - 1])).astype(np.float32)


def denorm_boxes(boxes, shape):
    h, w = shape
    return np.around(np.multiply(boxes, np.array([h - 1, w - 1, h - 1, w - 1])) + np.array([0, 0, 1, 1])).astype(np.int32)


def anchors(config):
    """Normalised anchors of all levels, finest first; a cell's ratios follow one another."""
    every = []
    for scale, stride in zip(config.scales, STRIDES):
        root = np.sqrt(np.array(config.ratios, dtype=np.float64))
        sizes = np.stack([scale / root, scale * root], 1)
        at = np.arange(int(np.ceil(config.max_dim / stride))) * stride
        centres = np.stack(np.meshgrid(at, at, indexing="ij"), -1).reshape(-1, 1, 2)
        every.append(np.concatenate([centres - 0.5 * sizes, centres + 0.5 * sizes], -1).reshape(-1, 4))
    return norm_boxes(np.concatenate(every), (config.max_dim, config.max_dim))


# --- the network -----------------------------------------------------------------------------------


def resnet(net, config, x):
    """c2..c5 of [1, side, side, 3]."""
    x = net.conv("conv1", tf.pad(x, [(0, 0), (3, 3), (3, 3), (0, 0)]), config.width, 7, strides=2)
    x = tf.nn.max_pool2d(tf.nn.relu(net.norm("bn_conv1", x)), 3, 2, "SAME")
    maps = []
    for stage, count in enumerate(BLOCKS[config.depth], start=2):
        planes = config.width * 2 ** (stage - 2)
        for i in range(count):
            name = f"{stage}{chr(97 + i)}_branch"
            strides = 2 if i == 0 and stage > 2 else 1
            y = tf.nn.relu(net.norm(f"bn{name}2a", net.conv(f"res{name}2a", x, planes, strides=strides)))
            y = tf.nn.relu(net.norm(f"bn{name}2b", net.conv(f"res{name}2b", y, planes, 3, padding="same")))
            y = net.norm(f"bn{name}2c", net.conv(f"res{name}2c", y, 4 * planes))
            if i == 0:
                x = net.norm(f"bn{name}1", net.conv(f"res{name}1", x, 4 * planes, strides=strides))
            x = tf.nn.relu(y + x)
        maps.append(x)
    return maps


def pyramid(net, config, maps):
    """p2..p6 of c2..c5."""
    up = lambda x: tf.repeat(tf.repeat(x, 2, 1), 2, 2)
    inner = [None] * 4
    for i in (3, 2, 1, 0):
        inner[i] = net.conv(f"fpn_c{i + 2}p{i + 2}", maps[i], config.pyramid)
        if i < 3:
            inner[i] = up(inner[i + 1]) + inner[i]
    levels = [net.conv(f"fpn_p{i + 2}", x, config.pyramid, 3, padding="same") for i, x in enumerate(inner)]
    return [*levels, levels[3][:, ::2, ::2]]


def rpn(net, config, levels):
    """Logits [anchors, (background, foreground)] and deltas [anchors, 4] of all levels."""
    logits, deltas = [], []
    for p in levels:
        x = net.conv("rpn_conv_shared", p, config.rpn, 3, padding="same", activation="relu")
        logits.append(tf.reshape(net.conv("rpn_class_raw", x, 2 * len(config.ratios)), [-1, 2]))
        deltas.append(tf.reshape(net.conv("rpn_bbox_pred", x, 4 * len(config.ratios)), [-1, 4]))
    return tf.concat(logits, 0), tf.concat(deltas, 0)


def apply_deltas(boxes, deltas):
    h, w = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    cy, cx = boxes[:, 0] + 0.5 * h, boxes[:, 1] + 0.5 * w
    cy, cx = cy + deltas[:, 0] * h, cx + deltas[:, 1] * w
    h, w = h * tf.exp(deltas[:, 2]), w * tf.exp(deltas[:, 3])
    y1, x1 = cy - 0.5 * h, cx - 0.5 * w
    return tf.stack([y1, x1, y1 + h, x1 + w], 1)


def clip(boxes, window):
    low, high = tf.constant([window[0], window[1]] * 2), tf.constant([window[2], window[3]] * 2)
    return tf.maximum(tf.minimum(boxes, high), low)


def propose(config, logits, deltas, anchors):
    """Normalised proposals [post_nms, 4], zeros at the end where there are fewer."""
    scores = tf.nn.softmax(logits)[:, 1]
    best = tf.nn.top_k(scores, min(config.pre_nms, len(anchors)), sorted=True).indices
    boxes = clip(apply_deltas(tf.gather(anchors, best), tf.gather(deltas * BOX_STD, best)), np.array([0, 0, 1, 1], np.float32))
    kept = tf.image.non_max_suppression(boxes, tf.gather(scores, best), config.post_nms, config.rpn_nms)
    return tf.pad(tf.gather(boxes, kept), [(0, config.post_nms - len(kept)), (0, 0)])


def pool(config, levels, rois, size):
    """crop_and_resize of each roi from its level: [rois, size, size, C]."""
    h, w = rois[:, 2] - rois[:, 0], rois[:, 3] - rois[:, 1]
    area = tf.constant(config.max_dim * config.max_dim, tf.float32)
    level = tf.math.log(tf.sqrt(h * w) / (224.0 / tf.sqrt(area))) / tf.math.log(2.0)
    # A roi without area is of the finest level.
    level = tf.clip_by_value(4 + tf.cast(tf.round(tf.maximum(level, -100.0)), tf.int32), 2, 5)
    rows, pooled = [], []
    for i in range(4):
        row = tf.where(level == i + 2)[:, 0]
        rows.append(row)
        pooled.append(tf.image.crop_and_resize(levels[i], tf.gather(rois, row), tf.zeros_like(row, tf.int32), (size, size)))
    return tf.gather(tf.concat(pooled, 0), tf.argsort(tf.concat(rows, 0)))


def classify(net, config, pooled):
    """Class logits [rois, classes] and deltas [rois, classes, 4]."""
    x = tf.nn.relu(net.norm("mrcnn_class_bn1", net.conv("mrcnn_class_conv1", pooled, config.dense, pooled.shape[1])))
    x = tf.nn.relu(net.norm("mrcnn_class_bn2", net.conv("mrcnn_class_conv2", x, config.dense)))
    x = x[:, 0, 0]
    logits = net.dense("mrcnn_class_logits", x, config.classes)
    return logits, tf.reshape(net.dense("mrcnn_bbox_fc", x, 4 * config.classes), [-1, config.classes, 4])


def refine(config, rois, logits, deltas, window):
    """Detections [detections, (y1, x1, y2, x2, class, score)], normalised; zeros at the end."""
    probs = tf.nn.softmax(logits)
    classes = tf.argmax(probs, 1, output_type=tf.int32)
    own = tf.stack([tf.range(len(probs)), classes], 1)
    scores = tf.gather_nd(probs, own)
    boxes = clip(apply_deltas(rois, tf.gather_nd(deltas, own) * BOX_STD), window)
    keep = np.flatnonzero((classes.numpy() > 0) & (scores.numpy() >= np.float32(config.min_confidence)))
    kept = []
    for label in np.unique(classes.numpy()[keep]):
        of = keep[classes.numpy()[keep] == label]
        chosen = tf.image.non_max_suppression(tf.gather(boxes, of), tf.gather(scores, of), config.detections, config.detection_nms)
        kept.append(of[chosen.numpy()])
    keep = np.sort(np.concatenate([*kept, np.zeros(0, np.int64)]).astype(np.int64))
    top = tf.nn.top_k(tf.gather(scores, keep), min(len(keep), config.detections), sorted=True).indices
    keep = keep[top.numpy()]
    found = tf.concat([tf.gather(boxes, keep), tf.cast(tf.gather(classes, keep), tf.float32)[:, None], tf.gather(scores, keep)[:, None]], 1)
    return tf.pad(found, [(0, config.detections - len(keep)), (0, 0)])


def segment(net, config, pooled):
    """Mask logits [rois, 2 * size, 2 * size, classes]; the library goes on to their sigmoid."""
    x = pooled
    for i in (1, 2, 3, 4):
        x = tf.nn.relu(net.norm(f"mrcnn_mask_bn{i}", net.conv(f"mrcnn_mask_conv{i}", x, config.mask, 3, padding="same")))
    return net.conv("mrcnn_mask", net.deconv("mrcnn_mask_deconv", x, config.mask), config.classes)


def unmold(config, found, masks, photo, window):
    """Boxes int [N, 4], classes, scores and bool masks [N, height, width] in the photo's pixels."""
    count = int(np.argmax(np.append(found[:, 4], 0) == 0))
    boxes, classes, scores = found[:count, :4], found[:count, 4].astype(np.int32), found[:count, 5]
    masks = masks[np.arange(count), :, :, classes]
    y1, x1, y2, x2 = norm_boxes(np.array(window), (config.max_dim, config.max_dim))
    boxes = np.divide(boxes - np.array([y1, x1, y1, x1]), np.array([y2 - y1, x2 - x1, y2 - y1, x2 - x1]))
    boxes = denorm_boxes(boxes, photo)
    some = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) > 0
    boxes, classes, scores, masks = boxes[some], classes[some], scores[some], masks[some]
    full = np.zeros((len(boxes), *photo), bool)
    for i, (top, left, bottom, right) in enumerate(boxes):
        full[i, top:bottom, left:right] = resize(masks[i], (bottom - top, right - left)) >= 0.5
    return boxes, classes, scores, full


def detect(net, config, image):
    """Every stage of one uint8 RGB image, by name; the last four are what the library answers."""
    molded, window = mold(image, config)
    features = resnet(net, config, molded[None])
    levels = pyramid(net, config, features)
    objectness, anchor_deltas = rpn(net, config, levels)
    rois = propose(config, objectness, anchor_deltas, tf.constant(anchors(config)))
    pooled = pool(config, levels, rois, 7)
    logits, deltas = classify(net, config, pooled)
    side = (config.max_dim, config.max_dim)
    found = refine(config, rois, logits, deltas, norm_boxes(np.array(window), side))
    mask_pooled = pool(config, levels, found[:, :4], 14)
    mask_logits = segment(net, config, mask_pooled)
    boxes, classes, scores, masks = unmold(config, found.numpy(), tf.sigmoid(mask_logits).numpy(), image.shape[:2], window)
    return dict(
        molded=molded, window=window, features=features, levels=levels, objectness=objectness, anchor_deltas=anchor_deltas, rois=rois,
        pooled=pooled, logits=logits, deltas=deltas, found=found, mask_pooled=mask_pooled, mask_logits=mask_logits,
        boxes=boxes, classes=classes, scores=scores, masks=masks,
    )
