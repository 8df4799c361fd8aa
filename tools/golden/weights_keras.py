"""A small Mask R-CNN's weights as Keras keeps them in HDF5, and sums over what they are under this project's names.

usage: python tools/golden/weights_keras.py packages/weights/test/golden
needs h5py and numpy. Layers, shapes and groups are those of matterport's model, with few channels and
blocks, as in tools/fidelity/matterport.py. `sums`: for each of our arrays its shape and the sum of its values times cos(0), cos(1), ...
"""
import base64
import io
import json
import os
import sys
import zlib

import h5py
import numpy as np

WIDTH, PYRAMID, RPN, DENSE, MASK, CLASSES, RATIOS = 1, 2, 3, 4, 2, 3, 3
BLOCKS = (2, 1, 1, 1)
random = np.random.default_rng(7)


def draw(*shape, low=-1.0, high=1.0):
    return random.uniform(low, high, shape).astype(np.float32)


def layers():
    """Keras's layers: name -> weight -> array."""
    out = {}

    def conv(name, size, inputs, outputs):
        out[name] = {"kernel": draw(size, size, inputs, outputs), "bias": draw(outputs)}

    def norm(name, channels):
        out[name] = {"gamma": draw(channels), "beta": draw(channels), "moving_mean": draw(channels), "moving_variance": draw(channels, low=0.1)}

    conv("conv1", 7, 3, WIDTH)
    norm("bn_conv1", WIDTH)
    inputs = WIDTH
    for stage, count in enumerate(BLOCKS, start=2):
        planes = WIDTH * 2 ** (stage - 2)
        for i in range(count):
            for branch, size, a, b in (("2a", 1, inputs, planes), ("2b", 3, planes, planes), ("2c", 1, planes, 4 * planes), ("1", 1, inputs, 4 * planes)):
                if branch == "1" and i > 0:
                    continue
                conv(f"res{stage}{chr(97 + i)}_branch{branch}", size, a, b)
                norm(f"bn{stage}{chr(97 + i)}_branch{branch}", b)
            inputs = 4 * planes
    for level in range(4):
        conv(f"fpn_c{level + 2}p{level + 2}", 1, 4 * WIDTH * 2**level, PYRAMID)
        conv(f"fpn_p{level + 2}", 3, PYRAMID, PYRAMID)
    conv("rpn_conv_shared", 3, PYRAMID, RPN)
    conv("rpn_class_raw", 1, RPN, 2 * RATIOS)
    conv("rpn_bbox_pred", 1, RPN, 4 * RATIOS)
    conv("mrcnn_class_conv1", 7, PYRAMID, DENSE)
    norm("mrcnn_class_bn1", DENSE)
    conv("mrcnn_class_conv2", 1, DENSE, DENSE)
    norm("mrcnn_class_bn2", DENSE)
    out["mrcnn_class_logits"] = {"kernel": draw(DENSE, CLASSES), "bias": draw(CLASSES)}
    out["mrcnn_bbox_fc"] = {"kernel": draw(DENSE, 4 * CLASSES), "bias": draw(4 * CLASSES)}
    for i in (1, 2, 3, 4):
        conv(f"mrcnn_mask_conv{i}", 3, PYRAMID if i == 1 else MASK, MASK)
        norm(f"mrcnn_mask_bn{i}", MASK)
    out["mrcnn_mask_deconv"] = {"kernel": draw(2, 2, MASK, MASK), "bias": draw(MASK)}
    conv("mrcnn_mask", 1, MASK, CLASSES)
    return out


def ours(weights):
    """What each is under our names: a definition by whole arrays."""
    out = {}
    get = lambda layer, weight: weights[layer][weight].astype(np.float64)

    def plain(layer, name):
        out[f"{name}.weight"], out[f"{name}.bias"] = get(layer, "kernel"), get(layer, "bias")

    def normed(layer, norm, conv, bn):
        out[f"{conv}.weight"] = get(layer, "kernel")
        out[f"{bn}.weight"], out[f"{bn}.bias"] = get(norm, "gamma"), get(norm, "beta")
        out[f"{bn}.running_mean"] = get(norm, "moving_mean") - get(layer, "bias")
        out[f"{bn}.running_var"] = get(norm, "moving_variance")

    def folded(layer, norm, name):
        scale = get(norm, "gamma") / np.sqrt(get(norm, "moving_variance") + 1e-3)
        out[f"{name}.weight"] = get(layer, "kernel").reshape(-1, len(scale)) * scale
        out[f"{name}.bias"] = (get(layer, "bias") - get(norm, "moving_mean")) * scale + get(norm, "beta")

    normed("conv1", "bn_conv1", "backbone.body.conv1", "backbone.body.bn1")
    for layer in weights:
        if layer.startswith("res"):
            stage, block, branch = int(layer[3]) - 1, ord(layer[4]) - ord("a"), layer.split("_branch")[1]
            conv, bn = ("downsample.0", "downsample.1") if branch == "1" else (f"conv{'abc'.index(branch[1]) + 1}", f"bn{'abc'.index(branch[1]) + 1}")
            prefix = f"backbone.body.layer{stage}.{block}"
            normed(layer, "bn" + layer[3:], f"{prefix}.{conv}", f"{prefix}.{bn}")
    for level in range(4):
        plain(f"fpn_c{level + 2}p{level + 2}", f"backbone.fpn.inner_blocks.{level}.0")
        plain(f"fpn_p{level + 2}", f"backbone.fpn.layer_blocks.{level}.0")
    plain("rpn_conv_shared", "rpn.head.conv.0.0")
    for kind in ("kernel", "bias"):
        suffix = {"kernel": "weight", "bias": "bias"}[kind]
        pair = get("rpn_class_raw", kind)
        pair = pair.reshape(*pair.shape[:-1], RATIOS, 2)
        out[f"rpn.head.cls_logits.{suffix}"] = pair[..., 1] - pair[..., 0]
        for layer, name in (("rpn_bbox_pred", "rpn.head.bbox_pred"), ("mrcnn_bbox_fc", "roi_heads.box_predictor.bbox_pred")):
            deltas = get(layer, kind)
            out[f"{name}.{suffix}"] = deltas.reshape(*deltas.shape[:-1], -1, 4)[..., [1, 0, 3, 2]].reshape(deltas.shape)
    folded("mrcnn_class_conv1", "mrcnn_class_bn1", "roi_heads.box_head.fc6")
    folded("mrcnn_class_conv2", "mrcnn_class_bn2", "roi_heads.box_head.fc7")
    plain("mrcnn_class_logits", "roi_heads.box_predictor.cls_score")
    for i in range(4):
        normed(f"mrcnn_mask_conv{i + 1}", f"mrcnn_mask_bn{i + 1}", f"roi_heads.mask_head.{i}.0", f"roi_heads.mask_head.{i}.1")
    plain("mrcnn_mask_deconv", "roi_heads.mask_predictor.conv5_mask")
    plain("mrcnn_mask", "roi_heads.mask_predictor.mask_fcn_logits")
    return out


def write(weights, nested=None, **options):
    """Keras 2's layout: layer/layer/weight:0, the RPN's layers in the group of their inner model."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        top = file if nested is None else file.create_group(nested)
        groups = {}
        for layer in weights:
            groups.setdefault("rpn_model" if layer.startswith("rpn_") else layer, []).append(layer)
        top.attrs["layer_names"] = np.array([name.encode() for name in groups])
        for group, members in groups.items():
            g = top.create_group(group)
            g.attrs["weight_names"] = np.array([f"{layer}/{weight}:0".encode() for layer in members for weight in weights[layer]])
            for layer in members:
                for weight, value in weights[layer].items():
                    g.create_dataset(f"{layer}/{weight}:0", data=value)
    return buffer.getvalue()


def dtypes(**options):
    values = {"f8": [0.1, -2.5], "f4": [1.5, -0.0], "f2": [0.333, 65504], "i8": [-7, 2**31 - 1], "i4": [-(2**31), 5], "i2": [-32768, 7], "i1": [-128, 127], "u1": [0, 255]}
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        for code, value in values.items():
            file.create_dataset(f"group/{code}", data=np.array([value], dtype=code))
        file["group/scalar"] = np.float32(4.25)
        file["group/empty"] = np.zeros((0, 3), np.float32)
    return buffer.getvalue()


def one(**options):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("layer/kernel:0", **options)
    return buffer.getvalue()


def packed(data):
    return base64.b64encode(zlib.compress(data, 7)).decode()


def main(folder):
    weights = layers()
    sums = {}
    for name, a in ours(weights).items():
        a = a.astype(np.float32).astype(np.float64)
        sums[name] = dict(shape=list(a.shape), sum=round(float(np.sum(a.ravel() * np.cos(np.arange(a.size)))), 7))
    few = {name: weights[name] for name in ("conv1", "bn_conv1", "rpn_conv_shared", "rpn_class_raw")}
    values = {"f8": [0.1, -2.5], "f4": [1.5, -0.0], "f2": [0.333, 65504], "i8": [-7, 2**31 - 1], "i4": [-(2**31), 5], "i2": [-32768, 7], "i1": [-128, 127], "u1": [0, 255]}
    expected = {f"group/{k}": dict(shape=[1, 2], values=np.array(v, dtype=k).astype(np.float32 if k[0] == "f" else np.int64).astype(np.float64).tolist()) for k, v in values.items()}
    expected["group/scalar"] = dict(shape=[], values=[4.25])
    expected["group/empty"] = dict(shape=[0, 3], values=[])
    files = dict(
        few=write(few),
        whole=write(few, nested="model_weights"),
        userblock=write(few, userblock_size=1024),
        latest=write({"conv1": weights["conv1"]}, libver="latest"),
        v110=write({"conv1": weights["conv1"]}, libver=("v110", "v110")),
        dtypes=dtypes(),
        gzip=one(data=np.zeros((4, 4), np.float32), compression="gzip"),
        bigEndian=one(data=np.zeros((4, 4), ">f4")),
        text=one(data=np.array([b"a", b"b"])),
        dense=write({f"layer{i}": {"kernel": np.zeros(1, np.float32)} for i in range(20)}, libver="latest"),
    )
    origin = f"tools/golden/weights_keras.py, h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}; files are base64 of zlib"
    with open(os.path.join(folder, "keras.json"), "w") as out:
        json.dump(dict(origin=origin, files={k: packed(v) for k, v in files.items()}, dtypes=expected), out, separators=(",", ":"))
    with open(os.path.join(folder, "matterport.json"), "w") as out:
        json.dump(dict(origin=origin, file=packed(write(weights)), sums=sums), out, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1])
