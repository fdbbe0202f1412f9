"""Outputs that are no image, another one than expected, or an attack on its reader."""

import json
import os
import zlib
from functools import partial

import h5py
import numpy as np
import tifffile

from .tools import FACTS, PLACE, SHAPE, at, bomb, good, mha, ome, raw_tiff, tiff, truth, upwards

LABELS = "labels.tif"
HOST = "/etc/hostname"
LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
TILE = 2**31 - 16


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
    uuid = f'<UUID FileName="{upwards("canary/secret.tif")[4]}">urn:uuid:0</UUID>'
    ome(f'<TiffData IFD="0" PlaneCount="6">{uuid}</TiffData></Pixels></Image></OME>')


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
    "bad output: expected spacing (2.0, 1.0, 1.0), found (2.0, 0.5, 0.5)": {
        "other_spacing": lambda: tiff(LABELS, spacing=(2.0, 0.5, 0.5)),
    },
    "bad output: expected axes ZYX, found TYX": {
        "times_for_planes": lambda: tiff(LABELS, axes="TYX"),
    },
    "bad output: expected axes ZYX, found CYX": {
        "channels_for_planes": lambda: tiff(LABELS, axes="CYX"),
    },
    "bad output: expected integers, found dtype float32": {
        "float_labels": lambda: tiff(LABELS, truth().astype(np.float32)),
        "labels_that_are_nan": lambda: tiff(LABELS, np.full(SHAPE, np.nan, np.float32)),
    },
    "bad output: expected labels >= 0, found -1": {
        "negative_labels": lambda: mha(
            np.full(SHAPE, -1, np.int16).tobytes(), ElementType="MET_SHORT"
        ),
    },
    "bad output: labels.tif": {
        "complex_labels": lambda: tifffile.imwrite(at(), truth().astype(np.complex64)),
        "noise": lambda: at().write_bytes(os.urandom(4096)),
        "a_billion_voxels_in_a_tiny_file": lambda: raw_tiff(
            zlib.compress(bytes(2**20)), code=8, size=13000
        ),
        "size_of_2_to_the_31": lambda: raw_tiff(size=2**31 - 1),
        "strip_outside_of_the_file": lambda: raw_tiff(more=[(273, 4, 1, 2**31)]),
        "numbers_of_65535_bits": lambda: raw_tiff(bits=65535),
    },
    "ok | bad output": {
        "labels_beyond_63_bits": lambda: mha(
            np.full(SHAPE, 2**63 + 5, np.uint64).tobytes(), ElementType="MET_ULONG_LONG"
        ),
        "page_that_follows_itself": lambda: raw_tiff(following=lambda page, places: places[page]),
        "pages_that_follow_each_other": lambda: raw_tiff(
            following=lambda page, places: places[1 - page % 2]
        ),
        "page_within_itself": lambda: raw_tiff(more=[(330, 4, 1, 8 + 2048 + 60)]),
        "strip_of_4_gb": lambda: raw_tiff(more=[(279, 4, 1, 2**32 - 1)]),
        "tiles_of_2_to_the_31": lambda: raw_tiff(
            more=[(322, 4, 1, TILE), (323, 4, 1, TILE), (324, 4, 1, 8), (325, 4, 1, 2048)]
        ),
        "description_with_lone_surrogates": lambda: raw_tiff(
            text=json.dumps({**FACTS, "channel": "\ud800"})
        ),
        "description_with_nan": lambda: raw_tiff(
            text=json.dumps({**FACTS, "spacing": [float("nan"), 1, 1]})
        ),
        "description_with_infinity": lambda: raw_tiff(
            text=json.dumps({**FACTS, "gain": float("inf")})
        ),
        "description_with_400_digits": lambda: raw_tiff(
            text=json.dumps({**FACTS, "gain": 10**400})
        ),
        "description_100000_deep": lambda: raw_tiff(text='{"spacing": ' + "[" * 10**5),
        "shape_that_is_none": lambda: raw_tiff(
            text=json.dumps({**FACTS, "shape": ["<b>", -1, True]})
        ),
        "cut_ome_xml": lambda: ome("", pixels=' DimensionOrder="ABC"'),
        "ome_xml_with_a_billion_laughs": lambda: ome(
            "<TiffData/></Pixels></Image>&a9;</OME>",
            f'<!DOCTYPE OME [<!ENTITY a0 "ha">{LAUGHS}]>',
        ),
    },
    "bad output: labels.mha": {
        "metaimage_at_a_file_of_the_container": lambda: mha(ElementDataFile=HOST),
        "metaimage_at_a_file_of_the_host": lambda: mha(
            ElementDataFile=upwards("canary/secret.tif")[4]
        ),
        "metaimage_at_itself": lambda: mha(ElementDataFile="labels.mha"),
        "metaimage_with_a_list": lambda: mha(b"labels.mha\n" * 6, ElementDataFile="LIST"),
        "metaimage_with_a_pattern": lambda: mha(ElementDataFile="%s%s%n 1 9 1"),
        "short_metaimage": lambda: mha(bytes(100)),
        "metaimage_without_a_size": lambda: mha(DimSize=None),
        "metaimage_of_text": lambda: mha(b"0 " * 6144, BinaryData="False"),
        "metaimage_of_minus_one_dimension": lambda: mha(NDims="-1"),
        "metaimage_of_2_to_the_62_voxels": lambda: mha(DimSize="2147483647 2147483647 1"),
        "metaimage_with_spacing_nan": lambda: mha(ElementSpacing="nan 0.001 0.002"),
    },
    "ok | bad output: labels.mha": {
        "metaimage_with_bytes_that_are_no_text": lambda: mha(Comment="\udcff\udcfe"),
        "metaimage_with_a_key_that_is_no_text": lambda: mha(**{"\udcff": "x"}),
        "metaimage_with_a_key_of_a_megabyte": lambda: mha(**{"k" * 10**6: "x"}),
        "metaimage_bomb": lambda: mha(zlib.compress(bytes(2**26)), CompressedData="True"),
    },
    "ok | bad output: labels.tif": {
        "jpeg_bomb": partial(bomb, "jpeg"),
        "deflate_bomb": partial(bomb, "deflate"),
        "lzw_bomb": partial(bomb, "lzw"),
        "packbits_bomb": partial(bomb, "packbits"),
        "jpeg2000_bomb": partial(bomb, "jpeg2k"),
        "lzma_bomb": partial(bomb, "lzma"),
        "lerc_bomb": partial(bomb, "lerc"),
        "zstd_bomb": partial(bomb, "zstd"),
        "jpegxl_bomb": partial(bomb, "jpegxl"),
    },
}
