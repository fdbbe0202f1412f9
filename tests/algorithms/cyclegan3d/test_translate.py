from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from unpaired import TINY, random_network, simulated

from cytosuite import large
from cytosuite.algorithms.cyclegan3d import translate as module
from cytosuite.algorithms.cyclegan3d.intensity import to_network
from cytosuite.algorithms.cyclegan3d.network import Architecture, build
from cytosuite.algorithms.cyclegan3d.translate import translate
from cytosuite.errors import InputError
from cytosuite.normalise import Target

TARGET = Target(mean=100, sd=5, dtype="float32")
SMALL = Architecture(widths=(4,), blocks=1, fold=2)
INSTANCE = TINY.model_copy(update={"norm": "instance"})
WHOLE = (10**4, 10**4, 10**4)


def _least(arguments):
    """Return the smallest tile of a network."""
    steps = zip(arguments.halo, arguments.multiple, strict=True)
    return [(-(-2 * halo // step) + 1) * step for halo, step in steps]


def _tile(arguments):
    """Return a tile that keeps about a third of what it reads."""
    steps = zip(arguments.halo, arguments.multiple, strict=True)
    return [(-(-3 * halo // step) + 1) * step for halo, step in steps]


def _noise(shape, seed=0):
    return np.random.default_rng(seed).gamma(2, 20, shape).astype(np.float32)


def _both(image, arguments, tile, scale="background"):
    """Return the prediction in tiles and the one in one piece, in units of the network."""
    network = random_network(arguments)
    tiled, whole = (
        translate(image, network, arguments, scale, TARGET, tile=size)[1] for size in (tile, WHOLE)
    )
    assert whole.tiles == 1
    return tiled, whole


@pytest.mark.parametrize(
    "arguments",
    [
        TINY,
        SMALL,
        Architecture(widths=(3, 4), blocks=1, kernel=5, fold=1, residual=False),
        Architecture(widths=(3, 3, 3), blocks=0, fold=1),
        Architecture(widths=(3,), blocks=1, fold=3, padding="replicate"),
        Architecture(widths=(4,), blocks=1, fold=2, noise=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("more", [(0, 0, 0), (1, 2, 3)])
def test_tiles_leave_no_seams(arguments, more):
    tile = _tile(arguments)
    image = _noise([side * 4 // 3 + odd for side, odd in zip(tile, more, strict=True)])
    tiled, whole = _both(image, arguments, tile)
    assert tiled.tiles >= 8
    assert whole.values.std() > 0.05
    np.testing.assert_allclose(tiled.values, whole.values, atol=2e-5, rtol=2e-5)


@settings(deadline=None, max_examples=12)
@given(
    st.tuples(st.integers(1, 30), st.integers(1, 50), st.integers(1, 50)),
    st.tuples(st.integers(5, 12), st.integers(12, 24), st.integers(12, 24)),
)
def test_tiles_leave_no_seams_in_an_image_of_any_size(shape, more):
    tile = [side + extra for side, extra in zip(_least(SMALL), more, strict=True)]
    tiled, whole = _both(_noise(shape), SMALL, tile)
    assert tiled.values.shape == (1, *shape)
    np.testing.assert_allclose(tiled.values, whole.values, atol=2e-5, rtol=2e-5)


def test_too_small_a_halo_would_leave_seams(monkeypatch):
    halo = tuple(margin - step for margin, step in zip(TINY.halo, TINY.multiple, strict=True))
    monkeypatch.setattr(Architecture, "halo", property(lambda self: halo))
    tile = _tile(TINY)
    tiled, whole = _both(_noise([side * 4 // 3 for side in tile]), TINY, tile)
    assert np.abs(tiled.values - whole.values).max() > 1e-4


def test_a_constant_image_repeats_itself_away_from_its_borders():
    arguments, tile = TINY, _tile(TINY)
    tiled, whole = _both(np.full([side * 4 // 3 for side in tile], 7.0), arguments, tile)
    assert tiled.tiles >= 8
    np.testing.assert_allclose(tiled.values, whole.values, atol=2e-5, rtol=2e-5)
    inner = tiled.values[(0, *(slice(halo, -halo) for halo in arguments.halo))]
    pattern = [[inner[z::2, y::4, x::4] for x in range(4)] for z in range(2) for y in range(4)]
    for part in (part for row in pattern for part in row):
        assert np.ptp(part) < 1e-4


def test_a_constant_image_becomes_a_constant_where_no_stride_breaks_the_planes():
    arguments = Architecture(widths=(4,), blocks=1, fold=1)
    tile = _tile(arguments)
    tiled, _ = _both(np.full([2 * side for side in tile], 7.0), arguments, tile)
    assert tiled.tiles >= 8
    inner = tiled.values[(0, *(slice(halo, -halo) for halo in arguments.halo))]
    assert abs(inner).max() > 0.1
    assert np.ptp(inner) < 1e-5


def test_a_new_network_only_changes_grey_values():
    image, _ = simulated()
    made, found = translate(image, build(TINY).eval(), TINY, "background", TARGET, tile=WHOLE)
    values = to_network(image, "background")
    np.testing.assert_allclose(found.values[0], values, atol=1e-6)
    np.testing.assert_allclose(made, 100 + 15 * np.sinh(2 * values), rtol=1e-5)


@pytest.mark.parametrize("shape", list(product((1, 3), (1, 5), (1, 7))))
@pytest.mark.parametrize("arguments", [TINY, INSTANCE], ids=["voxel", "instance"])
def test_sides_below_the_multiple_are_translated(shape, arguments):
    image = _noise(shape)
    network = random_network(arguments)
    if arguments is INSTANCE and shape == (1, 1, 1):
        with pytest.raises(InputError, match="must be larger than 2 x 4 x 4 voxels"):
            translate(image, network, arguments, "background", TARGET, tile=WHOLE)
        return
    made, found = translate(image, network, arguments, "background", TARGET, tile=WHOLE)
    assert made.shape == shape
    assert found.tiles == 1
    assert np.isfinite(made).all()


def test_channels_are_scaled_each_by_its_own_background():
    arguments = TINY.model_copy(update={"channels": 2})
    image = np.stack([_noise((10, 20, 20)), 1000 + 7 * _noise((10, 20, 20), 1)])
    network = build(arguments).eval()
    made, found = translate(image, network, arguments, "background", TARGET, tile=WHOLE)
    assert made.shape == image.shape
    expected = [to_network(channel, "background") for channel in image]
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    random = random_network(arguments)
    both, _ = translate(image, random, arguments, "background", TARGET, tile=WHOLE)
    other, _ = translate(image[::-1], random, arguments, "background", TARGET, tile=WHOLE)
    assert np.abs(both - other).max() > 1
    for wrong in (image[:1], image[0]):
        with pytest.raises(InputError, match="expected an image of 2 channels .*, found 1"):
            translate(wrong, random, arguments, "background", TARGET, tile=WHOLE)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("scale", ["background", "dtype"])
def test_the_result_has_the_dtype_of_the_target(scale, dtype):
    image, _ = simulated()
    target = Target(mean=100, sd=5, dtype=dtype)
    made, _ = translate(image, random_network(TINY), TINY, scale, target, tile=WHOLE)
    assert made.dtype == dtype
    assert len(np.unique(made)) > 10


@pytest.mark.parametrize("arguments", [TINY, INSTANCE], ids=["voxel", "instance"])
def test_a_norm_over_the_image_sees_it_in_one_piece(arguments):
    seen = []
    network = random_network(arguments)

    def forward(image):
        seen.append(tuple(image.shape[2:]))
        return network(image)

    image, tile = _noise((31, 50, 70)), _tile(arguments)
    tiled, _ = translate(image, forward, arguments, "background", TARGET, tile=tile)
    whole, _ = translate(image, network, arguments, "background", TARGET, tile=WHOLE)
    assert len(seen) == 1 if arguments is INSTANCE else len(seen) > 1
    if arguments is INSTANCE:
        assert seen == [(32, 52, 72)]
    np.testing.assert_allclose(tiled, whole, rtol=1e-4, atol=1e-3)


def test_an_image_too_large_for_one_piece_is_refused(monkeypatch):
    monkeypatch.setattr(module, "free_gib", lambda: 1e-5)
    image = _noise((32, 64, 64))
    network = random_network(INSTANCE)
    message = r"norm of this network is over the whole image, which takes 0.00293 GiB, 1e-05 GiB"
    with pytest.raises(InputError, match=message):
        translate(image, network, INSTANCE, "background", TARGET, tile=WHOLE)
    translate(image, random_network(TINY), TINY, "background", TARGET, tile=WHOLE)
    for enough in (None, 1.0):
        monkeypatch.setattr(module, "free_gib", lambda enough=enough: enough)
        translate(image, network, INSTANCE, "background", TARGET, tile=WHOLE)


def test_translations_are_the_same_bits_again():
    image = _noise((20, 40, 40))
    network = random_network(TINY)
    first, again = (
        translate(image, network, TINY, "background", TARGET, tile=_tile(TINY))[0] for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert not torch.is_grad_enabled() or all(w.grad is None for w in network.parameters())


def test_noise_depends_on_the_seed_alone_and_a_network_without_takes_none():
    noisy, image = SMALL.model_copy(update={"noise": 1}), _noise((8, 12, 12))
    for arguments, differ in ((noisy, True), (SMALL, False)):
        network = random_network(arguments)
        first, again, other = (
            translate(
                image, network, arguments, "background", TARGET, tile=_tile(arguments), seed=seed
            )[0]
            for seed in (3, 3, 4)
        )
        assert first.shape == image.shape
        np.testing.assert_array_equal(first, again)
        assert bool((first != other).any()) is differ


@pytest.mark.parametrize("noise", [0, 1])
def test_an_image_on_disk_is_translated_like_one_in_memory(noise, mapped, monkeypatch):
    arguments = SMALL.model_copy(update={"noise": noise})
    image, network = _noise((20, 60, 70)), random_network(arguments)
    tile = _tile(arguments)
    expected, _ = translate(image, network, arguments, "background", TARGET, tile=tile, seed=3)
    monkeypatch.setattr(large, "fits", lambda _: False)
    found, facts = translate(
        mapped(image), network, arguments, "background", TARGET, tile=tile, seed=3
    )
    assert facts.tiles > 1
    assert large.is_mapped(found)
    assert large.is_mapped(facts.values)
    np.testing.assert_array_equal(found, expected)
