"""Values that Python and TypeScript make alike (twin: packages/testing/src/seeded.ts)."""
import numpy as np


def uniform(name, shape):
    """float64 in [0, 1) of the given shape, from the name alone."""
    seed = np.uint32(0x811C9DC5)
    with np.errstate(over="ignore"):
        for byte in name.encode("ascii"):
            seed = (seed ^ np.uint32(byte)) * np.uint32(0x01000193)
        h = np.arange(int(np.prod(shape)), dtype=np.uint32) + seed
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        h = h ^ (h >> np.uint32(16))
    return (h.astype(np.float64) / 2**32).reshape(shape)


def spread(name, shape, width):
    """float32 from -width / 2 to width / 2."""
    return ((uniform(name, shape) - 0.5) * width).astype(np.float32)
