"""The convolutions and matrix products of Mask R-CNN alone, each in the memory format that suits it best: what a processor can do.

usage: python3 limit.py '{"layers": [...], "training": false, "dtype": "float32" | "bfloat16", "threads": T, "runs": N}'
       prints {"stages": {stage: [seconds]}, ...} as its last line; training adds the gradients of input and filter
needs a recent torch, for its oneDNN: python3 -m venv DIR && DIR/bin/pip install torch==2.13.0 numpy
"""
import json
import sys
import time

import torch
import torch.nn.functional as F


def fastest_of(runs, work):
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def blocked(layer, x, w):
    """oneDNN's own formats: weights packed beforehand, input as a convolution before would have left it."""
    seed = torch.randn(x.shape[0], 8, *x.shape[2:], dtype=x.dtype).to_mkldnn()
    x = F.conv2d(seed, torch.randn(x.shape[1], 8, 1, 1, dtype=x.dtype).to_mkldnn())
    stride, padding = [layer["stride"]] * 2, [layer["padding"]] * 2
    w = torch._C._nn.mkldnn_reorder_conv2d_weight(w.to_mkldnn(), padding, stride, [1, 1], 1, list(x.shape))
    return lambda: F.conv2d(x, w, None, stride, padding)


def convolution(layer, dtype, training, runs):
    transposed = layer["kind"] == "deconv"
    stride, padding, kernel = layer["stride"], layer["padding"], layer["kernel"]
    channels = (layer["in"], layer["out"]) if transposed else (layer["out"], layer["in"])
    x = torch.randn(layer["batch"], layer["in"], layer["height"], layer["width"]).to(dtype)
    w = torch.randn(*channels, kernel, kernel).to(dtype)
    forward, inputs, filters = [], [], []
    for memory_format in [torch.contiguous_format, torch.channels_last]:
        a, b = x.contiguous(memory_format=memory_format), w.contiguous(memory_format=memory_format)
        conv = F.conv_transpose2d if transposed else F.conv2d
        forward.append(fastest_of(runs, lambda: conv(a, b, None, stride, padding)))
        if not training or not layer["trained"]:
            continue
        grad = torch.randn_like(conv(a, b, None, stride, padding))

        def backward(mask):
            args = (None, [stride] * 2, [padding] * 2, [1, 1], transposed, [0, 0], 1, mask)
            return lambda: torch.ops.aten.convolution_backward(grad, a, b, *args)

        filters.append(fastest_of(runs, backward([False, True, False])))
        if layer["passed"]:
            inputs.append(fastest_of(runs, backward([True, False, False])))
    if not transposed and not training:
        forward.append(fastest_of(runs, blocked(layer, x, w)))
    return sum(min(times) for times in [forward, inputs, filters] if times)


def dense(layer, dtype, training, runs):
    x = torch.randn(layer["batch"], layer["in"]).to(dtype)
    w = torch.randn(layer["out"], layer["in"]).to(dtype)
    seconds = fastest_of(runs, lambda: F.linear(x, w))
    if training:
        grad = torch.randn(layer["batch"], layer["out"]).to(dtype)
        seconds += fastest_of(runs, lambda: grad @ w) + fastest_of(runs, lambda: grad.t() @ x)
    return seconds


def main():
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    dtype = getattr(torch, job["dtype"])
    stages = {}
    with torch.no_grad():
        for layer in job["layers"]:
            measure = dense if layer["kind"] == "dense" else convolution
            seconds = layer["count"] * measure(layer, dtype, job["training"], job["runs"])
            stages[layer["stage"]] = stages.get(layer["stage"], 0) + seconds
    print("\n" + json.dumps(dict(stages={name: [seconds] for name, seconds in stages.items()}, memoryMb=0, cpuSeconds=time.process_time())))


main()
