"""Files of Fuse My Cells: both of its descriptions, all that can be wrong in them, and ours for its programs."""

import numpy as np
import pytest
import tifffile
from rasters import counted, same

from cytosuite.formats import header, read, write
from cytosuite.volume import Volume

ARRAY = counted(5, 6, 7)
SIZE = (1.0, 0.39, 0.195)  # µm; two different edges of a pixel tell y from x
SIZES = {"PhysicalSizeX": 0.195, "PhysicalSizeY": 0.39, "PhysicalSizeZ": 1.0}
KEYS = {"spacing": 1.0, **SIZES, "unit": "um", "channel": "nucleus", "study": 2}


def _written(path, words, **options):
    metadata = {key: value for key, value in words.items() if value is not None}
    tifffile.imwrite(path, ARRAY, resolution=(1 / 0.195, 1 / 0.39), metadata=metadata, **options)
    return path


def _template(path, **changes):
    """Write as the challenge's template does: big, tiled, µm as if they were inches, all in JSON."""
    words = {"shape": list(ARRAY.shape), "axes": "ZYX", **KEYS, **changes}
    return _written(path, words, bigtiff=True, tile=(128, 128))


def _imagej(path, **changes):
    return _written(path, {"axes": "ZYX", **KEYS, **changes}, imagej=True)


BOTH = pytest.mark.parametrize("program", [_template, _imagej])


@BOTH
def test_both_descriptions_are_read_alike(tif, program):
    volume = read(program(tif))
    same(volume.array, ARRAY)
    assert (volume.axes, volume.spacing) == ("ZYX", pytest.approx(SIZE))
    assert dict(volume.metadata) == {"channel": "nucleus", "study": 2}
    assert volume.origin.warnings == ()
    assert set(volume.origin.sources.values()) == {"json" if program is _template else "imagej"}
    assert header(tif).spacing == pytest.approx(SIZE)


NO_NUMBER = "is no positive number and does not count"
CONTRADICTS = "the file contradicts itself: it gives voxels of z 1, y 0.39, x 0.195 µm"


@BOTH
@pytest.mark.parametrize(
    "said, spacings",
    [
        ((), ["1.0", 1, None, [1.0, 0.39, 0.195], "[1.0, 0.39, 0.195]", "(1.0; 0.39; 0.195)"]),
        ((NO_NUMBER,), [0, -1.0, "nan", "1 um"]),
        ((CONTRADICTS,), [3.0, [3.0, 0.39, 0.195], [0.195, 0.39, 1.0]]),
    ],
    ids=["a step", "no step", "another step"],
)
def test_a_step_is_a_number_a_text_or_one_of_three_and_sizes_by_axis_precede_it(
    tif, program, said, spacings
):
    for spacing in spacings:
        volume = read(program(tif, spacing=spacing))
        assert volume.spacing == pytest.approx(SIZE), spacing
        assert not volume.spacing_is_assumed, spacing
        assert all(word in line for word, line in zip(said, volume.origin.warnings, strict=True))


@pytest.mark.parametrize("axes", ["XYZ", "YXZ", "ZXY", "TYX", "CYX", "zyx", "QYX", "IYX"])
def test_a_stack_is_read_as_it_lies_whatever_its_axes_are_called(tif, axes):
    path = _template(tif, axes=axes)
    volume = read(path, axes="ZYX")
    same(volume.array, ARRAY)
    assert (volume.axes, volume.spacing) == ("ZYX", SIZE)
    assert header(path, axes="ZYX").shape == (5, 6, 7)
    named = ", ".join(axes.lower())
    odd = f"axes odd: the file calls them {named}; a stack is z, y, x as it lies"
    right = axes in {"zyx", "QYX", "IYX"}
    assert volume.origin.warnings == (() if right else (odd,))


def _as_the_template_reads(path):
    keys = ("spacing", *SIZES, "unit", "axes", "channel", "shape", "study")
    with tifffile.TiffFile(path) as file:
        pixels = file.asarray()
        parts = file.shaped_metadata
        words = (
            dict(parts[0]) if parts is not None else file.imagej_metadata | {"shape": pixels.shape}
        )
    spelt = {key: (key, key.lower(), f"physical_size_{key[-1].lower()}") for key in keys}
    return pixels, {
        key: next(words[name] for name in names if name in words)
        for key, names in spelt.items()
        if any(name in words for name in names)
    }


@pytest.mark.parametrize("compress", [True, False])
def test_the_template_finds_all_keys_in_our_files(tif, compress):
    volume = Volume(ARRAY, SIZE, "ZYX", {"channel": "membrane", "study": 3, "gain": 0.1})
    write(tif, volume, compress=compress, as_json=True)
    pixels, words = _as_the_template_reads(tif)
    same(pixels, ARRAY)
    assert pixels.dtype == np.uint16
    assert words == {**KEYS, "axes": "ZYX", "shape": [5, 6, 7], "channel": "membrane", "study": 3}
    with tifffile.TiffFile(tif) as file:
        tags = file.pages[0].tags
        assert tags["ResolutionUnit"].value == 3
        x, y = (tags[f"{axis}Resolution"].value for axis in "XY")
        assert (x[0] / x[1], y[0] / y[1]) == pytest.approx((1e4 / 0.195, 1e4 / 0.39), rel=1e-5)
        assert not file.pages[0].is_tiled
