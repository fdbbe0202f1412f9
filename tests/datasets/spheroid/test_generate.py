import numpy as np
import pytest

from cytosuite.datasets.spheroid.parameters import Parameters, draw_values
from cytosuite.denoising.camera import lag_of


def test_image_and_labels_are_of_one_scene(sample):
    image, labels = sample.volume("microscopy-image"), sample.volume("instance-labels")
    assert image.shape == labels.shape == (24, 96, 96)
    assert image.spacing == labels.spacing == (2.0, 0.5, 0.5)
    assert image.array.dtype == labels.array.dtype == np.uint16
    assert image.metadata["channel"] == "nucleus"
    inside = image.array[labels.array > 0].mean()
    assert inside - 100 > 3 * (image.array[labels.array == 0].mean() - 100)


def test_conditions_are_what_was_made_and_measured(sample, simulation):
    known = sample.conditions
    assert known["objects"] == sample.metadata["n_nuclei"]
    assert known["density [%]"] == 100 * sample.metadata["nuclear_volume_fraction"]
    dim = simulation.make({"camera": {"photons": sample.metadata["photons"] / 4}})
    assert 0 < dim.conditions["signal / noise"] < 0.6 * known["signal / noise"]


def test_stages_are_kept_on_request(simulation):
    sample = simulation.make({"output": {"steps": True}})
    names = ["step-1-dye", "step-2-attenuated", "step-3-light", "step-4-counts"]
    assert sorted(sample.extras) == names
    dye, dim, light, counts = (sample.extras[name].array for name in names)
    assert (dim <= dye + 1e-5).all()
    assert dim.sum() < dye.sum()
    assert light.std() < dim.std()
    assert (counts == simulation.image(sample)).all()


def test_photons_fade_with_the_number_of_nuclei():
    few, many = ({"tissue": {"n_nuclei": n, "may_be_cut": True}} for n in (5, 80))
    for values in (few, many):
        values["camera"] = {"photons": 40.0, "fading": 0.5}
    drawn = [
        draw_values(np.random.default_rng(0), Parameters.model_validate(v))["photons"]
        for v in (few, many)
    ]
    assert drawn == pytest.approx([80, 20])


def test_a_shell_gets_thick_enough_for_a_few_large_nuclei(simulation):
    shell = {"outline": "shell", "core": 0.85, "n_nuclei": 3, "width_um": 40.0, "flattening": 1}
    made = simulation.make({"tissue": shell, "nucleus": {"diameter_um": 12.0}})
    assert made.metadata["n_simulated"] >= 3  # each wider than a shell of that core


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "labels": {"style": "visible", "visibility": 1.0},
            "optics": {"objective": "last", "haze": 0.2},
            "output": {"steps": True},
        },
        {
            "labels": {"style": "widened"},
            "camera": {"exposure": 0.8},
            "cells": {"enabled": True},
            "output": {"channel": "membrane"},
            "kinds": [{"name": "one", "share": 1}, {"name": "two", "share": 1}],
        },
    ],
    ids=["shape", "visible", "widened"],
)
def test_arrays_on_disk_hold_the_bytes_of_those_in_memory(simulation, hold_on_disk, changes):
    hold_on_disk(lambda: simulation.make(changes), 5 * 96 * 96)


def test_a_lag_moves_noise_along_x_and_leaves_light_and_labels(simulation):
    sharp, lagged = (
        simulation.make({"camera": {"lag": lag, "read_noise": 0}, "output": {"steps": True}})
        for lag in (0.0, 0.1)
    )
    assert np.array_equal(*map(simulation.labels, (sharp, lagged)))
    assert np.array_equal(*(each.extras["step-3-light"].array for each in (sharp, lagged)))
    first, second = (lag_of(simulation.image(each).astype(np.float32)) for each in (sharp, lagged))
    assert (first, second) == (0, pytest.approx(0.1, abs=0.04))
