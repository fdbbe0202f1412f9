"""Outputs that are no image, another one than expected, or an attack on its reader."""

import json
import os
import zlib

import numpy as np
import tifffile

from .tools import (
    FACTS,
    PLACE,
    SHAPE,
    bomb,
    good,
    mha,
    ome,
    raw_tiff,
    tiff,
    truth,
    upwards,
)

LABELS = PLACE / "labels.tif"
HOST = "/etc/hostname"


def valid_tiff_written_tag_by_tag():
    """ok"""
    raw_tiff()


def valid_metaimage_written_line_by_line():
    """ok"""
    mha()


def other_shape():
    """bad output: expected shape (6, 32, 32), found (6, 31, 32)"""
    tiff(LABELS, truth()[:, :31])


def other_spacing():
    """bad output: expected spacing (2.0, 1.0, 1.0), found (2.0, 0.5, 0.5)"""
    tiff(LABELS, spacing=(2.0, 0.5, 0.5))


def times_for_planes():
    """bad output: expected axes ZYX, found TYX"""
    tiff(LABELS, axes="TYX")


def channels_for_planes():
    """bad output: expected axes ZYX, found CYX"""
    tiff(LABELS, axes="CYX")


def float_labels():
    """bad output: expected integers, found dtype float32"""
    tiff(LABELS, truth().astype(np.float32))


def labels_that_are_nan():
    """bad output: expected integers, found dtype float32"""
    tiff(LABELS, np.full(SHAPE, np.nan, np.float32))


def complex_labels():
    """bad output: labels.tif"""
    PLACE.mkdir(parents=True)
    tifffile.imwrite(LABELS, truth().astype(np.complex64))


def negative_labels():
    """bad output: expected labels >= 0, found -1"""
    mha(np.full(SHAPE, -1, np.int16).tobytes(), ElementType="MET_SHORT")


def labels_beyond_63_bits():
    """ok | bad output"""
    mha(np.full(SHAPE, 2**63 + 5, np.uint64).tobytes(), ElementType="MET_ULONG_LONG")


def cut_tiff():
    """bad output: labels.tif"""
    good()
    os.truncate(LABELS, 3000)


def noise():
    """bad output: labels.tif"""
    PLACE.mkdir(parents=True)
    LABELS.write_bytes(os.urandom(4096))


def hdf5_in_a_tiff():
    """bad output: labels.tif"""
    import h5py

    PLACE.mkdir(parents=True)
    with h5py.File(LABELS, "w") as file:
        file["image"] = truth()


def hdf5_that_points_elsewhere():
    """bad output: expected a file, .mha, .tif, .tiff"""
    import h5py

    PLACE.mkdir(parents=True)
    with h5py.File(PLACE / "labels.h5", "w") as file:
        file["image"] = h5py.ExternalLink(HOST, "x")


def a_billion_voxels_in_a_tiny_file():
    """bad output: labels.tif"""
    raw_tiff(zlib.compress(bytes(2**20)), code=8, size=13000)


def size_of_2_to_the_31():
    """bad output: labels.tif"""
    raw_tiff(size=2**31 - 1)


def page_that_follows_itself():
    """bad output | ok"""
    raw_tiff(following=lambda page, offsets: offsets[page])


def pages_that_follow_each_other():
    """bad output | ok"""
    raw_tiff(following=lambda page, offsets: offsets[1 - page % 2])


def page_within_itself():
    """bad output | ok"""
    raw_tiff(more=[(330, 4, 1, 8 + 2048 + 60)])


def strip_outside_of_the_file():
    """bad output: labels.tif"""
    raw_tiff(more=[(273, 4, 1, 2**31)])


def strip_of_4_gb():
    """bad output | ok"""
    raw_tiff(more=[(279, 4, 1, 2**32 - 1)])


def tiles_of_2_to_the_31():
    """bad output | ok"""
    tile = 2**31 - 16
    raw_tiff(more=[(322, 4, 1, tile), (323, 4, 1, tile), (324, 4, 1, 8), (325, 4, 1, 2048)])


def numbers_of_65535_bits():
    """bad output: labels.tif"""
    raw_tiff(bits=65535)


def description_with_lone_surrogates():
    """ok | bad output"""
    raw_tiff(text=json.dumps({**FACTS, "channel": "\ud800"}))


def description_with_nan():
    """ok | bad output"""
    raw_tiff(text=json.dumps({**FACTS, "spacing": [float("nan"), 1, 1]}))


def description_with_infinity():
    """ok | bad output"""
    raw_tiff(text=json.dumps({**FACTS, "gain": float("inf")}))


def description_with_400_digits():
    """ok | bad output"""
    raw_tiff(text=json.dumps({**FACTS, "gain": 10**400}))


def description_100000_deep():
    """ok | bad output"""
    raw_tiff(text='{"spacing": ' + "[" * 10**5)


def shape_that_is_none():
    """ok | bad output"""
    raw_tiff(text=json.dumps({**FACTS, "shape": ["<b>", -1, True]}))


def cut_ome_xml():
    """ok | bad output"""
    ome("", pixels=' DimensionOrder="ABC"')


def ome_xml_with_a_billion_laughs():
    """ok | bad output"""
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    before = f'<!DOCTYPE OME [<!ENTITY a0 "ha">{entities}]>'
    ome("<TiffData/></Pixels></Image>&a9;</OME>", before)


def ome_xml_that_names_another_file():
    """ok | bad output"""
    uuid = f'<UUID FileName="{upwards("canary/secret.tif")[4]}">urn:uuid:0</UUID>'
    ome(f'<TiffData IFD="0" PlaneCount="6">{uuid}</TiffData></Pixels></Image></OME>')


def metaimage_at_a_file_of_the_container():
    """bad output: labels.mha"""
    mha(ElementDataFile=HOST)


def metaimage_at_a_file_of_the_host():
    """bad output: labels.mha"""
    mha(ElementDataFile=upwards("canary/secret.tif")[4])


def metaimage_at_a_pipe():
    """bad output: a pipe"""
    mha(ElementDataFile="pipe")
    os.mkfifo(PLACE / "pipe")


def metaimage_at_a_second_file():
    """bad output: found 2"""
    mha(ElementDataFile="pixels.raw")
    (PLACE / "pixels.raw").write_bytes(bytes(12288))


def metaimage_at_itself():
    """bad output: labels.mha"""
    mha(ElementDataFile="labels.mha")


def metaimage_with_a_list():
    """bad output: labels.mha"""
    mha(b"labels.mha\n" * 6, ElementDataFile="LIST")


def metaimage_with_a_pattern():
    """bad output: labels.mha"""
    mha(ElementDataFile="%s%s%n 1 9 1")


def short_metaimage():
    """bad output: labels.mha"""
    mha(bytes(100))


def metaimage_without_a_size():
    """bad output: labels.mha"""
    mha(DimSize=None)


def metaimage_of_text():
    """bad output: labels.mha"""
    mha(b"0 " * 6144, BinaryData="False")


def metaimage_of_minus_one_dimension():
    """bad output: labels.mha"""
    mha(NDims="-1")


def metaimage_of_2_to_the_62_voxels():
    """bad output: labels.mha"""
    mha(DimSize="2147483647 2147483647 1")


def metaimage_with_spacing_nan():
    """bad output: labels.mha"""
    mha(ElementSpacing="nan 0.001 0.002")


def metaimage_with_bytes_that_are_no_text():
    """ok | bad output: labels.mha"""
    mha(Comment="\udcff\udcfe")


def metaimage_with_a_key_that_is_no_text():
    """ok | bad output: labels.mha"""
    mha(**{"\udcff": "x"})


def metaimage_with_a_key_of_a_megabyte():
    """ok | bad output: labels.mha"""
    mha(**{"k" * 10**6: "x"})


def metaimage_bomb():
    """ok | bad output: labels.mha"""
    mha(zlib.compress(bytes(2**26)), CompressedData="True")


def jpeg_bomb():
    """ok | bad output: labels.tif"""
    bomb("jpeg")


def deflate_bomb():
    """ok | bad output: labels.tif"""
    bomb("deflate")


def lzw_bomb():
    """ok | bad output: labels.tif"""
    bomb("lzw")


def packbits_bomb():
    """ok | bad output: labels.tif"""
    bomb("packbits")


def jpeg2000_bomb():
    """ok | bad output: labels.tif"""
    bomb("jpeg2k")


def lzma_bomb():
    """ok | bad output: labels.tif"""
    bomb("lzma")


def lerc_bomb():
    """ok | bad output: labels.tif"""
    bomb("lerc")


def zstd_bomb():
    """ok | bad output: labels.tif"""
    bomb("zstd")


def jpegxl_bomb():
    """ok | bad output: labels.tif"""
    bomb("jpegxl")
