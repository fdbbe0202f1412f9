"""TIFFs of ours in other programs, and of other programs in ours: the voxel size arrives."""

import json
import shutil
import subprocess

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile

from cytosuite.formats import header, read, write
from cytosuite.volume import Volume

SPACING = (1.5, 0.25, 0.2)
DTYPES = ["uint8", "uint16", "int16", "uint32", "int32", "float32"]
IMAGEJ = shutil.which("imagej") and shutil.which("xvfb-run") and shutil.which("java")
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


@pytest.mark.parametrize("shape", [(4, 5, 6), (5, 6), (1, 5, 6), (5, 4, 3), (2, 3, 4, 5, 6)])
@pytest.mark.parametrize("dtype", [*DTYPES, "int8", "float64", "uint64", "int64", "float16"])
def test_all_is_read_back(tmp_path, dtype, shape):
    volume = _volume(dtype, shape=shape)
    write(tmp_path / "a.tif", volume)
    found = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.array, volume.array)
    assert (found.array.dtype, found.axes) == (volume.array.dtype, volume.axes)
    assert found.spacing == volume.spacing
    assert dict(found.metadata) == dict(volume.metadata)
    assert found.origin.warnings == ()
    assert header(tmp_path / "a.tif").shape == shape


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bytes_repeat(tmp_path, dtype):
    for name in ("a.tif", "b.tif"):
        write(tmp_path / name, _volume(dtype))
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_each_ome_file_has_a_name_of_its_own(tmp_path):
    names = set()
    for number in range(3):
        array = np.full((2, 3, 4), number, np.uint32)
        write(tmp_path / "a.tif", Volume(array, SPACING))
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            names.add(tifffile.xml2dict(file.ome_metadata)["OME"]["UUID"])
    assert len(names) == 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_platform_finds_pixels_per_centimetre(tmp_path, dtype):
    write(tmp_path / "a.tif", _volume(dtype))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = file.pages[0].tags
        assert tags["ResolutionUnit"].value == 3
        x, y = (tags[f"{axis}Resolution"].value for axis in "XY")
        assert (x[0] / x[1], y[0] / y[1]) == pytest.approx((1e4 / 0.2, 1e4 / 0.25))
        assert not file.pages[0].is_tiled


def test_containers_of_others_find_their_keys_in_the_text(tmp_path):
    write(tmp_path / "a.tif", _volume(channel="nucleus"))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        found = file.imagej_metadata
    assert (found["channel"], found["study"], found["unit"]) == ("nucleus", 2, "cm")
    sizes = [found["spacing"], found["physicalsizey"], found["physicalsizex"]]
    assert sizes == pytest.approx([size / 1e4 for size in SPACING])
    assert found["physicalsizez"] == found["spacing"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_simpleitk_reads_pixels_and_the_plane_in_millimetres(tmp_path, dtype):
    write(tmp_path / "a.tif", _volume(dtype))
    found = sitk.ReadImage(str(tmp_path / "a.tif"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), _volume(dtype).array)
    assert found.GetSpacing()[:2] == pytest.approx((0.0002, 0.00025))
    # ITK knows no step in TIFFs, not in its own either; a MetaImage has all three.
    assert found.GetSpacing()[2] == 1.0
    write(tmp_path / "a.mha", read(tmp_path / "a.tif"))
    spacing = sitk.ReadImage(str(tmp_path / "a.mha")).GetSpacing()
    assert spacing == pytest.approx((0.0002, 0.00025, 0.0015))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("dtype", DTYPES)
def test_bioio_reads_all_three(tmp_path, dtype):
    pytest.importorskip("bioio_tifffile", reason="needs cytosuite[formats]")
    from bioio import BioImage

    write(tmp_path / "a.tif", _volume(dtype))
    found = BioImage(tmp_path / "a.tif")
    sizes = found.physical_pixel_sizes
    assert pytest.approx(SPACING) == [sizes.Z, sizes.Y, sizes.X]
    np.testing.assert_array_equal(found.get_image_data("ZYX"), _volume(dtype).array)


@pytest.mark.slow
@pytest.mark.skipif(not IMAGEJ, reason="needs ImageJ: apt-get install imagej xvfb xauth")
def test_imagej_reads_all_three_and_what_it_saves_is_read(tmp_path):
    (tmp_path / "macro.ijm").write_text(MACRO)
    wanted = {
        "a": _volume("uint16"),
        "b": _volume("float32"),
        "c": _volume("uint8", (1.0, 0.25, 0.2)),
        "set": _volume("uint16", spacing_source="assumed"),
    }
    for name, volume in wanted.items():
        write(tmp_path / f"{name}.tif", volume)
    files = " ".join(str(tmp_path / f"{name}.tif") for name in wanted)
    command = ["xvfb-run", "-a", "java", "-jar", "/usr/share/java/ij.jar", "-batch"]
    lines = subprocess.run(
        [*command, str(tmp_path / "macro.ijm"), files],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout.splitlines()
    assert lines[:3] == ["4 16 1.5 0.25 0.2 µm", "4 32 1.5 0.25 0.2 µm", "4 8 1 0.25 0.2 µm"]
    for name in ("a", "b", "c"):
        found = read(tmp_path / f"{name}.tif.saved.tif")
        assert found.spacing == wanted[name].spacing
        assert dict(found.metadata) == dict(wanted[name].metadata)
        np.testing.assert_array_equal(found.array, wanted[name].array)
    found = read(tmp_path / "set.tif.saved.tif")
    assert found.spacing == pytest.approx((3.0, 0.5, 0.5))
    assert not found.spacing_is_assumed
    assert found.metadata["study"] == 2


def _simpleitk(path, array):
    """z 0.25, y 0.25, x 0.2, assumed"""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.0002, 0.00025, 0.0015))
    sitk.WriteImage(image, str(path))


def _imagej(path, array):
    """z 1.5, y 0.25, x 0.2, known"""
    metadata = {"axes": "ZYX", "spacing": 1.5, "unit": "micron"}
    tifffile.imwrite(path, array, imagej=True, resolution=(5, 4), metadata=metadata)


def _imagej_with_a_step_of_one(path, array):
    """z 1, y 0.25, x 0.2, known"""
    metadata = {"ImageJ": "1.53t", "axes": "ZYX", "unit": "micron"}
    tifffile.imwrite(path, array, imagej=True, resolution=(5, 4), metadata=metadata)


def _imagej_on_the_platform(path, array):
    """z 1.5, y 0.25, x 0.2, known"""
    metadata = {"axes": "ZYX", "spacing": 1.5, "unit": "um"}
    plane = {"resolution": (5e4, 4e4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, array, imagej=True, metadata=metadata, **plane)


def _ome(path, array):
    """z 1.5, y 0.25, x 0.2, known"""
    sizes = {"PhysicalSizeX": 200, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25}
    sizes |= {"PhysicalSizeZ": 0.0015, "PhysicalSizeZUnit": "mm"}
    tifffile.imwrite(path, array, ome=True, metadata={"axes": "ZYX", **sizes})


def _plane_on_the_platform(path, array):
    """z 0.25, y 0.25, x 0.2, assumed"""
    plane = {"resolution": (5e4, 4e4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, array, photometric="minisblack", **plane)


def _json(path, array):
    """z 1.5, y 0.25, x 0.2, known"""
    metadata = {"axes": "ZYX", "spacing": SPACING, "unit": "um"}
    tifffile.imwrite(path, array, photometric="minisblack", metadata=metadata)


def _dots_per_inch(path, array):
    """z 1, y 1, x 1, assumed"""
    tifffile.imwrite(path, array, photometric="minisblack", resolution=(1200, 1200))


@pytest.mark.parametrize(
    "program",
    [
        _simpleitk,
        _imagej,
        _imagej_with_a_step_of_one,
        _imagej_on_the_platform,
        _ome,
        _plane_on_the_platform,
        _json,
        _dots_per_inch,
    ],
)
def test_the_voxel_size_of_each_program_is_read(tmp_path, program):
    program(tmp_path / "a.tif", _volume().array)
    found = read(tmp_path / "a.tif")
    z, y, x = found.spacing
    known = "assumed" if found.spacing_is_assumed else "known"
    assert f"z {z:.6g}, y {y:.6g}, x {x:.6g}, {known}" == program.__doc__


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_an_unknown_voxel_size_stays_unknown(tmp_path, dtype):
    write(tmp_path / "a.tif", _volume(dtype, (1.0, 1.0, 1.0), spacing_source="assumed"))
    assert read(tmp_path / "a.tif").spacing_is_assumed


def test_a_file_that_another_program_scaled_has_the_new_geometry(tmp_path):
    write(tmp_path / "a.tif", _volume())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        info = file.imagej_metadata["Info"]
    metadata = {"axes": "ZYX", "spacing": 3.0, "unit": "micron", "Info": info}
    small = np.zeros((2, 5, 6), np.uint16)
    tifffile.imwrite(tmp_path / "b.tif", small, imagej=True, resolution=(5, 4), metadata=metadata)
    found = read(tmp_path / "b.tif")
    assert found.shape == (2, 5, 6)
    assert found.spacing == pytest.approx((3.0, 0.25, 0.2))
    assert found.metadata["channel"] == "nucleus µ"


@pytest.mark.parametrize(
    "wrong",
    [
        {"axes": "ZZX"},
        {"axes": 3},
        {"axes": "ABC"},
        {"shape": [5, 6]},
        {"shape": "456"},
        {"shape": [4.0, 5.0, 6.0]},
        {"spacing": ["a", "b", "c"]},
        {"spacing": [1.5, -1, 0.2]},
        {"spacing": [1.5, 0.2]},
        {"spacing": None},
    ],
)
def test_info_that_only_looks_like_ours_does_not_count(tmp_path, wrong):
    info = {"axes": "ZYX", "shape": [4, 5, 6], "spacing": list(SPACING), "study": 2} | wrong
    metadata = {"axes": "ZYX", "spacing": 3.0, "unit": "micron", "Info": json.dumps(info)}
    array = _volume().array
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, resolution=(5, 4), metadata=metadata)
    found = read(tmp_path / "a.tif")
    assert found.spacing == pytest.approx((3.0, 0.25, 0.2))
    assert found.origin.sources["spacing"] == "imagej"
