"""Seeded weights under which a torch model answers as a trained one does: activations of unit spread, scores that differ."""
import torch
from torch import nn


def spread(model, run, seed, targets, last_norms=("bn3", "conv3.norm"), background=None):
    """Gives `model` seeded weights; `run` does one inference with it, by which they are scaled.

    Weights keep the library's own random start. While `run` works, every norm takes the statistics of what it is
    given, shaken; every layer with a bias is scaled so that its outputs have mean 0 and standard deviation 1, or that
    of `targets` (by the layer's name). `last_norms`, by the ends of their names, close a residual block and are kept
    small, so that deep networks don't grow. `background`: (name, index, shift) moves one class's logit in the end.
    """
    g = torch.Generator().manual_seed(seed)
    random = lambda like: torch.randn(like.shape, generator=g)
    hooks, done = [], set()

    def norm_hook(last):
        def hook(norm, inputs):
            if norm in done:
                return
            done.add(norm)
            x = inputs[0]
            var, mean = torch.var_mean(x, (0, 2, 3), unbiased=False)
            var = var + 1e-3 * var.mean() + 1e-8
            norm.running_mean.copy_(mean + 0.1 * var.sqrt() * random(mean))
            norm.running_var.copy_(var * (0.5 + torch.rand(var.shape, generator=g)))
            norm.weight.copy_((0.6 + 0.4 * torch.rand(var.shape, generator=g)) * (0.3 if last else 1))
            norm.bias.copy_(0.1 * random(mean))
        return hook

    def layer_hook(target):
        def hook(layer, _, y):
            if layer in done or y.numel() == 0:
                return None
            done.add(layer)
            axes = tuple(i for i in range(y.ndim) if i != 1)
            spreadless = y - y.mean(axes, keepdim=True)
            factor = target / spreadless.std()
            shift = 0.1 * target * random(layer.bias)
            layer.bias.copy_(layer.bias * factor - y.mean(axes) * factor + shift)
            layer.weight.mul_(factor)
            return spreadless * factor + shift.reshape([-1] + [1] * (y.ndim - 2))
        return hook

    with torch.no_grad():
        for name, module in model.named_modules():
            if hasattr(module, "running_var"):
                hooks.append(module.register_forward_pre_hook(norm_hook(name.endswith(last_norms))))
            elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) and module.bias is not None:
                hooks.append(module.register_forward_hook(layer_hook(targets.get(name, 1.0))))
        run()
        for hook in hooks:
            hook.remove()
        if background is not None:
            name, index, shift = background
            dict(model.named_modules())[name].bias[index] += shift
