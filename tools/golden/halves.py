"""Float32 values and the bits of numpy's float16 of them.

usage: python3 tools/golden/halves.py packages/weights/test/golden
"""
import base64
import json
import os
import sys

import numpy as np

rng = np.random.default_rng(0)


def around(values):
    """Each value and its float32 neighbours, of both signs."""
    v = np.array(values, np.float32)
    v = np.concatenate([v, np.nextafter(v, np.float32(np.inf)), np.nextafter(v, np.float32(-np.inf))])
    return np.concatenate([v, -v])


def bits(*patterns):
    return np.array(patterns, np.uint32).view(np.float32)


with np.errstate(over="ignore", invalid="ignore"):
    values = np.concatenate([
        around([0, 2**-25, 2**-24, 1.5 * 2**-24, 2.5 * 2**-24, 2**-14, 2**-14 - 2**-25, 2**-14 - 2**-24]),  # subnormals and their ties
        around([1, 1 + 2**-11, 1 + 3 * 2**-11, 2 - 2**-11, 1 / 3, 0.1, 2048, 2049, 2050, 2051]),  # ties
        around([65504, 65519, 65520, 65536, 1e38]),  # overflow
        bits(0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FFFFFFF),  # infinities and NaNs
        around([1e-40, 1e-10]),
        rng.standard_normal(500).astype(np.float32) * 0.05,
        np.exp(rng.uniform(-20, 13, 300)).astype(np.float32) * rng.choice([-1, 1], 300).astype(np.float32),
    ]).astype(np.float32)
    halves = values.astype(np.float16)

os.makedirs(sys.argv[1], exist_ok=True)
with open(os.path.join(sys.argv[1], "halves.json"), "w") as out:
    encode = lambda a: base64.b64encode(a.tobytes()).decode()
    json.dump(dict(origin=f"tools/golden/halves.py, numpy {np.__version__}", float32=encode(values), float16=encode(halves)), out, separators=(",", ":"))
