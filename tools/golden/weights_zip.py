"""Small zip archives by Python's zipfile: with 64-bit sizes throughout, and what is refused.

usage: python tools/golden/weights_zip.py packages/weights/test/golden
"""
import base64
import io
import json
import os
import sys
import zipfile

ENTRIES = {"archive/data.pkl": b"\x80\x02}.", "archive/data/0": bytes(range(256)) * 4, "archive/empty": b"", "archive/näme": b"n"}


def archive(limit=None, comment=b""):
    usual = zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT
    # Whatever is longer gets 64-bit sizes.
    if limit is not None:
        zipfile.ZIP64_LIMIT = zipfile.ZIP_FILECOUNT_LIMIT = limit
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in ENTRIES.items():
            with file.open(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), "w", force_zip64=limit is not None) as entry:
                entry.write(data)
        file.comment = comment
    zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT = usual
    return out.getvalue()


def deflated():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in ENTRIES.items():
            file.writestr(name, data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def main(folder):
    files = dict(plain=archive(), zip64=archive(limit=0), comment=archive(comment=b"0123 a comment, long enough for an end"), deflated=deflated())
    for name, data in files.items():
        assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None, name
    assert b"PK\x06\x06" in files["zip64"]
    with open(os.path.join(folder, "zip.json"), "w") as out:
        origin = f"tools/golden/weights_zip.py, Python {sys.version.split()[0]}"
        encoded = {name: base64.b64encode(data).decode() for name, data in files.items()}
        json.dump(dict(origin=origin, files=encoded, entries={name: base64.b64encode(data).decode() for name, data in ENTRIES.items()}), out, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1])
