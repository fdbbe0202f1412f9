import numpy as np
import pytest
import torch
from light_sheet import SPACING, noise, specimen, view
from mistakes import refused
from numpy.testing import assert_allclose
from reach import random_image, seen, spacious
from restorers import TINY, WHOLE, random_network
from scipy import ndimage

from cytosuite.algorithms.view_fusion.classical import (
    LossEstimate,
    Restoration,
    correct,
    deconvolved,
    loss_of,
    paths_of,
    smooth,
)
from cytosuite.algorithms.view_fusion.intensity import units_of
from cytosuite.algorithms.view_fusion.network import RestorerArguments, build, load

TILE = (14, 40, 40)


def _corrected(image, restoration, tile):
    return correct(image, SPACING, units_of(image), restoration, tile=tile)[0]


@pytest.mark.parametrize("sigma", [0.442, 2.0])
def test_the_gaussian_is_scipys(sigma):
    image = noise((30, 50, 44)).astype(np.float32)
    assert_allclose(
        smooth(image, sigma, tile=TILE), ndimage.gaussian_filter(image, sigma), rtol=1e-6
    )
    counts = image.astype(np.uint16)
    expected = np.rint(ndimage.gaussian_filter(counts.astype(np.float32), sigma))
    np.testing.assert_array_equal(smooth(counts, sigma, tile=TILE), expected)


@pytest.mark.parametrize("steps", [0, 5])
def test_a_constant_stays_and_so_does_darkness(steps):
    for level in (0.0, 1.0, 1e20):
        image = np.full((4, 9, 9), level)
        assert_allclose(deconvolved(image, (1, 1, 1), steps, 0.1), image, rtol=1e-6)


def test_each_step_brings_a_blurred_point_nearer_to_a_point():
    point = np.zeros((15, 15, 15))
    point[7, 7, 7] = 100
    sigma = (2.0, 1.0, 1.0)
    blurred = ndimage.gaussian_filter(point, sigma, truncate=3)
    restored = [deconvolved(blurred, sigma, steps, 1e-3) for steps in (0, 1, 3, 10)]
    errors = [np.abs(image - point).sum() for image in (restored[0], blurred, *restored[2:])]
    assert errors == sorted(errors, reverse=True)
    for image in restored:
        assert image.min() >= 0
        assert image.sum() == pytest.approx(100, rel=0.1)  # light is kept
        assert_allclose(image, image[::-1, ::-1, ::-1], atol=1e-9)


def test_tiles_leave_no_seams():
    image = view(loss_per_um=0.02).astype(np.float32)
    restoration = Restoration(steps=2, psf_um=(4.0, 1.5, 1.5))
    tiled, whole = (_corrected(image, restoration, tile) for tile in ((4, 40, 40), WHOLE))
    assert_allclose(tiled, whole, rtol=1e-5, atol=1e-3)
    assert np.abs(whole - image).max() > 5


@pytest.mark.parametrize("shape", [(5, 37, 41), (1, 1, 50), (1, 1, 1)])
def test_images_of_any_size_have_an_answer_by_the_smallest_tiles(shape):
    image = noise(shape)
    assert _corrected(image, Restoration(), (1, 1, 1)).shape == shape
    assert smooth(image, 0.5, tile=(1, 1, 1)).shape == shape


GIVEN = LossEstimate(block_um=20, strength=1, most_gain=10)


def test_paths_are_the_specimen_on_the_way_to_each_side():
    mask = np.zeros((1, 2, 5), bool)
    mask[0, 0, 1:4] = True
    paths = paths_of(mask, (2.0, 3.0, 0.5))
    for side, row, expected in (
        (4, 0, [0, 0.25, 0.75, 1.25, 1.5]),  # from low x
        (5, 0, [1.5, 1.25, 0.75, 0.25, 0]),  # from high x
        (0, 0, [0, 1, 1, 1, 0]),
        (2, 0, [0, 1.5, 1.5, 1.5, 0]),
        (2, 1, [0, 3, 3, 3, 0]),
    ):
        assert_allclose(paths[side][0, row], expected)
    assert_allclose(paths[4:, 0, 1], 0)


@pytest.mark.parametrize("axis, side", {0: 1, 1: 0, 2: 1}.items())
def test_the_loss_is_found_on_its_side(axis, side):
    shape, spacing, loss = (40, 60, 60), (2.0, 1.5, 1.5), 0.025
    image = view(shape=shape, spacing=spacing, loss_per_um=loss, axis=axis)
    image = np.flip(image, axis) if side else image
    per_um = loss_of(image, spacing, GIVEN).per_um
    place = 2 * axis + side
    assert np.argmax(per_um) == place
    assert per_um[place] == pytest.approx(loss, rel=0.35)
    assert sum(per_um) - per_um[place] < 0.5 * loss
    assert min(per_um) >= 0


def test_the_gain_undoes_the_loss():
    even = view(loss_per_um=0)
    lossy = view(loss_per_um=0.015)
    loss = loss_of(lossy, SPACING, GIVEN)
    gain = loss.gain.read(tuple(map(slice, lossy.shape)))
    assert gain.min() >= 1
    corrected = (lossy - loss.background) * gain
    inside = specimen(share=0.55)
    left = np.index_exp[..., :32]
    right = np.index_exp[..., 32:]
    before, after, best = (
        image[left][inside[left]].mean() / image[right][inside[right]].mean()
        for image in (lossy - loss.background, corrected, even - 20.0)
    )
    assert before > best + 0.3
    assert abs(after - best) < 0.5 * (before - best)


def test_the_gain_is_limited_and_fades_beyond_the_specimen():
    loss = loss_of(view(loss_per_um=0.05), SPACING, LossEstimate(strength=1, most_gain=1.5))
    assert 1.2 < loss.gain.values.max() <= 1.5 + 1e-6
    assert loss.gain.values[0, 0, -1] < 1.1
    none = loss_of(view(loss_per_um=0.05), SPACING, LossEstimate(strength=0))
    assert_allclose(none.gain.values, 1)
    assert max(none.per_um) > 0.02
    half = loss_of(view(loss_per_um=0.02), SPACING, LossEstimate(strength=0.5, most_gain=10))
    full = loss_of(view(loss_per_um=0.02), SPACING, LossEstimate(strength=1, most_gain=10))
    assert_allclose(half.gain.values, np.sqrt(full.gain.values), rtol=1e-5)


@pytest.mark.parametrize(
    "image",
    [
        np.full((8, 20, 20), 9.5, np.float32),
        noise(),
        np.ones((1, 1, 1)),
    ],
    ids=lambda image: f"{image.dtype} {image.shape}",
)
def test_without_a_specimen_no_loss_is_seen(image):
    loss = loss_of(image, (1.0, 0.3, 0.3), GIVEN)
    assert loss.per_um == (0,) * 6
    assert (loss.gain.values == 1).all()
    assert loss.gain.read(tuple(map(slice, image.shape))).shape == image.shape


def test_an_untrained_network_hands_the_view_back_exactly():
    network = build(TINY.model_copy(update={"inputs": ("light", "distance")}))
    image = 5 * random_image(2, 3, *(2 * n for n in TINY.multiple))
    assert torch.equal(network(image), image[:, :1])


def test_further_inputs_are_seen_but_not_added():
    network = random_network(TINY.model_copy(update={"inputs": ("distance",)}))
    image = random_image(1, 2, 4, 8, 8)
    other = random_image(1, 2, 4, 8, 8, seed=1)
    other[:, :1] = image[:, :1]
    assert not torch.allclose(network(image), network(other))


@pytest.mark.parametrize(
    "arguments",
    [
        TINY,
        RestorerArguments(widths=(3,), blocks=(2,), kernel=5, fold=3),
        RestorerArguments(widths=(3, 4), blocks=(0, 0), kernel=1, fold=1),
        RestorerArguments(widths=(2, 3, 3), blocks=(0, 1, 1), fold=1, flat=1),
        RestorerArguments(widths=(2, 3, 3), blocks=(1, 0, 0), fold=1, flat=0, kernel=5),
    ],
    ids=str,
)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_beyond_the_halo_and_no_nearer_a_tile_does_not_see_its_faces(arguments, axis):
    face = spacious(arguments)[axis] // 2
    reach = []
    for beyond in (slice(0, face), slice(face, None)):
        place = [slice(None)] * 3
        place[axis] = beyond
        touched = seen(random_network(arguments), arguments, place).any(tuple({0, 1, 2} - {axis}))
        reach.append(touched[face:].sum() if beyond.start == 0 else touched[:face].sum())
    assert max(reach) == arguments.halo[axis]


def test_checkpointing_changes_no_gradient():
    gradients = []
    image = random_image(1, 1, 4, 8, 8)
    for checkpointing in (False, True):
        network = random_network(TINY).train()
        network.checkpointing = checkpointing
        network(image).square().mean().backward()
        gradients.append([weight.grad for weight in network.parameters()])
    assert all(torch.equal(one, two) for one, two in zip(*gradients, strict=True))
    assert all(bool(gradient.any()) for gradient in gradients[0])


@pytest.mark.parametrize(
    "message, arguments",
    {
        r"blocks must be 3 numbers, one per width, found \(1,\)$": {"blocks": [1]},
        "kernel must be odd, found 4": {"kernel": 4},
        "inputs must differ": {"inputs": ["light", "light"]},
    }.items(),
)
def test_impossible_arguments_are_refused(arguments, message, tmp_path):
    refused(message, load, arguments, tmp_path / "w.safetensors")
