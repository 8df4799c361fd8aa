"""Pickles of numpy arrays of every protocol, as base64, and the values of the arrays.

usage: python tools/golden/weights_numpy.py packages/weights/test/golden
Run it with one numpy of before 2.0 and one of after: each writes the fixture of its own version, numpy-1.json or numpy-2.json.

What Python 2 wrote has 8-bit strings, which Python 3 can't write: `python2` is a pickle of protocol 2 whose strings are
written with its opcodes, and read back here with encoding="latin1" as detectron2 does.
"""
import base64
import io
import json
import os
import pickle
import struct
import sys

import numpy as np


def arrays():
    base = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 8
    return {
        "f64": np.array([0.1, -2.5]),
        "f32": np.array([[0.0, -1.5, 3.4e38], [1e-45, np.inf, 0.1]], dtype=np.float32),
        "f16": np.array([1.0, -2.5, 65504.0, 6e-8], dtype=np.float16),
        "i64": np.array([[-7], [2**31 - 1]]),
        "i32": np.array([-(2**31), 10, 2**31 - 1], dtype=np.int32),
        "i16": np.array([-32768, 7], dtype=np.int16),
        "i8": np.array([-128, 127], dtype=np.int8),
        "u8": np.array([0, 255, 3, 92, 10, 13, 39], dtype=np.uint8),
        "text": np.frombuffer(b"printable", dtype=np.uint8).copy(),
        "bool": np.array([True, False]),
        "scalar": np.float32(4.25),
        "zero_rank": np.array(2.5, dtype=np.float32),
        "empty": np.zeros((0, 3), dtype=np.float32),
        "fortran": np.asfortranarray(base),
        "fortran_half": np.asfortranarray(np.arange(6, dtype=np.float16).reshape(2, 3)),
        "strided": base[:, 1:, ::2],
        "long": (np.arange(700) % 256).astype(np.uint8),
    }


def python2(value):
    """A pickle of protocol 2 whose strings and bytes are both the 8-bit strings of Python 2."""

    class Raw(pickle._Pickler):
        dispatch = dict(pickle._Pickler.dispatch)

        def string(self, text):
            raw = text.encode("latin1") if isinstance(text, str) else text
            self.write(b"U" + bytes([len(raw)]) + raw if len(raw) < 256 else b"T" + struct.pack("<i", len(raw)) + raw)
            self.memoize(text)

        dispatch[str] = string
        dispatch[bytes] = string

    out = io.BytesIO()
    Raw(out, protocol=2).dump(value)
    return out.getvalue()


def text(v):
    return {float("inf"): "Infinity", float("-inf"): "-Infinity"}.get(v, v)


def main(folder):
    own = arrays()
    values = {}
    for name, a in own.items():
        a = np.asarray(a)
        a = a.astype(np.float32) if a.dtype.kind == "f" else a.astype(np.int32)
        values[name] = dict(shape=list(a.shape), values=[text(v) for v in a.astype(np.float64).ravel().tolist()])
    files = {str(protocol): pickle.dumps({"model": own, "__author__": "Detectron2 Model Zoo"}, protocol) for protocol in range(6)}
    files["python2"] = python2({"blobs": {**own, "f32_momentum": own["f32"], "lr": 0.1}, "cfg": "MODEL:\n  TYPE: x\n"})
    back = pickle.loads(files["python2"], encoding="latin1")
    for name, a in own.items():
        assert np.array_equal(back["blobs"][name], a), name
    with open(os.path.join(folder, f"numpy-{np.__version__[0]}.json"), "w") as out:
        origin = f"tools/golden/weights_numpy.py, numpy {np.__version__}, Python {sys.version.split()[0]}"
        json.dump(dict(origin=origin, files={k: base64.b64encode(v).decode() for k, v in files.items()}, arrays=values), out, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1])
