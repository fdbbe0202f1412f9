from functools import cache
from itertools import product

import numpy as np
import pytest
from cards import card
from mistakes import refused
from rasters import away_from

from cytosuite.contract.manifest import SelectPolicy
from cytosuite.contract.select import describe, select
from cytosuite.networks.scale import (
    Sizing,
    Trained,
    choose_scale,
    estimate_diameter,
    width_of_objects,
    with_size,
)
from cytosuite.volume import Volume

TRAINED = Trained(spacing=(2.0, 1.0, 1.0), diameter_um=10.0)


@cache
def spots(diameter, spacing=(2.0, 1.0, 1.0)):
    """Return nine soft balls of a lateral diameter in µm, and a little noise, normalised."""
    image = np.random.default_rng(0).normal(0, 0.02, (10, 120, 120)).astype(np.float32)
    for y, x in product((23.5, 59.5, 95.5), repeat=2):
        away = away_from((4.5, y, x), image.shape, spacing)
        image += 0.5 + 0.5 * np.tanh((diameter / 2 - away) / (0.2 * diameter))
    return image


def intensities(normalised):
    """Return an image that looks like this once it is normalised, but for its noise."""
    noise = np.random.default_rng(1).normal(100, 1, normalised.shape)
    return (3 * np.sinh(2 * normalised) + noise).astype(np.float32)


def scale(image, spacing=(2.0, 1.0, 1.0), estimate=True, **metadata):
    image = intensities(image)
    volume = Volume(image, spacing[-image.ndim :], "ZYX"[-image.ndim :], metadata)
    parameters = Sizing(
        diameter="estimated" if estimate else "trained",
        diameter_tolerance=1.5,
        rescale_tolerance=0.1,
    )
    return choose_scale(image if image.ndim == 3 else image[None], volume, TRAINED, parameters)


def test_an_image_near_the_training_is_used_as_it_is():
    image = np.zeros((4, 9, 9), np.float32)
    assert scale(image, (2.1, 1.0, 0.95), estimate=False).factor == (1.0, 1.0, 1.0)
    assert scale(image, (2.1, 1.2, 1.0), estimate=False).factor == (1.05, 1.2, 1.0)


@pytest.mark.parametrize("diameter", [6.0, 30.0])
def test_the_diameter_is_found(diameter):
    assert estimate_diameter(spots(diameter), (2.0, 1.0, 1.0), 10.0) == pytest.approx(
        diameter, rel=0.3
    )


def test_a_large_image_is_measured_where_it_is_bright_in_several_slices(monkeypatch):
    monkeypatch.setattr("cytosuite.networks.scale._WINDOW", 120)
    monkeypatch.setattr("cytosuite.networks.scale._PIXELS", 4 * 120**2)
    image = np.pad(spots(18.0), ((0, 0), (300, 0), (0, 300)))
    image[4:6] = 0  # the middle shows nothing
    for part in (image, image[3]):
        assert scale(part).ratio == pytest.approx(1.8, rel=0.3)


def test_the_width_of_nuclei_chooses_a_model_where_voxels_are_those_of_none():
    policy = SelectPolicy(spacing=1.0, diameter_um=5.0)
    wide = intensities(spots(14.0))
    sizes = {"leaf": ((0.7, 0.4, 0.4), 3.0), "embryo": ((8.0, 4.0, 4.0), 14.0)}
    models = [
        card(name=name, scores={"x": {}}, describes={"spacing": edges, "diameter_um": width})
        for name, (edges, width) in sizes.items()
    ]

    def chosen(spacing=(2.0, 1.0, 1.0), image=wide, axes="ZYX", **metadata):
        volume = Volume(image, spacing, axes, metadata)
        facts = with_size(describe(volume), volume, models)
        return select(models, facts, policy).card.name, facts.get("diameter_um")

    assert chosen() == ("embryo", pytest.approx(14, rel=0.3))
    assert chosen(image=wide[None], axes="TZYX") == chosen()
    assert chosen(image=wide.max() - wide) == chosen()
    assert (chosen(diameter_um=3.0), chosen(diameter_um=12)) == (("leaf", 3.0), ("embryo", 12))
    assert chosen(channel="membrane") == ("leaf", None)
    assert chosen((0.7, 0.4, 0.5), diameter_um=14.0) == ("leaf", None)  # near voxels tell more


def test_the_object_at_the_middle_of_the_area_has_the_width():
    assert width_of_objects(np.repeat([0, 1, 2], [9, 5, 20])) == pytest.approx(
        2 * np.sqrt(20 / np.pi)
    )
    assert width_of_objects(np.zeros(4, np.int32)) == np.inf


def test_a_given_diameter_decides():
    scaled = scale(spots(30.0), diameter_um=20.0)
    assert (scaled.source, scaled.ratio, scaled.settled) == ("given", 2.0, True)
    source = "shared, median of 5 images"
    shared = scale(spots(30.0), diameter_um=20.0, diameter_source=source)
    assert shared == scaled._replace(source=source)
    assert scaled.spacing == (1.0, 0.5, 0.5)
    assert scaled.factor == (0.5, 0.5, 0.5)


def test_an_estimate_counts_only_where_it_differs_much_and_is_told():
    near = scale(spots(11.0))
    far = scale(spots(30.0))
    assert (near.source, near.factor, near.warnings) == ("trained", (1.0, 1.0, 1.0), ())
    assert (far.source, far.settled) == ("estimated", False)
    (line,) = far.warnings
    assert line.startswith("nuclei odd: with voxels of 2 x 1 x 1 µm they look ")
    assert "those of the model are 10 µm; rescaled to fit, check the voxel size" in line
    assert scale(spots(30.0), diameter_um=30.0).warnings == ()
    assert far.factor[1] == pytest.approx(1 / 3, rel=0.3)
    assert scale(spots(30.0), estimate=False).source == "trained"


def test_without_a_voxel_size_the_estimate_is_all_there_is():
    scaled = scale(
        spots(30.0, (1.0, 1.0, 1.0)), (1.0, 1.0, 1.0), estimate=False, spacing_source="assumed"
    )
    assert scaled.source == "estimated"
    assert scaled.factor[0] == pytest.approx(scaled.factor[1] / 2)
    assert scaled.warnings == ()


@pytest.mark.parametrize("wrong", [0, "large"])
def test_explains_a_wrong_diameter(wrong):
    refused(
        "diameter_um must be a positive number of µm, found",
        scale,
        np.ones((4, 9, 9), np.float32),
        diameter_um=wrong,
    )


def test_an_image_far_too_coarse_is_refused_before_it_takes_its_time():
    image = np.zeros((4, 9, 9), np.float32)
    assert scale(image, (6.0, 3.0, 3.0), estimate=False).factor == (3.0, 3.0, 3.0)
    refused(
        r"for which voxels of 8 x 4 x 4 µm .* 64 times; check",
        scale,
        image,
        (8.0, 4.0, 4.0),
        estimate=False,
    )
    assert scale(image, (8.0, 4.0, 4.0), diameter_um=40.0).factor == (1.0, 1.0, 1.0)
