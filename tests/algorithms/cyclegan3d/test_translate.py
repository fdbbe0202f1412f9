from math import inf

import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_allclose, assert_array_equal
from reach import roomy
from unpaired import TINY, random_network

from cytosuite.algorithms.cyclegan3d.network import Architecture
from cytosuite.algorithms.cyclegan3d.translate import (
    from_network,
    scaling_of,
    translate,
)
from cytosuite.networks.normalise import Target

TARGET = Target(mean=100, sd=5, dtype="float32")
SMALL = Architecture(widths=(4,), blocks=1, fold=2)
INSTANCE = TINY.model_copy(update={"norm": "instance"})
WHOLE = (10**4, 10**4, 10**4)


def _noise(shape):
    return np.random.default_rng(0).gamma(2, 20, shape).astype(np.float32)


@pytest.mark.parametrize("noise", [0, 2])
def test_tiles_leave_no_seams(noise):
    arguments = SMALL.model_copy(update={"noise": noise})
    tile = roomy(arguments)
    network = random_network(arguments)
    image = _noise([side * 4 // 3 + odd for side, odd in zip(tile, (1, 2, 3), strict=True)])
    tiled, whole = (
        translate(image, network, arguments, "background", TARGET, tile=size)[1]
        for size in (tile, WHOLE)
    )
    assert tiled.tiles >= 8
    assert whole.values.std() > 0.05
    assert_allclose(tiled.values, whole.values, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 7)])
@pytest.mark.parametrize("arguments", [TINY, INSTANCE], ids=["voxel", "instance"])
def test_sides_below_the_multiple_are_translated(shape, arguments):
    image = _noise(shape)
    network = random_network(arguments)
    if arguments is INSTANCE and shape == (1, 1, 1):
        refused(
            "must be larger than 2 x 4 x 4 voxels",
            translate,
            image,
            network,
            arguments,
            "background",
            TARGET,
            tile=WHOLE,
        )
        return
    output, tiling = translate(image, network, arguments, "background", TARGET, tile=WHOLE)
    assert output.shape == shape
    assert tiling.tiles == 1
    assert np.isfinite(output).all()


def test_a_norm_over_the_image_sees_it_in_one_piece():
    seen = []

    def forward(image):
        seen.append(tuple(image.shape[2:]))
        return image

    translate(_noise((31, 50, 70)), forward, INSTANCE, "background", TARGET, tile=roomy(INSTANCE))
    assert seen == [(32, 52, 72)]


def test_an_image_too_large_for_one_piece_is_refused(monkeypatch):
    monkeypatch.setattr("cytosuite.volume.memory.free_gib", lambda: 1e-5)
    image = _noise((32, 64, 64))
    network = random_network(INSTANCE)
    message = r"norm of this network is over the whole image, which takes 0.00293 GiB of memory, 1e-05 GiB"
    refused(message, translate, image, network, INSTANCE, "background", TARGET, tile=WHOLE)
    translate(image, random_network(TINY), TINY, "background", TARGET, tile=WHOLE)
    monkeypatch.setattr("cytosuite.volume.memory.free_gib", lambda: inf)
    translate(image, network, INSTANCE, "background", TARGET, tile=WHOLE)


def test_noise_depends_on_the_seed_alone_and_a_network_without_takes_none():
    noisy = SMALL.model_copy(update={"noise": 1})
    image = _noise((8, 12, 12))
    for arguments, differ in ((noisy, True), (SMALL, False)):
        network = random_network(arguments)
        first, again, other = (
            translate(
                image, network, arguments, "background", TARGET, tile=roomy(arguments), seed=seed
            )[0]
            for seed in (3, 3, 4)
        )
        assert_array_equal(first, again)
        assert bool((first != other).any()) is differ


def to_network(image, scale, target=None):
    return scaling_of(image, scale, target)(image)


def test_units_of_the_dtype_by_hand():
    assert to_network(np.array([0, 51, 255], np.uint8), "dtype") == pytest.approx([-1, -0.6, 1])
    floats = to_network(np.array([0, 0.25, 1]), "dtype")
    assert floats.tolist() == [-1, -0.5, 1]
    assert to_network(np.array([False, True]), "dtype").tolist() == [-1, 1]
    back = from_network(floats, "dtype", Target(mean=0, sd=1, dtype="float32"))
    assert back.tolist() == [0, 0.25, 1]


@pytest.mark.parametrize("low_high", [(-0.1, 1.0), (0.0, 1.5), (0.0, np.nan)])
def test_floats_beyond_their_range_are_refused(low_high):
    refused(
        "^the image: a network with the scale dtype takes integers",
        to_network,
        np.array(low_high),
        "dtype",
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_integers_are_rounded_and_kept_in_their_range(dtype):
    values = np.array([-1e30, -100, 0, 100, 1e30], np.float32)
    counts = from_network(values, "dtype", Target(mean=100, sd=3, dtype=dtype))
    top = np.iinfo(dtype).max
    assert counts.tolist() == [0, 0, round(top / 2 + 0.1), top, top]
    assert counts.dtype == dtype


def test_units_of_the_target_are_the_same_in_every_image():
    target = Target(mean=100, sd=4, dtype="uint16")
    image = np.array([[100, 112], [160, 1000]], np.uint16)
    values = to_network(image, "style", target=target)
    assert_allclose(values, 0.5 * np.arcsinh((image - 100.0) / 12), rtol=1e-6)
    assert_array_equal(to_network(image[:1], "style", target=target), values[:1])
    assert_array_equal(from_network(values, "style", target), image)
