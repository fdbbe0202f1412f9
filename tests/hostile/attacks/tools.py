"""Tools of the attacks beside it, with which they stand in the container."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

INPUT = Path(os.environ.get("CYTOSUITE_INPUT", "/input"))
OUT = Path(os.environ.get("CYTOSUITE_OUTPUT", "/output"))
PLACE = OUT / "images/instance-labels"
SHAPE, SPACING = (6, 32, 32), (2.0, 1.0, 1.0)
CODES = {"jpeg": 7, "deflate": 8, "lzw": 5, "packbits": 32773, "jpeg2k": 34712, "lzma": 34925}
CODES |= {"lerc": 34887, "zstd": 50000, "jpegxl": 50002}
FACTS = {"shape": SHAPE, "axes": "ZYX", "spacing": SPACING}
EVIL = "document.documentElement.dataset.hacked='yes'"
OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
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


def tiff(name, labels=None, spacing=SPACING, axes="ZYX", **more):
    """Write a TIFF file of labels, right ones if nothing else is given."""
    labels = truth() if labels is None else labels
    pixels = (1 / spacing[2], 1 / spacing[1])
    facts = {"axes": axes, "spacing": spacing[0], "unit": "um"}
    tifffile.imwrite(at(name), labels, imagej=True, resolution=pixels, metadata=facts, **more)


def good(name="labels.tif"):
    """Write the right answer under a name."""
    tiff(name)


def report(text):
    """Write the right answer, and something as the record."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    beside("record.json").write_bytes(data)


def raw_tiff(
    strip=bytes(2048), *, code=1, bits=16, pages=6, following=None, size=32, text="", more=()
):
    """Write a TIFF of pages that share a strip, tag by tag; without other arguments it is valid.

    `following` gives the offset of the page after a page, by its number and the offsets of all;
    `more` are tags as (number, type, count, value).
    """
    text = (text or json.dumps(FACTS)).encode("utf-8", "surrogatepass") + b"\0"
    begin = 8 + len(strip) + len(strip) % 2
    tags = [(256, 4, 1, size), (257, 4, 1, size), (258, 3, 1, bits), (259, 3, 1, code)]
    tags += [(262, 3, 1, 1), (270, 2, len(text), begin), (273, 4, 1, 8), (277, 3, 1, 1)]
    tags += [(278, 4, 1, size), (279, 4, 1, len(strip))]
    found = {tag[0]: tag for tag in [*tags, *more]}
    begin += len(text) + len(text) % 2
    room = 2 + 12 * len(found) + 4
    offsets = [begin + room * page for page in range(pages)]
    data = struct.pack("<2sHI", b"II", 42, offsets[0]) + strip + b"\0" * (len(strip) % 2)
    data = (data + text).ljust(begin, b"\0")
    for page in range(pages):
        data += struct.pack("<H", len(found))
        data += b"".join(struct.pack("<HHII", *found[number]) for number in sorted(found))
        after = following(page, offsets) if following else [*offsets, 0][page + 1]
        data += struct.pack("<I", after)
    at().write_bytes(data)


def bomb(codec):
    """Write pages of 32 x 32 whose strip decodes to some 100 MB, less where encoding is slow."""
    rows = {"jpegxl": 512, "lzma": 1024, "packbits": 512, "lzw": 1024, "jpeg2k": 1024}
    wide = np.zeros((rows.get(codec, 6144), 8192), np.uint8 if codec == "jpeg" else np.uint16)
    strip = getattr(imagecodecs, f"{codec}_encode")(wide)
    raw_tiff(strip, code=CODES[codec], bits=8 * wide.itemsize)


def mha(data=bytes(2 * 6 * 32 * 32), **keys):
    """Write a MetaImage with some keys of its header changed, None for one that is left out."""
    lines = {**MHA, **keys}
    lines["ElementDataFile"] = lines.pop("ElementDataFile")  # the last line
    head = "".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None)
    at("labels.mha").write_bytes(head.encode("utf-8", "surrogateescape") + data)


def ome(inside, before="", pixels=' DimensionOrder="XYZCT"'):
    """Write a TIFF with OME-XML: attributes and content of its pixels, text before it."""
    sizes = 'SizeX="32" SizeY="32" SizeZ="6" SizeC="1" SizeT="1" PhysicalSizeZ="2"'
    raw_tiff(
        text=f'<?xml version="1.0"?>{before}<OME xmlns="{OME}"><Image ID="Image:0"><Pixels '
        f'ID="Pixels:0" Type="uint16" PhysicalSizeX="1" PhysicalSizeY="1" {sizes}{pixels}>{inside}'
    )


def child(program):
    """Run a program in a process of its own; the server keeps its folder and its signals."""
    return subprocess.run([sys.executable, "-c", program], check=False).returncode


def upwards(name):
    """Return paths to a file beside the run, from any depth below it."""
    return ["../" * depth + name for depth in range(4, 12)]
