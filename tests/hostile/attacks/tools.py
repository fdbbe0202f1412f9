"""Tools of the attacks beside it, with which they stand in the container."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile

INPUT = Path(os.environ.get("CYTOSUITE_INPUT", "/input"))
OUT = Path(os.environ.get("CYTOSUITE_OUTPUT", "/output"))
PLACE = OUT / "images/instance-labels"
SHAPE = (6, 32, 32)
SPACING = (2.0, 1.0, 1.0)
FACTS = {"shape": SHAPE, "axes": "ZYX", "spacing": SPACING}
EVIL = "document.documentElement.dataset.hacked='yes'"
HTML = f'<script>{EVIL}</script><img src=x onerror="{EVIL}"><b>bold</b>'
MHA = {
    "ObjectType": "Image",
    "NDims": "3",
    "ElementSpacing": "0.001 0.001 0.002",
    "DimSize": "32 32 6",
    "ElementType": "MET_USHORT",
    "ElementDataFile": "LOCAL",
}


def truth():
    """Return the right labels of the case: its image is made of them."""
    (path,) = (INPUT / "images/microscopy-image").iterdir()
    return (tifffile.imread(path) // 100).astype(np.uint16)


def at(name="labels.tif"):
    """Return a path in the folder of the labels, which is made."""
    PLACE.mkdir(parents=True, exist_ok=True)
    return PLACE / name


def beside(name):
    """Write the right answer and return a path beside it."""
    good()
    return OUT / name


def tiff(name, labels):
    """Write a TIFF file of labels."""
    facts = {"axes": "ZYX", "spacing": SPACING[0], "unit": "um"}
    tifffile.imwrite(at(name), labels, imagej=True, resolution=(1, 1), metadata=facts)


def good(name="labels.tif"):
    """Write the right answer under a name."""
    tiff(name, truth())


def report(text):
    """Write the right answer, and something as the record."""
    beside("record.json").write_text(text)


def raw_tiff(strip=bytes(2048), *, code=1, size=32, text="", more=()):
    """Write a TIFF of pages that share a strip, tag by tag; without other arguments it is valid.

    `more` are tags as (number, type, count, value).
    """
    text = (text or json.dumps(FACTS)).encode() + b"\0"
    begin = 8 + len(strip) + len(strip) % 2
    tags = [(256, 4, 1, size), (257, 4, 1, size), (258, 3, 1, 16), (259, 3, 1, code)]
    tags += [(262, 3, 1, 1), (270, 2, len(text), begin), (273, 4, 1, 8), (277, 3, 1, 1)]
    tags += [(278, 4, 1, size), (279, 4, 1, len(strip))]
    by_number = {tag[0]: tag for tag in [*tags, *more]}
    begin += len(text) + len(text) % 2
    room = 2 + 12 * len(by_number) + 4
    offsets = [begin + room * page for page in range(6)]
    data = struct.pack("<2sHI", b"II", 42, offsets[0]) + strip + b"\0" * (len(strip) % 2)
    data = (data + text).ljust(begin, b"\0")
    for after in (*offsets[1:], 0):
        data += struct.pack("<H", len(by_number))
        data += b"".join(struct.pack("<HHII", *by_number[number]) for number in sorted(by_number))
        data += struct.pack("<I", after)
    at().write_bytes(data)


def mha(data=bytes(2 * 6 * 32 * 32), **keys):
    """Write a MetaImage with some keys of its header changed."""
    lines = {**MHA, **keys}
    lines["ElementDataFile"] = lines.pop("ElementDataFile")  # the last line
    head = "".join(f"{key} = {value}\n" for key, value in lines.items())
    at("labels.mha").write_bytes(head.encode("utf-8", "surrogateescape") + data)


def child(program):
    """Run a program in a process of its own; the server keeps its folder and its signals."""
    return subprocess.run([sys.executable, "-c", program], check=False).returncode


def upwards(name):
    """Return paths to a file beside the run, from any depth below it."""
    return ["../" * depth + name for depth in range(4, 12)]
