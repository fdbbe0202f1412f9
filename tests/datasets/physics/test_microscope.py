import re

import numpy as np
import pytest

from cytosuite.datasets.physics.microscope import Objective, physical
from cytosuite.errors import InputError

GREEN = 0.5  # µm


def _image(microscope, **changes):
    optics = {"na": 0.6, "emission_um": GREEN, "index_sample": 1.33, "index_immersion": 1.33}
    return physical(microscope, **optics | changes).kernels[-1]


@pytest.mark.parametrize("na", [0.2, 0.5, 0.9])
def test_first_dark_ring_is_that_of_airy(na):
    radii = np.linspace(0, 1.5 * GREEN / na, 2000)
    light = Objective(na).intensity(GREEN, radii, np.array([0.0, 0.0]), 0.0)[0]
    ring = radii[np.argmax(np.diff(light) > 0)]
    assert ring == pytest.approx(0.61 * GREEN / na, rel=0.03)
    assert light[0] == pytest.approx(1)


@pytest.mark.parametrize("index", [1.0, 1.33])
def test_first_dark_point_along_z_is_that_of_low_aperture(index):
    objective = Objective(0.2, index, index)
    focus = np.linspace(0, 50, 4001)
    light = objective.intensity(GREEN, np.array([0.0, 0.1]), focus, 0.0)[:, 0]
    zero = focus[np.argmax(np.diff(light) > 0)]
    assert zero == pytest.approx(2 * index * GREEN / 0.2**2, rel=0.05)


@pytest.mark.parametrize(
    ("objective", "depth", "expected"),
    [
        (
            Objective(0.8, 1.33, 1.515),
            30.0,
            [
                [0.0380, 0.0588, 0.0347],
                [0.5513, 0.2307, 0.0253],
                [1.0000, 0.3293, 0.0207],
                [0.2365, 0.0740, 0.0783],
            ],
        ),
    ],
)
def test_agrees_with_an_independent_program(objective, depth, expected):
    # psfmodels 0.3.3, scalar_psf: foci -1, 0, 0.8, 2 µm, radii 0, 0.2, 0.5 µm; the focus in the
    # third row, on the axis, is 1
    foci, radii = np.array([-1, 0, 0.8, 2]), np.array([0, 0.2, 0.5])
    light = objective.intensity(GREEN, radii, foci, depth)
    assert light / light[2, 0] == pytest.approx(np.array(expected), abs=5e-4)


@pytest.mark.parametrize("microscope", ["widefield", "confocal", "lightsheet"])
def test_is_of_sum_1_and_symmetric_without_aberration(microscope):
    kernel = _image(microscope)
    assert kernel.image.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    assert kernel.centre == pytest.approx([(n - 1) / 2 for n in kernel.image.shape], abs=1e-3)
    for axis in range(3):
        difference = np.abs(kernel.image - np.flip(kernel.image, axis))
        assert difference.max() < 1e-4 * kernel.image.max()


def test_mismatch_of_indices_makes_it_asymmetric_the_more_the_deeper():
    focus, radii = np.linspace(-6, 8, 701), np.linspace(0, 3, 60)

    def asymmetry(depth):
        light = Objective(0.8, 1.33, 1.515).intensity(GREEN, radii, focus, depth) * radii
        peak = int((light**2).sum(axis=1).argmax())  # the sharpest plane
        behind, before = light[peak : peak + 150], light[peak : peak - 150 : -1]  # 3 µm
        return np.abs(behind - before).sum() / (behind + before).sum()

    assert asymmetry(0.0) < 1e-6 < 0.05 < asymmetry(15.0) < asymmetry(45.0)


def test_aberration_widens_and_stays_in_place():
    kernels = physical(
        "confocal", na=0.8, emission_um=GREEN, index_immersion=1.515, depths_um=(0, 60)
    ).kernels
    shallow, deep = (kernel.image.max(axis=(1, 2)) for kernel in kernels)
    assert shallow.max() > 1.2 * deep.max()  # of one sum
    brightest = [kernel.offsets_um(0)[kernel.image.max(axis=(1, 2)).argmax()] for kernel in kernels]
    assert brightest == pytest.approx([0, 0], abs=1.0)


def test_equal_indices_need_one_depth_only():
    assert len(physical("widefield", na=0.5, emission_um=GREEN, depths_um=(0, 50)).kernels) == 1


def test_confocal_with_a_point_as_pinhole_is_the_square_of_the_widefield():
    square = _image("widefield").image.astype(np.float64) ** 2
    confocal = _image("confocal", pinhole_airy=0.0).image
    assert np.abs(confocal - square / square.sum()).max() < 1e-5 * confocal.max()


def test_a_wide_pinhole_lets_light_from_outside_the_focus_through():
    point, disk, wide = (_image("confocal", pinhole_airy=d).half_um(0.9)[0] for d in (0, 1, 5))
    assert point <= disk < wide < _image("widefield").half_um(0.9)[0]


def test_light_sheet_cuts_along_z_and_not_across():
    wide = _image("widefield").image
    kernel = _image("lightsheet", sheet_um=1.0)
    planes = kernel.image.sum(axis=(1, 2))
    # a widefield's planes are of about equal sums, so the sheet's own profile is left
    axis = kernel.offsets_um(0)
    assert planes / planes.max() == pytest.approx(np.exp(-(axis**2) / 2), abs=0.03)
    middle = len(wide) // 2
    ratio = kernel.image[middle].max() / planes.max()
    assert wide[middle].max() / wide[middle].sum() == pytest.approx(ratio, rel=1e-3)


def test_a_widefield_keeps_its_light_from_plane_to_plane():
    planes = _image("widefield").image.sum(axis=(1, 2))
    assert np.ptp(planes) < 0.05 * planes.mean()


def _unknown_microscope(call):
    """microscope must be widefield, confocal, lightsheet, found 'sted'"""
    call("sted")


def _no_aperture(call):
    """na of a microscope must be a number above 0, found 0"""
    call("confocal", na=0)


def _large_aperture(call):
    """na must be below index_immersion = 1.33, found 1.4"""
    call("confocal", na=1.4)


def _no_wavelength(call):
    """emission_um of a microscope must be a number above 0, found nan"""
    call("confocal", emission_um=float("nan"))


def _falling_depths(call):
    """depths_um must rise from 0 µm or below it, found [5.0, 2.0]"""
    call("confocal", depths_um=(5, 2))


def _negative_pinhole(call):
    """pinhole_airy must be at least 0, found -1"""
    call("confocal", pinhole_airy=-1)


MISTAKES = [_unknown_microscope, _no_aperture, _large_aperture, _no_wavelength, _falling_depths]


@pytest.mark.parametrize("mistake", [*MISTAKES, _negative_pinhole])
def test_explains(mistake):
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)):
        mistake(_image)
