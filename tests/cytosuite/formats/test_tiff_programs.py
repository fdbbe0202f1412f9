"""Files of ours in ours, TIFFs in other programs, and theirs in ours: the voxel size arrives."""

import json
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
from macros import needs_imagej, printed
from mistakes import refused
from rasters import same

from cytosuite.formats import channels, header, read, write
from cytosuite.volume import Header, Volume

SPACING = (1.5, 0.25, 0.2)
DTYPES = ["uint8", "uint16", "int16", "uint32", "int32", "float32"]
MACRO = """
files = split(getArgument(), " ");
for (i = 0; i < files.length; i++) {
    open(files[i]);
    getVoxelSize(x, y, z, unit);
    print(nSlices + " " + bitDepth() + " " + z + " " + y + " " + x + " " + unit);
    if (startsWith(getTitle(), "set")) setVoxelSize(0.5, 0.5, 3, "um");
    saveAs("Tiff", files[i] + ".saved.tif");
    close();
}
"""


def _volume(dtype="uint16", spacing=SPACING, shape=(4, 5, 6), **metadata):
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    facts = {"channel": "nucleus µ", "study": 2, "gain": 0.1} | metadata
    return Volume(values, spacing[-len(shape) :], "TCZYX"[-len(shape) :], facts)


SHAPES = [
    (4, 5, 6),
    (5, 6),
    (1, 5, 6),
    (5, 7, 1),
    (5, 4, 3),
    (2, 3, 5, 6),
    (3, 3, 5, 6),
    (2, 3, 4, 5, 6),
]


ALL = [*DTYPES, "int8", "float64", "uint64", "int64", "float16", "bool"]
KINDS = [*product([".tif"], ALL, SHAPES)]  # of which TIFF has several layouts
KINDS += product([".mha", ".h5", ".ome.zarr", ".ozx"], ALL, SHAPES[:1])
KINDS += product([".mha", ".h5", ".ome.zarr", ".ozx"], ALL[:1], SHAPES[1:])


@pytest.mark.parametrize("suffix, dtype, shape", KINDS)
def test_all_is_read_back(tmp_path, suffix, dtype, shape):
    volume = _volume(dtype, shape=shape)
    path = tmp_path / f"a{suffix}"
    if suffix == ".mha" and (len(shape) > 3 or dtype in ("float16", "bool")):
        refused("MetaImage (holds the axes|cannot hold dtype)", write, path, volume)
        return
    write(path, volume)
    stored = read(path)
    same(stored.array, volume.array)
    assert (stored.array.dtype, stored.axes) == (volume.array.dtype, volume.axes)
    assert stored.spacing == volume.spacing
    assert dict(stored.metadata) == dict(volume.metadata)
    assert stored.origin.warnings == ()
    for pick in ({"T": -1}, {"C": 3}, {"Z": 0}) if len(shape) == 5 else ():
        refused("expected", read, path, pick)
    if suffix != ".h5":
        assert header(str(path)) == Header(shape, stored.array.dtype, stored.spacing, stored.axes)


def test_channels_are_those_of_a_hyperstack(tif):
    write(tif, _volume(shape=(2, 3, 5, 6), channels="cytoplasm, nuclei"))
    assert channels(str(tif)) == ["cytoplasm", "nuclei"]
    with tifffile.TiffFile(tif) as file:
        metadata = file.imagej_metadata
    assert (metadata["channels"], metadata["slices"], metadata["mode"]) == (2, 3, "composite")


def test_containers_of_others_find_their_keys_in_the_text(tif):
    write(tif, _volume(channel="nucleus"))
    with tifffile.TiffFile(tif) as file:
        metadata = file.imagej_metadata
    assert (metadata["channel"], metadata["study"], metadata["unit"]) == ("nucleus", 2, "cm")
    sizes = [metadata["spacing"], metadata["physicalsizey"], metadata["physicalsizex"]]
    assert sizes == pytest.approx([size / 1e4 for size in SPACING])
    assert metadata["physicalsizez"] == metadata["spacing"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_simpleitk_reads_pixels_and_the_plane_in_millimetres(tif, dtype):
    write(tif, _volume(dtype))
    image = sitk.ReadImage(str(tif))
    same(sitk.GetArrayFromImage(image), _volume(dtype).array)
    assert image.GetSpacing()[:2] == pytest.approx((0.0002, 0.00025))
    assert image.GetSpacing()[2] == 1.0  # ITK knows no step in TIFFs, not in its own either


@pytest.mark.slow
@needs_imagej
def test_imagej_reads_all_three_and_what_it_saves_is_read(tmp_path):
    volumes = {
        "a": _volume("uint16"),
        "b": _volume("float32"),
        "c": _volume("uint8", (1.0, 0.25, 0.2)),
        "set": _volume("uint16", spacing_source="assumed"),
    }
    for name, volume in volumes.items():
        write(tmp_path / f"{name}.tif", volume)
    lines = printed(tmp_path, MACRO, " ".join(str(tmp_path / f"{name}.tif") for name in volumes))
    assert lines[:3] == ["4 16 1.5 0.25 0.2 µm", "4 32 1.5 0.25 0.2 µm", "4 8 1 0.25 0.2 µm"]
    for name in ("a", "b", "c"):
        stored = read(tmp_path / f"{name}.tif.saved.tif")
        assert stored.spacing == volumes[name].spacing
        assert dict(stored.metadata) == dict(volumes[name].metadata)
        same(stored.array, volumes[name].array)
    stored = read(tmp_path / "set.tif.saved.tif")
    assert stored.spacing == pytest.approx((3.0, 0.5, 0.5))
    assert not stored.spacing_is_assumed
    assert stored.metadata["study"] == 2


KNOWN = "z 1.5, y 0.25, x 0.2, known"
GREY = {"photometric": "minisblack"}
PLANE = {"resolution": (5e4, 4e4), "resolutionunit": "CENTIMETER"}
IMAGEJ_UM = {"imagej": True, "resolution": (5, 4)}
STEP = {"axes": "ZYX", "spacing": 1.5, "unit": "micron"}
OME = {"PhysicalSizeX": 200, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25}
OME |= {"PhysicalSizeZ": 0.0015, "PhysicalSizeZUnit": "mm", "axes": "ZYX"}
PROGRAMS = [
    (KNOWN, {**IMAGEJ_UM, "metadata": STEP}),
    (
        "z 1, y 0.25, x 0.2, known",
        {**IMAGEJ_UM, "metadata": {"ImageJ": "1.53t", "axes": "ZYX", "unit": "micron"}},
    ),  # it leaves out a step of one
    (KNOWN, {"imagej": True, "metadata": {**STEP, "unit": "um"}, **PLANE}),  # the platform's
    (KNOWN, {"ome": True, "metadata": OME}),
    ("z 0.25, y 0.25, x 0.2, assumed", {**GREY, **PLANE}),
    ("z 1, y 1, x 1, assumed", {**GREY, "resolution": (1200, 1200)}),  # of a printer
    (KNOWN, {**GREY, "metadata": {"axes": "ZYX", "spacing": SPACING, "unit": "um"}}),
    (KNOWN, {**GREY, "metadata": {"axes": "ZYX", "spacing": [1500, 250, 200], "unit": "nm"}}),
    (KNOWN, {**GREY, "metadata": OME}),  # its keys in JSON
]


@pytest.mark.parametrize("expected, options", PROGRAMS)
def test_the_voxel_size_of_each_program_is_read(tif, expected, options):
    tifffile.imwrite(tif, _volume().array, **options)
    volume = read(tif)
    z, y, x = volume.spacing
    source = "assumed" if volume.spacing_is_assumed else "known"
    assert f"z {z:.6g}, y {y:.6g}, x {x:.6g}, {source}" == expected
    assert not any("unit" in key.lower() for key in volume.metadata)


WRONG = [("axes", "ZZX"), ("axes", 3), ("shape", [5, 6]), ("shape", "456"), ("spacing", None)]
WRONG += [("shape", [4.0, 5.0, 6.0]), ("spacing", [1.5, -1, 0.2]), ("spacing", [1.5, 0.2])]
WRONG += [("shape", [2, 5, 6])]  # scaled by another program


@pytest.mark.parametrize("key, value", WRONG)
def test_info_that_only_looks_like_ours_does_not_count(tif, key, value):
    info = {"axes": "ZYX", "shape": [4, 5, 6], "spacing": list(SPACING), "study": 2, key: value}
    metadata = {"axes": "ZYX", "spacing": 3.0, "unit": "micron", "Info": json.dumps(info)}
    tifffile.imwrite(tif, _volume().array, imagej=True, resolution=(5, 4), metadata=metadata)
    volume = read(tif)
    assert volume.spacing == pytest.approx((3.0, 0.25, 0.2))
    assert volume.origin.sources["spacing"] == "imagej"
