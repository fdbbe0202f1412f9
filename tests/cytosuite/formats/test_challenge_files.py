"""Files of Fuse My Cells: both of its descriptions, all that can be wrong in them, and ours for its programs."""

import json

import numpy as np
import pytest
import tifffile

from cytosuite.errors import InputError
from cytosuite.formats import header, read, write
from cytosuite.metadata import described
from cytosuite.volume import Volume

ARRAY = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
SIZE = (1.0, 0.39, 0.195)  # µm; two different edges of a pixel tell y from x
SIZES = {"PhysicalSizeX": 0.195, "PhysicalSizeY": 0.39, "PhysicalSizeZ": 1.0}
KEYS = {"spacing": 1.0, **SIZES, "unit": "um", "channel": "nucleus", "study": 2}


def _template(path, array=ARRAY, **changes):
    """Write as the challenge's template does: big, tiled, µm as if they were inches, all in JSON."""
    words = {"shape": list(array.shape), "axes": "ZYX", **KEYS, **changes}
    words = {key: value for key, value in words.items() if value is not None}
    plane = (1 / 0.195, 1 / 0.39)
    tifffile.imwrite(path, array, bigtiff=True, tile=(128, 128), resolution=plane, metadata=words)
    return path


def _imagej(path, array=ARRAY, **changes):
    """Write as the files for training are: text of ImageJ, keys in small letters."""
    words = {"axes": "ZYX", **KEYS, **changes}
    words = {key: value for key, value in words.items() if value is not None}
    plane = (1 / 0.195, 1 / 0.39)
    tifffile.imwrite(path, array, imagej=True, resolution=plane, metadata=words)
    return path


BOTH = pytest.mark.parametrize("program", [_template, _imagej])


@BOTH
def test_both_descriptions_are_read_alike(tmp_path, program):
    found = read(program(tmp_path / "a.tif"))
    np.testing.assert_array_equal(found.array, ARRAY)
    assert (found.axes, found.spacing) == ("ZYX", pytest.approx(SIZE))
    assert dict(found.metadata) == {"channel": "nucleus", "study": 2}
    assert found.origin.warnings == ()
    assert set(found.origin.sources.values()) == {"json" if program is _template else "imagej"}
    assert header(tmp_path / "a.tif").spacing == pytest.approx(SIZE)


@BOTH
@pytest.mark.parametrize(
    "spacing",
    [
        [1.0, 0.39, 0.195],
        "[1.0, 0.39, 0.195]",
        "(1.0; 0.39; 0.195)",
        "1.0 0.39 0.195",
        "1.0",
        1,
        None,
    ],
)
def test_the_step_is_a_number_a_text_or_one_of_three(tmp_path, program, spacing):
    found = read(program(tmp_path / "a.tif", spacing=spacing))
    assert found.spacing == pytest.approx(SIZE)
    assert not found.spacing_is_assumed
    assert found.origin.warnings == ()


@BOTH
@pytest.mark.parametrize("spacing", [[1.0, 0.39, 0.195], "[1.0, 0.39, 0.195]"])
def test_a_list_needs_no_sizes_by_axis(tmp_path, program, spacing):
    found = read(program(tmp_path / "a.tif", spacing=spacing, **dict.fromkeys(SIZES)))
    assert found.spacing == pytest.approx(SIZE)


def test_values_may_be_texts_and_keys_of_another_spelling(tmp_path):
    words = {"physical_size_x": "0.195", "physical_size_y": "0.39", "physical_size_z": "1"}
    words |= dict.fromkeys(SIZES) | {"spacing": None, "study": "2", "channel": "Nuclei"}
    found = described(read(_template(tmp_path / "a.tif", **words)), {})
    assert found.spacing == SIZE
    assert dict(found.metadata) == {"channel": "nucleus", "study": "2"}


@BOTH
@pytest.mark.parametrize("step", [0, -1.0, "nan", "1 um"])
def test_a_step_that_is_none_does_not_hide_the_size_in_z(tmp_path, program, step):
    found = read(program(tmp_path / "a.tif", spacing=step))
    assert found.spacing == pytest.approx(SIZE)
    assert not found.spacing_is_assumed
    (line,) = found.origin.warnings
    assert "is no positive number and does not count" in line


@BOTH
def test_without_a_usable_step_one_is_assumed(tmp_path, program):
    found = read(program(tmp_path / "a.tif", spacing=0, PhysicalSizeZ=0))
    assert found.spacing_is_assumed
    assert found.spacing == pytest.approx((0.39, 0.39, 0.195))
    assert len(found.origin.warnings) == 1


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_one_number_that_is_none_does_not_cost_the_other_keys(tmp_path, number):
    found = read(_template(tmp_path / "a.tif", spacing=number, gain=number))
    assert found.spacing == SIZE
    assert dict(found.metadata) == {"channel": "nucleus", "study": 2}
    told = " ".join(found.origin.warnings)
    assert f"a voxel size of {number} (json) is no positive number" in told
    assert "metadata that no program can hold do not count: gain" in told
    assert len(found.origin.warnings) == 2


@BOTH
@pytest.mark.parametrize("spacing", [3.0, [3.0, 0.39, 0.195], [0.195, 0.39, 1.0]])
def test_sizes_by_axis_precede_a_spacing_that_contradicts_them(tmp_path, program, spacing):
    found = read(program(tmp_path / "a.tif", spacing=spacing))
    assert found.spacing == pytest.approx(SIZE)
    (line,) = found.origin.warnings
    assert "the file contradicts itself: it gives voxels of z 1, y 0.39, x 0.195 µm" in line


@pytest.mark.parametrize("sizes", [{"unit": "nm", "PhysicalSizeX": 195, "PhysicalSizeY": 390}])
def test_the_unit_is_that_of_sizes_by_axis_and_not_of_a_list(tmp_path, sizes):
    words = {**sizes, "PhysicalSizeZ": 1000, "spacing": [1.0, 0.39, 0.195]}
    found = read(_template(tmp_path / "a.tif", **words))
    assert found.spacing == pytest.approx(SIZE)
    assert found.origin.warnings == ()


TURNED = ["XYZ", "YXZ", "ZXY", "TYX", "CYX", "zyx", "QYX", "IYX"]


@pytest.mark.parametrize("axes", TURNED)
def test_a_stack_is_read_as_it_lies_whatever_its_axes_are_called(tmp_path, axes):
    path = _template(tmp_path / "a.tif", axes=axes)
    found = read(path, stack=True)
    np.testing.assert_array_equal(found.array, ARRAY)
    assert (found.axes, found.spacing) == ("ZYX", SIZE)
    assert header(path, stack=True).shape == (5, 6, 7)
    named = ", ".join(axes.lower())
    odd = f"axes odd: the file calls them {named}; a stack is z, y, x as it lies"
    right = axes in {"zyx", "QYX", "IYX"}
    assert found.origin.warnings == (() if right else (odd,))


@pytest.mark.parametrize("axes", ["XYZ", "TYX"])
def test_other_images_have_the_axes_that_their_file_names(tmp_path, axes):
    found = read(_template(tmp_path / "a.tif", axes=axes))
    assert (found.axes, found.shape) == {"XYZ": ("ZYX", (7, 6, 5)), "TYX": ("TYX", (5, 6, 7))}[axes]


def test_frames_of_imagej_are_slices_of_a_stack(tmp_path):
    path = _imagej(tmp_path / "a.tif", axes="TYX")
    assert read(path).axes == "TYX"
    assert (read(path, stack=True).axes, read(path, stack=True).spacing[0]) == ("ZYX", 1.0)


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("dtype", ["uint16", "int32", "int64"])
@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 6, 7), (5, 1, 7)])
def test_our_own_files_are_stacks(tmp_path, shape, dtype, as_json):
    volume = Volume(np.arange(np.prod(shape)).reshape(shape).astype(dtype), SIZE)
    write(tmp_path / "a.tif", volume, as_json=as_json)
    found = read(tmp_path / "a.tif", stack=True)
    np.testing.assert_array_equal(found.array, volume.array)
    assert (found.axes, found.spacing, found.origin.warnings) == ("ZYX", SIZE, ())
    assert header(tmp_path / "a.tif", stack=True) == header(tmp_path / "a.tif")


def test_planes_and_colours_are_no_stack(tmp_path):
    tifffile.imwrite(tmp_path / "plane.tif", ARRAY[0])
    assert read(tmp_path / "plane.tif", stack=True).axes == "YX"
    tifffile.imwrite(tmp_path / "colour.tif", ARRAY[:, :, :3], photometric="rgb")
    with pytest.raises(InputError, match="expected a grey image, found a colour image"):
        read(tmp_path / "colour.tif", stack=True)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("shape", [(1, 7, 9), (6, 130, 257), (5, 128, 128)])
def test_tiles_of_every_kind_are_read(tmp_path, shape, compression):
    array = np.random.default_rng(0).integers(0, 60_000, shape, np.uint16)
    tile = {"bigtiff": True, "tile": (128, 128), "compression": compression}
    tifffile.imwrite(tmp_path / "a.tif", array, metadata={"axes": "ZYX", **KEYS}, **tile)
    np.testing.assert_array_equal(read(tmp_path / "a.tif", stack=True).array, array)


def _as_the_template_reads(path):
    """Return pixels and keys as the published template finds them, with tifffile alone."""
    wanted = ("spacing", *SIZES, "unit", "axes", "channel", "shape", "study")
    with tifffile.TiffFile(path) as file:
        pixels = file.asarray()
        found = file.shaped_metadata
        words = (
            dict(found[0]) if found is not None else file.imagej_metadata | {"shape": pixels.shape}
        )
    spelt = {key: (key, key.lower(), f"physical_size_{key[-1].lower()}") for key in wanted}
    return pixels, {
        key: next(words[name] for name in names if name in words)
        for key, names in spelt.items()
        if any(name in words for name in names)
    }


@pytest.mark.parametrize("compress", [True, False])
def test_the_template_finds_all_keys_in_our_files(tmp_path, compress):
    volume = Volume(ARRAY, SIZE, "ZYX", {"channel": "membrane", "study": 3, "gain": 0.1})
    write(tmp_path / "a.tif", volume, compress=compress, as_json=True)
    pixels, found = _as_the_template_reads(tmp_path / "a.tif")
    np.testing.assert_array_equal(pixels, ARRAY)
    assert pixels.dtype == np.uint16
    expected = {**KEYS, "axes": "ZYX", "shape": [5, 6, 7], "channel": "membrane", "study": 3}
    assert found == expected
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = file.pages[0].tags
        assert tags["ResolutionUnit"].value == 3
        x, y = (tags[f"{axis}Resolution"].value for axis in "XY")
        assert (x[0] / x[1], y[0] / y[1]) == pytest.approx((1e4 / 0.195, 1e4 / 0.39))
        assert not file.pages[0].is_tiled


@BOTH
def test_what_the_template_finds_in_a_file_it_finds_in_our_copy(tmp_path, program):
    program(tmp_path / "a.tif")
    write(tmp_path / "b.tif", read(tmp_path / "a.tif"), as_json=True)
    first, second = (_as_the_template_reads(tmp_path / name) for name in ("a.tif", "b.tif"))
    np.testing.assert_array_equal(first[0], second[0])
    assert {**first[1], "axes": "ZYX", "shape": [5, 6, 7]} == second[1]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int64"])
@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 5, 6), (5, 6), (2, 4, 5, 6)])
def test_a_description_in_json_is_read_back(tmp_path, dtype, shape):
    axes, facts = (
        "TZYX"[-len(shape) :],
        {"channel": "nucleus µ", "study": "2", "shape": "odd", "n": 1},
    )
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    volume = Volume(array, SIZE[-len(shape) :], axes, facts)
    write(tmp_path / "a.tif", volume, as_json=True)
    found = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.array, array)
    assert (found.array.dtype, found.axes, found.spacing) == (array.dtype, axes, volume.spacing)
    assert dict(found.metadata) == {"channel": "nucleus µ", "study": "2", "n": 1}
    assert found.origin.warnings == ()


def test_an_unknown_voxel_size_stays_unknown_in_json(tmp_path):
    write(
        tmp_path / "a.tif",
        Volume(ARRAY, (1, 1, 1), "ZYX", {"spacing_source": "assumed"}),
        as_json=True,
    )
    assert read(tmp_path / "a.tif").spacing_is_assumed


def test_a_file_in_json_has_the_same_bytes_again_and_no_number_that_is_none(tmp_path):
    volume = Volume(ARRAY, SIZE, "ZYX", {"channel": "nucleus", "gain": float("nan")})
    for name in ("a.tif", "b.tif"):
        write(tmp_path / name, volume, as_json=True)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert "gain" not in json.loads(file.pages[0].description)


def test_a_large_file_has_long_offsets(tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.formats.tiffwriter.BIG", ARRAY.nbytes - 1)
    write(tmp_path / "a.tif", Volume(ARRAY, SIZE), as_json=True)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
    np.testing.assert_array_equal(read(tmp_path / "a.tif").array, ARRAY)
