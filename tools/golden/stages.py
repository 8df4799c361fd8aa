"""What the scripts stages_*.py share: a narrow model's weights from the names of its tensors alone, and summaries of its stages.

A weight is (u + shift) * scale of its library's own name and layout, u uniform in [0, 1) (seeded.py). The shift follows from
the name (see `shift`, whose twin is in packages/model/test/stage-model.ts); fixtures hold shape and scale.
"""
import json
import os

import numpy as np

from seeded import uniform
from summary import summary


def shift(name, rank):
    if name.endswith(("running_var", "moving_variance")):
        return 0.5
    return 1.5 if rank == 1 and name.endswith(("weight", "gamma")) else -0.5


class Weights:
    """The values of a model's tensors; `scales` is what a fixture keeps."""

    def __init__(self):
        self.scales, self.shapes = {}, {}

    def start(self, name, shape, *, fan_in=None, last=False):
        """The first value: variances 0.5..1.5, norm weights 0.75..1.25 (0.3 of that where a block ends), kernels of variance 1 / fan in."""
        self.shapes[name] = list(shape)
        if len(shape) > 1:
            scale = np.sqrt(12 / fan_in)
        elif shift(name, 1) == 1.5:
            scale = 0.15 if last else 0.5
        else:
            scale = 1.0 if shift(name, 1) == 0.5 else 0.4
        return self.rescale(name, scale)

    def rescale(self, name, scale):
        self.scales[name] = float(f"{scale:.4g}")
        shape = self.shapes[name]
        return ((uniform(name, shape) + shift(name, len(shape))) * self.scales[name]).astype(np.float32)

    def table(self):
        return {name: [self.scales[name], *self.shapes[name]] for name in self.scales}


def picture(height, width):
    """uint8 RGB [height, width, 3]: blocks of 8 pixels and noise."""
    coarse = np.floor(uniform("blocks", (-(-height // 8), -(-width // 8), 3)) * 200)
    fine = np.floor(uniform("noise", (height, width, 3)) * 56)
    return (np.repeat(np.repeat(coarse, 8, 0), 8, 1)[:height, :width] + fine).astype(np.uint8)


def rounded(values):
    return [float(f"{v:.8g}") for v in np.asarray(values, dtype=np.float64).ravel()]


def nhwc(tensor):
    return tensor.detach().numpy().transpose(0, 2, 3, 1)


def answer(boxes, scores, labels, masks=None, keypoints=None, keypoint_scores=None):
    """The end of the pipeline: masks by area and centre."""
    out = dict(boxes=rounded(boxes), scores=rounded(scores), labels=[int(v) for v in labels])
    if masks is not None:
        out["areas"] = [int(m.sum()) for m in masks]
    if keypoints is not None:
        out["keypoints"], out["keypointScores"] = rounded(keypoints), rounded(keypoint_scores)
    return out


def write(folder, name, origin, **values):
    path = os.path.join(folder, f"stages-{name}.json")
    with open(path, "w") as out:
        json.dump(dict(origin=origin, **values), out, separators=(",", ":"))
        out.write("\n")
    a = values["answer"]
    print(name, f"{os.path.getsize(path)} bytes,", len(values["proposals"]) // 4, "proposals,", len(a["scores"]), "detections, scores", a["scores"][:1], a["scores"][-1:])


def fill_torch(model, weights, targets, skip=()):
    """Gives a torch model its weights, and hooks that scale the layers of `targets` to that spread when they first run; returns the hooks."""
    import torch

    def fan_in(name, p):
        return p.shape[0] if any(part in name for part in ("conv5_mask", "deconv", "score_lowres")) else int(np.prod(p.shape[1:]))

    state = {n: p for n, p in [*model.named_parameters(), *model.named_buffers()] if not n.endswith("num_batches_tracked") and not any(s in n for s in skip)}
    with torch.no_grad():
        for name, p in state.items():
            last = "bn3." in name or "conv3.norm." in name
            p.copy_(torch.from_numpy(weights.start(name, tuple(p.shape), fan_in=fan_in(name, p) if p.ndim > 1 else None, last=last)))

    def scaling(name, target):
        def hook(layer, inputs, y):
            if y.numel() == 0 or layer in done:
                return None
            done.add(layer)
            axes = tuple(i for i in range(y.ndim) if i != 1)
            factor = target / (y - y.mean(axes, keepdim=True)).std().item()
            key = f"{name}.weight"
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(weights.rescale(key, weights.scales[key] * factor)))
            return layer.forward(*inputs)

        return hook

    done, layers = set(), dict(model.named_modules())
    return [layers[name].register_forward_hook(scaling(name, target)) for name, target in targets.items() if name in layers]
