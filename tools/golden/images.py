"""Image files of many kinds, and the RGB pixels that Pillow reads from them.

usage: python3 tools/golden/images.py packages/datasets/test/golden
needs Pillow (11.3 or later, for AVIF) and numpy
"""
import base64
import io
import json
import os
import struct
import sys
import zlib

import numpy as np
import PIL
from PIL import Image, ImageCms, ImageOps

rng = np.random.default_rng(0)
H, W = 5, 7
yy, xx = np.mgrid[:H, :W]
SMOOTH = np.stack([yy * 50, xx * 36, (yy + xx) * 23], 2).astype(np.uint8)
NOISE = rng.integers(0, 256, (H, W, 4), dtype=np.uint8)
NOISE[0, :2, 3] = 0
image = Image.fromarray


def saved(im, kind, **options):
    out = io.BytesIO()
    im.save(out, kind, **options)
    return out.getvalue()


def png16(values, color_type):
    """Pillow can't write 16-bit colour."""
    h, w = values.shape[:2]

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", w, h, 16, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def odd_profile():
    """sRGB with a gamma of 1: whoever applies it changes every pixel."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = profile.find(b"para", 200)
    profile[at + 12 : at + 16] = (0x00010000).to_bytes(4, "big")
    return bytes(profile)


def exif(orientation):
    tags = Image.Exif()
    tags[0x112] = orientation
    return tags


smooth, noise = image(SMOOTH), image(NOISE[..., :3])
palette = smooth.quantize(16)
cmyk = Image.fromarray(np.concatenate([SMOOTH, NOISE[..., 3:] // 2], 2), mode="CMYK")
icc = odd_profile()

FILES = {
    "png": saved(noise, "png"),
    "png with alpha": saved(image(NOISE), "png"),
    "grey png": saved(image(NOISE[..., 0]), "png"),
    "grey png with alpha": saved(image(NOISE[..., 2:].copy(), "LA"), "png"),
    "black and white png": saved(image(NOISE[..., 0] > 127), "png"),
    "palette png": saved(palette, "png"),
    "palette png with one transparent colour": saved(palette, "png", transparency=3),
    "palette png with transparencies": saved(palette, "png", transparency=bytes(range(0, 160, 10))),
    "png with a transparent colour": saved(noise, "png", transparency=tuple(int(v) for v in NOISE[0, 0, :3])),
    "16-bit png": png16(rng.integers(0, 65536, (3, 4, 3)), 2),
    "16-bit png with alpha": png16(rng.integers(0, 65536, (3, 4, 4)), 6),
    "16-bit grey png with alpha": png16(rng.integers(0, 65536, (3, 4, 2)), 4),
    "png with a colour profile": saved(smooth, "png", icc_profile=icc),
    "animated png": saved(smooth, "png", save_all=True, append_images=[noise]),
    "1x1 png": saved(smooth.crop((3, 3, 4, 4)), "png"),
    "jpeg 4:4:4": saved(noise, "jpeg", quality=90, subsampling=0),
    "jpeg 4:2:2": saved(noise, "jpeg", quality=90, subsampling=1),
    "jpeg 4:2:0": saved(noise, "jpeg", quality=90, subsampling=2),
    "progressive jpeg": saved(noise, "jpeg", quality=50, progressive=True),
    "grey jpeg": saved(image(SMOOTH[..., 0]), "jpeg"),
    "cmyk jpeg": saved(cmyk, "jpeg", quality=95),
    "jpeg with a colour profile": saved(smooth, "jpeg", icc_profile=icc),
    "1x1 jpeg": saved(smooth.crop((3, 3, 4, 4)), "jpeg"),
    "webp": saved(smooth, "webp", quality=80),
    "lossless webp with alpha": saved(image(NOISE), "webp", lossless=True, exact=True),
    "webp with a colour profile": saved(smooth, "webp", lossless=True, icc_profile=icc),
    "animated webp": saved(smooth, "webp", lossless=True, save_all=True, append_images=[noise]),
    "gif": saved(palette, "gif"),
    "animated gif": saved(palette, "gif", save_all=True, append_images=[noise.quantize(16)]),
    "tiff": saved(noise, "tiff", compression="tiff_lzw"),
    "cmyk tiff": saved(cmyk, "tiff"),
    "tiff of two pages": saved(smooth, "tiff", save_all=True, append_images=[noise]),
}
for turn in range(1, 9):
    FILES[f"jpeg of orientation {turn}"] = saved(smooth, "jpeg", quality=95, exif=exif(turn))
for turn in (6, 7):
    FILES[f"png of orientation {turn}"] = saved(smooth, "png", exif=exif(turn))
    FILES[f"webp of orientation {turn}"] = saved(smooth, "webp", lossless=True, exif=exif(turn))
LOSSY = {"avif": saved(smooth, "avif", quality=90, subsampling="4:4:4")}


def record(data):
    stored = Image.open(io.BytesIO(data))
    rgb = ImageOps.exif_transpose(stored).convert("RGB")
    pixels = base64.b64encode(rgb.tobytes()).decode()
    return dict(file=base64.b64encode(data).decode(), stored=list(stored.size), width=rgb.width, height=rgb.height, rgb=pixels)


def main(folder):
    os.makedirs(folder, exist_ok=True)
    origin = f"tools/golden/images.py, Pillow {PIL.__version__}: exif_transpose, convert('RGB')"
    out = dict(origin=origin, exact={k: record(v) for k, v in FILES.items()}, lossy={k: record(v) for k, v in LOSSY.items()})
    with open(os.path.join(folder, "images.json"), "w") as file:
        json.dump(out, file, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1])
