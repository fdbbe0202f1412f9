"""What holds for every simulated dataset: one seed, one scene, one set of sections."""

import re

import pytest
from mistakes import refused
from rasters import numbers_of

from cytosuite.contract.manifest import parse
from cytosuite.datasets import simulate
from cytosuite.datasets.cells.parameters import Parameters as Cells
from cytosuite.datasets.membrane.parameters import Parameters as Membrane
from cytosuite.datasets.nuclei.parameters import Parameters as Nuclei
from cytosuite.datasets.recipes import simulated
from cytosuite.datasets.views.parameters import Parameters as Views
from cytosuite.volume import Volume

IMAGES = {"microscopy-image", "fluorescence-lightsheet-3d-microscopy"}
# Mean, deviation and centroid, in units of its size, of the image of the first case.
NUMBERS = {
    "cells": [173.03, 82.528, 0.51173, 0.53048],
    "membrane": [223.11, 86.758, 0.47082, 0.49341, 0.49281],
    "nuclei": [154.69, 81.678, 0.49113, 0.49339, 0.50171],
    "spheroid": [106.25, 21.235, 0.47871, 0.49498, 0.49574],
    "views": [141.78, 40.309, 0.49005, 0.49755, 0.51143],
}


def first_case(name, seed=5):
    """Return the first case of the smallest size, and its arrays."""
    (sample,) = simulate(name, 1, size="mini", seed=seed)
    volumes = {**sample.sockets, **sample.extras}
    return sample, {key: v.array for key, v in volumes.items() if isinstance(v, Volume)}


@pytest.fixture(scope="module", params=["cells", "membrane", "nuclei", "spheroid", "views"])
def case(request):
    return request.param, *first_case(request.param)


def image(arrays):
    (name,) = IMAGES & set(arrays)
    return arrays[name]


def test_a_seed_gives_the_bytes_of_all_images(case):
    name, _, arrays = case
    again = first_case(name)[1]
    others = first_case(name, seed=6)[1]
    assert {key: array.tobytes() for key, array in again.items()} == {
        key: array.tobytes() for key, array in arrays.items()
    }
    assert image(others).tobytes() != image(arrays).tobytes()


def test_a_case_has_the_numbers_it_always_had(case):
    name, _, arrays = case
    assert numbers_of(image(arrays)) == pytest.approx(NUMBERS[name], rel=2e-3)


def test_all_images_of_a_case_are_of_one_place_and_say_what_they_were_seen_with(case):
    _, sample, _ = case
    volumes = [v for v in (sample.sockets | sample.extras).values() if isinstance(v, Volume)]
    assert len({(v.shape[-len(v.spacing) :], v.spacing) for v in volumes}) == 1
    (main,) = (sample.volume(slug) for slug in IMAGES & set(sample.sockets))
    assert main.metadata["camera"] == "CMOS"
    assert {"channel", "gain", "offset", "read_noise", "psf_sigma_z_um"} <= set(main.metadata)
    assert main.metadata["read_noise"] == sample.metadata["read_noise"]
    assert {"background_photons", "excess", "psf_sigma_xy_um"} <= set(sample.metadata)
    assert all(type(value) in (int, float, str) for value in sample.metadata.values())


@pytest.mark.parametrize(
    "form, older, present",
    [
        (
            Nuclei,
            {"shape": (30, 40), "spacing_um": (1, 1), "psf_um": [0, 0.5], "companions": False},
            {
                "image": {"shape": (30, 40), "spacing_um": (1, 1)},
                "optics": {"psf_sigma_z_um": 0, "psf_sigma_xy_um": 0.5},
                "extras": False,
            },
        ),
        (
            Membrane,
            {"psf_sigma_um": [2, 0.3, 0.3], "min_voxels": 9, "gain": 3.0, "camera": {"gain": 2.0}},
            {
                "optics": {"psf_sigma_z_um": 2, "psf_sigma_xy_um": 0.3},
                "labels": {"min_voxels": 9},
                "camera": {"gain": 2.0},
            },
        ),
        (Views, {"growth": 1.0, "haze": 0.1}, {"optics": {"growth": 1.0, "haze": 0.1}}),
        (
            Cells,
            {
                "microscope": {"psf_um": [0.4, 0.2], "bits": 8, "read_noise": 2.0},
                "dyes": {"background_photons": 3.0, "spread": 0.1},
            },
            {
                "optics": {"psf_sigma_z_um": 0.4, "psf_sigma_xy_um": 0.2},
                "camera": {"background_photons": 3.0, "bits": 8, "read_noise": 2.0},
                "dyes": {"spread": 0.1},
            },
        ),
    ],
)
def test_keys_of_older_recipes_mean_the_same(form, older, present):
    assert form(**older) == form(**present)


def test_a_setting_under_an_older_key_is_over_the_recipes():
    parameters = simulated(
        "cells/spots", None, 1, ["microscope.gain=7", "camera.bits=12"]
    ).parameters
    assert (parameters.camera.gain, parameters.camera.bits) == (7, 12)
    assert parameters.camera.background_photons == (2, 8)  # of the recipe
    assert parameters.camera.read_noise == (1.6, 1.6)


@pytest.mark.parametrize(
    "line, values",
    {
        "psf_um must be a width along z and one across, found 1.0": {"psf_um": 1.0},
        "psf_sigma_um must be a width along z and one across": {"psf_sigma_um": [1, 0.3, 0.4]},
        "nuclei: fotons is not a known key": {"fotons": 1.0},
        "nuclei: camera.bits: input should be 8, 12 or 16, found 10": {"camera": {"bits": 10}},
        "nuclei: camera.gain: input should be greater than": {"camera": {"gain": 0}},
        "nuclei: camera.offset: input should be less than": {"camera": {"offset": 60001}},
        "nuclei: camera.sensor_blur.0: input should be less": {"camera": {"sensor_blur": 1e9}},
        "nuclei: image: shape has 2 axes and spacing_um 3; give both": {"shape": (30, 40)},
        "nuclei: the file: foreground map needs an image with the axes z, y, x, found a plane of 30": {
            "shape": (30, 40),
            "spacing_um": (1, 1),
            "foreground": "map",
        },
        "nuclei: radius_um: must be one number or a range [low,": {"radius_um": (1.0, 3.0, 2.0)},
        "nuclei: the file: upright and outward contradict each other": {
            "upright": True,
            "outward": True,
        },
    }.items(),
)
def test_a_mistake_is_one_line(values, line):
    refused(f"^{re.escape(line)}", parse, "nuclei", values, Nuclei)
