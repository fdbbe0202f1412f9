import pytest
from spheroids import image_of, make

from cytosuite.datasets.spheroid.parameters import Parameters, draw_values


def test_conditions_are_what_was_made_and_measured():
    sample = make()
    conditions = sample.conditions
    seen = sample.volume("microscopy-image").metadata
    assert seen["channel"] == "nucleus"
    tall = make({"image": {"stretch": 0.9}}).volume("microscopy-image").metadata
    assert tall["psf_sigma_z_um"] == pytest.approx(0.9 * seen["psf_sigma_z_um"])
    assert conditions["objects"] == sample.metadata["n_nuclei"]
    assert conditions["density [%]"] == 100 * sample.metadata["nuclear_volume_fraction"]
    dim = make({"camera": {"photons": sample.metadata["photons"] / 4}})
    assert 0 < dim.conditions["signal / noise"] < 0.6 * conditions["signal / noise"]


def test_stages_are_kept_on_request():
    sample = make({"output": {"steps": True}})
    names = ["step-1-dye", "step-2-attenuated", "step-3-light", "step-4-counts"]
    assert sorted(sample.extras) == names
    dye, dim, light, counts = (sample.extras[name].array for name in names)
    assert (dim <= dye + 1e-5).all()
    assert dim.sum() < dye.sum()
    assert light.std() < dim.std()
    assert (counts == image_of(sample)).all()


def test_photons_fade_with_the_number_of_nuclei(rng):
    light = {"photons": 40.0, "fading": 0.5}
    for number, photons in ((5, 80), (80, 20)):
        values = {"tissue": {"n_nuclei": number, "may_be_cut": True}, "camera": light}
        drawn = draw_values(rng, Parameters.model_validate(values))
        assert drawn["photons"] == pytest.approx(photons)


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
def test_arrays_on_disk_hold_the_bytes_of_those_in_memory(hold_on_disk, changes):
    hold_on_disk(lambda: make(changes), 5 * 96 * 96)
