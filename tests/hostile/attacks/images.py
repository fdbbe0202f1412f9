"""Outputs that are no image, another one than expected, or an attack on its reader."""

import os
import zlib

import h5py
import numpy as np
import tifffile
from imagecodecs import jpeg2k_encode, jpegxl_encode

from .tools import PLACE, SHAPE, at, good, mha, raw_tiff, tiff, truth, upwards

LABELS = "labels.tif"
HOST = "/etc/hostname"
TILE = 2**31 - 16
WIDE = np.zeros((1024, 8192), np.uint16)  # far more than the 32 x 32 pixels of a page


def cut_tiff():
    """bad output: labels.tif"""
    good()
    os.truncate(PLACE / LABELS, 3000)


def hdf5_in_a_tiff():
    """bad output: labels.tif"""
    with h5py.File(at(), "w") as file:
        file["image"] = truth()


def hdf5_that_points_elsewhere():
    """bad output: expected a file, .mha, .tif, .tiff"""
    with h5py.File(at("labels.h5"), "w") as file:
        file["image"] = h5py.ExternalLink(HOST, "x")


def ome_xml_that_names_another_file():
    """ok | bad output"""
    space = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    sizes = 'SizeX="32" SizeY="32" SizeZ="6" SizeC="1" SizeT="1" PhysicalSizeZ="2"'
    uuid = f'<UUID FileName="{upwards("canary/secret.tif")[4]}">urn:uuid:0</UUID>'
    raw_tiff(
        text=f'<?xml version="1.0"?><OME xmlns="{space}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        f'Type="uint16" PhysicalSizeX="1" PhysicalSizeY="1" {sizes} DimensionOrder="XYZCT">'
        f'<TiffData IFD="0" PlaneCount="6">{uuid}</TiffData></Pixels></Image></OME>'
    )


def metaimage_at_a_pipe():
    """bad output: a pipe"""
    mha(ElementDataFile="pipe")
    os.mkfifo(PLACE / "pipe")


def metaimage_at_a_second_file():
    """bad output: found 2"""
    mha(ElementDataFile="pixels.raw")
    (PLACE / "pixels.raw").write_bytes(bytes(12288))


ATTACKS = {
    "ok": {
        "valid_tiff_written_tag_by_tag": raw_tiff,
        "valid_metaimage_written_line_by_line": mha,
    },
    "bad output: expected shape (6, 32, 32), found (6, 31, 32)": {
        "other_shape": lambda: tiff(LABELS, truth()[:, :31]),
    },
    "bad output: labels.tif": {
        "complex_labels": lambda: tifffile.imwrite(at(), truth().astype(np.complex64)),
        "noise": lambda: at().write_bytes(os.urandom(4096)),
        "a_billion_voxels_in_a_tiny_file": lambda: raw_tiff(
            zlib.compress(bytes(2**20)), code=8, size=13000
        ),
        "size_of_2_to_the_31": lambda: raw_tiff(size=2**31 - 1),
    },
    "ok | bad output": {
        "labels_beyond_63_bits": lambda: mha(
            np.full(SHAPE, 2**63 + 5, np.uint64).tobytes(), ElementType="MET_ULONG_LONG"
        ),
        "strip_of_4_gb": lambda: raw_tiff(more=[(279, 4, 1, 2**32 - 1)]),
        "tiles_of_2_to_the_31": lambda: raw_tiff(
            more=[(322, 4, 1, TILE), (323, 4, 1, TILE), (324, 4, 1, 8), (325, 4, 1, 2048)]
        ),
    },
    "bad output: labels.mha": {
        "metaimage_at_a_file_of_the_host": lambda: mha(
            ElementDataFile=upwards("canary/secret.tif")[4]
        ),
    },
    "ok | bad output: labels.mha": {
        "metaimage_with_bytes_that_are_no_text": lambda: mha(Comment="\udcff\udcfe"),
        "metaimage_bomb": lambda: mha(zlib.compress(bytes(2**26)), CompressedData="True"),
    },
    "ok | bad output: labels.tif": {
        "jpeg2000_bomb": lambda: raw_tiff(jpeg2k_encode(WIDE), code=34712),
        "jpegxl_bomb": lambda: raw_tiff(jpegxl_encode(WIDE[:512]), code=50002),
    },
}
