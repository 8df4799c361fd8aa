"""Seeded weights under which a torch model answers as a trained one does: scores that differ, boxes that move."""
import torch


def spread(model, run, seed, targets, last_norms=("bn3", "conv3.norm"), background=None):
    """Gives `model` seeded weights; `run` does one inference with it, by which its last layers are scaled.

    Weights keep the library's own random start. Norms get statistics and scales at random, small ones where a residual
    block ends (`last_norms`, by the ends of their names), so that deep networks don't grow. While `run` works, the layers of
    `targets`, by name, are scaled so that each of their channels has mean 0 and all of them the given standard deviation.
    Nothing before them is fitted to the data: what centring takes away leaves the rounding of float32 larger in proportion.
    `background`: (name, index, shift) moves one class's logit in the end.
    """
    g = torch.Generator().manual_seed(seed)
    hooks, done = [], set()

    def scale(layer, target):
        def hook(_, inputs, y):
            if layer in done or y.numel() == 0:
                return None
            done.add(layer)
            axes = tuple(i for i in range(y.ndim) if i != 1)
            mean = y.mean(axes, keepdim=True)
            factor = target / (y - mean).std()
            layer.weight.mul_(factor)
            layer.bias.copy_(layer.bias * factor - mean.flatten() * factor + 0.1 * target * torch.randn(layer.bias.shape, generator=g))
            return layer.forward(*inputs)
        return hook

    with torch.no_grad():
        for name, module in model.named_modules():
            if hasattr(module, "running_var"):
                random = lambda: torch.rand(module.weight.shape, generator=g)
                module.running_mean.copy_(0.2 * random() - 0.1)
                module.running_var.copy_(0.5 + random())
                module.weight.copy_((0.6 + 0.4 * random()) * (0.3 if name.endswith(last_norms) else 1))
                module.bias.copy_(0.1 * random() - 0.05)
            elif name in targets:
                hooks.append(module.register_forward_hook(scale(module, targets[name])))
        run()
        for hook in hooks:
            hook.remove()
        if background is not None:
            name, index, shift = background
            dict(model.named_modules())[name].bias[index] += shift
