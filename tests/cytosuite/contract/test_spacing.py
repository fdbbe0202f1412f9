import numpy as np
import pytest
from mistakes import refused

from cytosuite.contract.spacing import plausible
from cytosuite.formats import write
from cytosuite.volume import Origin, Volume

CLEAN = (1.75, 0.8, 0.8)


def _volume(spacing, source="json", unit="um", shape=(51, 133, 120)):
    axes = "ZYX"[-len(spacing) :]
    array = np.zeros(shape[-len(spacing) :], np.uint8)
    return Volume(array, spacing, axes, {}, Origin({"spacing": source}, unit))


PLAUSIBLE = [CLEAN, (0.28, 0.13, 0.13), (5.0, 0.2, 0.2), (0.5, 0.5, 0.5), (0.5, 1.0, 1.0)]
PLAUSIBLE += [(0.02, 0.02), (0.65, 0.65), (6.5, 6.5), (20.0, 10.0, 10.0), (1.0, 0.5, 0.52)]


@pytest.mark.parametrize("spacing", PLAUSIBLE)
def test_a_plausible_size_is_left_alone(spacing):
    volume = _volume(spacing)
    assert plausible(volume) is volume


UNITS = [(1e3, "um", "nm"), (1e3, "mm", "µm"), (1e4, "cm", "µm"), (25400.0, "inch", "µm")]
UNITS += [(1e6, "m", "µm"), (1e-3, "um", "mm"), (1e-6, "um", "m")]


@pytest.mark.parametrize("factor, stated, word", UNITS)
@pytest.mark.parametrize("size", [CLEAN, (0.28372, 0.12679, 0.12679), (0.65, 0.65)])
def test_one_wrong_unit_is_corrected_and_told(factor, stated, word, size):
    volume = plausible(_volume(tuple(step * factor for step in size), "imagej", stated))
    assert volume.spacing == pytest.approx(size, rel=1e-5)
    (line,) = volume.origin.warnings
    assert line.startswith("voxel size corrected: with ")
    assert "a nucleus of 15 pixels is" in line
    assert f"read as {word}, which is" in line
    assert "--spacing z,y,x or acquisition-metadata.json" in line
    assert plausible(volume).origin.warnings == (line,)


def test_the_order_x_y_z_is_turned_and_told():
    volume = plausible(_volume((0.8, 0.8, 1.75)))
    assert volume.spacing == CLEAN
    assert "pixels are not square; it was read in the order x, y, z" in volume.origin.warnings[0]


@pytest.mark.parametrize("dots", [72, 96, 300])
@pytest.mark.parametrize("source", ["tiff", "imagej"])
def test_the_resolution_of_a_printer_is_no_voxel_size(dots, source):
    volume = plausible(_volume((25400 / dots,) * 2, source, "inch"))
    assert volume.spacing == (1.0, 1.0)
    assert volume.spacing_is_assumed
    assert volume.origin.sources["spacing"] == "assumed"
    assert f"{dots} dots per inch" in volume.origin.warnings[0]


KEPT = [((0.1, 1, 1), "are 0.1 pixels apart"), ((40, 0.5, 0.5), "slices are 80 pixels apart")]


@pytest.mark.parametrize("spacing, words", [((1.75, 0.8, 0.4), "are not square"), *KEPT])
def test_what_is_odd_is_kept_and_told(spacing, words):
    volume = plausible(_volume(spacing))
    assert volume.spacing == spacing
    assert words in volume.origin.warnings[0]


ODD = dict.fromkeys([(120, 133, 51), (133, 51, 120)], True)
ODD |= dict.fromkeys([(51, 133, 120), (124, 86, 94), (100, 100, 100), (10, 400, 100)], False)


@pytest.mark.parametrize("shape, odd", ODD.items())
def test_slices_that_look_like_an_edge_of_the_plane_are_told(shape, odd):
    lines = plausible(_volume(CLEAN, shape=shape)).origin.warnings
    assert bool(lines) == odd
    if odd:
        assert lines[0].startswith(f"axes odd: {shape[0]} slices of {shape[1]} x {shape[2]} pixels")


@pytest.mark.parametrize(
    "spacing", [(3.0, 9e4, 9e4), (200.0, 0.0001, 5e4), (3e4, 3e4), (1e-12, 1e-12, 1e-12)]
)
def test_a_size_that_nothing_explains_is_refused_in_one_line(spacing):
    refused("makes no sense.*expected 0.01 to 50 µm", plausible, _volume(spacing))


def test_a_size_that_the_user_names_is_never_changed():
    refused("did you mean 1.75 x 0.8 x 0.8 µm", plausible, _volume((1750.0, 800.0, 800.0), "user"))
    turned = plausible(_volume((0.8, 0.8, 1.75), "user"))
    assert turned.spacing == (0.8, 0.8, 1.75)
    assert "pixels are not square; give it in the order z,y,x" in turned.origin.warnings[0]


def test_the_step_alone_may_be_in_another_unit():
    volume = plausible(_volume((1750.0, 0.8, 0.8)))
    assert volume.spacing == CLEAN
    assert "slices are 1.75 mm apart" in volume.origin.warnings[0]
    assert plausible(_volume((1.75, 800.0, 800.0))).spacing == CLEAN


@pytest.mark.parametrize("size", [9e-6, 1.1e9])
def test_smaller_and_larger_ones_are_refused_in_one_line(tmp_path, size):
    refused(
        r"TIFF holds pixels of 1e-05 to 1e\+09 µm, found",
        write,
        tmp_path / "a.tif",
        Volume(np.zeros((5, 6), np.uint16), (size, size), "YX"),
    )
    assert list(tmp_path.iterdir()) == []
