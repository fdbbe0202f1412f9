import subprocess
import sys
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from light_sheet import DTYPES, SPACING, TINY, WHOLE, least, noise, random_network, roomy, view

from cytosuite.algorithms.view_fusion import fuse as module
from cytosuite.algorithms.view_fusion.fuse import agreement, restore
from cytosuite.algorithms.view_fusion.intensity import to_counts, to_network, units_of
from cytosuite.algorithms.view_fusion.network import RestorerArguments, build
from cytosuite.algorithms.view_fusion.parameters import Parameters
from cytosuite.tiling import fit, plan

BOTH = TINY.model_copy(update={"inputs": ("distance", "light")})
FLAT = RestorerArguments(widths=(3, 4, 4), blocks=(1, 0, 1), fold=1, flat=1)
SMALL = RestorerArguments(widths=(4,), blocks=(1,), fold=2)
DEFAULT = RestorerArguments()


def _made(image, arguments, tile, network=None):
    network = network or random_network(arguments)
    return restore(image, SPACING, units_of(image), network, arguments, tile=tile)


def _float(image):
    """Return an image in which rounding to grey values hides nothing."""
    return image.astype(np.float32)


@pytest.mark.parametrize("arguments", [TINY, BOTH, FLAT, SMALL], ids=str)
@pytest.mark.parametrize("more", [(0, 0, 0), (1, 2, 3)])
def test_tiles_leave_no_seams(arguments, more):
    tile = roomy(arguments)
    shape = [side * 4 // 3 + odd for side, odd in zip(tile, more, strict=True)]
    image = _float(view(shape=shape))
    tiled, whole = (_made(image, arguments, size) for size in (tile, WHOLE))
    assert tiled.tiles >= 8 > whole.tiles == 1
    assert np.abs(whole.image - image).mean() > 1
    np.testing.assert_allclose(tiled.image, whole.image, rtol=2e-5, atol=2e-3)


@settings(deadline=None, max_examples=15)
@given(
    st.tuples(st.integers(1, 30), st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(3, 9), st.integers(9, 18), st.integers(9, 18)),
)
def test_tiles_leave_no_seams_in_an_image_of_any_size(shape, more):
    tile = [side + extra for side, extra in zip(least(SMALL), more, strict=True)]
    image = _float(noise(shape))
    tiled, whole = (_made(image, SMALL, size) for size in (tile, WHOLE))
    assert tiled.image.shape == shape
    np.testing.assert_allclose(tiled.image, whole.image, rtol=2e-5, atol=2e-3)


def test_too_small_a_halo_would_leave_seams(monkeypatch):
    halo = tuple(margin - step for margin, step in zip(TINY.halo, TINY.multiple, strict=True))
    monkeypatch.setattr(RestorerArguments, "halo", property(lambda self: halo))
    tile = roomy(TINY)
    image = _float(noise([side * 4 // 3 for side in tile]))
    tiled, whole = (_made(image, TINY, size) for size in (tile, WHOLE))
    assert np.abs(tiled.image - whole.image).max() > 0.1


def _grid_energy(plane, period):
    """Return how much more power the frequencies of a grid along x have than those beside them.

    Rows are averaged, a slope is taken off: a background without a grid has about 1.
    """
    profile = np.diff(plane.astype(float).mean(0))
    profile -= profile.mean()
    power = np.abs(np.fft.rfft(profile)) ** 2
    harmonics = np.arange(1, 6) * len(profile) // period
    beside = np.mean([power[harmonics + shift] for shift in (-2, -1, 1, 2)], 0)
    return power[harmonics].sum() / beside.sum()


def _scaled_by_each_tile(network):
    """Return a network with statistics of each tile, as those with an instance norm have."""

    def forward(part):
        mean, sd = part.mean(), part.std()
        made: torch.Tensor = network((part - mean) / sd)
        return made * sd

    return forward


def test_tiles_leave_no_chessboard_in_a_noisy_background():
    shading = np.add.outer(np.linspace(0, 60, 416), np.linspace(0, 60, 416))
    image = _float(noise((2, 416, 416))) + shading.astype(np.float32)
    network, tile = random_network(SMALL), (2, 72, 72)
    size = fit(image.shape, tile, SMALL.halo, SMALL.multiple)
    pieces = plan(image.shape, size, SMALL.halo, multiple=SMALL.multiple)
    (period,) = {piece.output[2].stop - piece.output[2].start for piece in pieces[1:3]}
    assert len(pieces) >= 25
    energy = {}
    for name, limit, forward in [
        ("tiled", tile, network),
        ("whole", WHOLE, network),
        ("by tile", tile, _scaled_by_each_tile(network)),
    ]:
        plane = _made(image, SMALL, limit, forward).image.mean(0)
        side = plane.shape[1] // period * period
        energy[name] = _grid_energy(plane[:, -side - 1 :], period)
    assert energy["tiled"] == pytest.approx(energy["whole"], rel=1e-4)
    assert energy["whole"] < 2
    assert energy["by tile"] > 3 * energy["whole"]  # what the published norm does


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arguments", [TINY, BOTH], ids=["view", "all inputs"])
def test_an_untrained_network_hands_every_dtype_back(dtype, arguments):
    image = view(dtype=dtype)
    found = _made(image, arguments, roomy(arguments), build(arguments).eval())
    assert found.image.dtype == dtype
    assert found.finite
    if image.dtype.kind == "f":
        np.testing.assert_allclose(found.image, image, rtol=1e-5, atol=1e-4)
    else:
        np.testing.assert_array_equal(found.image, image)


def test_the_answer_is_that_of_the_network():
    image = view(dtype="uint16")
    units, network = units_of(image), random_network(TINY)
    with torch.no_grad():
        answer = network(torch.from_numpy(to_network(image, units))[None, None])[0, 0].numpy()
    found = _made(image, TINY, WHOLE, network)
    np.testing.assert_array_equal(found.image, to_counts(answer, units, "uint16"))
    assert found.image.std() > 1


def test_gain_and_offset_of_the_camera_pass():
    image = _float(view())
    found = _made(image, BOTH, WHOLE)
    other = _made(7 * image + 300, BOTH, WHOLE)
    np.testing.assert_allclose(other.image, 7 * found.image + 300, rtol=1e-3, atol=0.5)


def test_a_hot_voxel_disturbs_nothing_beyond_the_reach():
    image = noise((20, 90, 90))
    hot = image.copy()
    hot[10, 45, 45] = 65535
    assert units_of(hot) == units_of(image)
    one, other = (_made(each, TINY, WHOLE).image.astype(int) for each in (image, hot))
    far = np.ones(image.shape, bool)
    box = tuple(
        slice(max(0, c - h - 1), c + h + 2) for c, h in zip((10, 45, 45), TINY.halo, strict=True)
    )
    far[box] = False
    np.testing.assert_array_equal(one[far], other[far])
    assert far.mean() > 0.3
    assert np.abs(one - other)[~far].mean() < 3 * one.std()


def test_answers_that_are_no_numbers_are_noticed_and_written_as_numbers():
    image = view(dtype="uint16")

    def broken(part):
        made = part[:, :1].clone()
        made[..., 3] = torch.nan
        return made

    found = _made(image, TINY, WHOLE, broken)
    assert not found.finite
    assert found.image.dtype == np.uint16
    assert _made(image, TINY, WHOLE, lambda part: part[:, :1] * torch.inf).finite is False


@pytest.mark.parametrize(
    "shape", [(5, 37, 41), (1, 1, 50), (1, 60, 1), (2, 3, 5), (1, 1, 1), (9, 1, 1)]
)
@pytest.mark.parametrize("arguments", [TINY, BOTH, FLAT], ids=["view", "all inputs", "flat"])
def test_images_of_any_size_have_an_answer(shape, arguments):
    image = noise(shape)
    found = _made(image, arguments, least(arguments))
    assert found.image.shape == shape
    assert found.finite


def test_the_same_view_gives_the_same_bytes():
    image = view()
    one, again = (_made(image, TINY, roomy(TINY)).image for _ in range(2))
    np.testing.assert_array_equal(one, again)


@pytest.mark.parametrize(
    ("shape", "most"),
    [((64, 512, 512), 1.5), ((222, 731, 860), 2), ((80, 1920, 1920), 2), ((309, 1920, 1920), 2)],
)
def test_few_more_voxels_are_computed_than_there_are(shape, most):
    given = Parameters(method="network", network=DEFAULT)
    size = fit(shape, given.tile, DEFAULT.halo, DEFAULT.multiple)
    tiles = plan(shape, size, DEFAULT.halo, multiple=DEFAULT.multiple)
    computed = sum(prod(part.stop - part.start for part in tile.input) for tile in tiles)
    assert computed <= most * prod(shape)
    assert prod(size) * module.TILE_BYTES < 2.5 * 2**30


def test_little_memory_makes_smaller_tiles(monkeypatch):
    sizes = []
    monkeypatch.setattr(
        module, "fit", lambda shape, tile, *rest: sizes.append(tile) or fit(shape, tile, *rest)
    )
    tile = Parameters(method="network", network=DEFAULT).tile
    for free in (None, 64.0, 3.0, 0.1):
        monkeypatch.setattr(module, "free_gib", lambda free=free: free)
        _made(noise((4, 16, 16)), DEFAULT, tile, build(DEFAULT).eval())
    assert sizes == [tile, tile, (64, 192, 192), (64, 192, 192)]
    sizes.clear()
    _made(noise((4, 16, 16)), DEFAULT, least(DEFAULT), build(DEFAULT).eval())
    assert list(sizes[0]) == least(DEFAULT)  # never all halo


@pytest.mark.slow
def test_of_the_whole_nothing_but_view_and_result_is_held():
    code = """
import resource, numpy as np
from cytosuite.algorithms.view_fusion.fuse import restore
from cytosuite.algorithms.view_fusion.intensity import units_of
from cytosuite.algorithms.view_fusion.network import RestorerArguments, build
import torch
torch.set_num_threads(1)
given = RestorerArguments(widths=(4,), blocks=(0,), inputs=("distance",))
image = np.random.default_rng(0).integers(0, 99, (20, 64, 64), np.uint16)
network = build(given).eval()
run = lambda image: restore(image, (1, 1, 1), units_of(image), network, given, tile=(16, 64, 64))
run(image)
large = np.tile(image, (1, 10, 10))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run(large)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / large.size)
"""
    made = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, timeout=300
    )
    assert float(made.stdout) < 4  # bytes per voxel: the result has 2


def test_agreement_is_that_of_structures():
    image = view()
    assert agreement(image, image, SPACING) == pytest.approx(1)
    assert agreement(image, 3 * image.astype(int) + 7, SPACING) == pytest.approx(1)
    assert agreement(image, 255 - image, SPACING) == pytest.approx(-1, abs=1e-3)
    assert agreement(image, image[:, :, ::-1], SPACING) < 0.95
    assert abs(agreement(noise(seed=1), noise(seed=2), SPACING)) < 0.4
    noisy = image + 30 * noise(seed=3)  # most of it is noise
    assert np.corrcoef(image.ravel(), noisy.ravel())[0, 1] < 0.3
    assert agreement(image, noisy, SPACING) > 0.7
    assert agreement(image, view(seed=5), SPACING) < 1


def test_agreement_of_constant_images_is_defined():
    image, flat = view(), np.full((20, 72, 64), 7, np.uint8)
    assert agreement(flat, flat, SPACING) == 1
    assert agreement(image, flat, SPACING) == 0
    assert agreement(flat, image, SPACING) == 0


def test_agreement_is_not_that_of_a_hot_voxel():
    one, other = noise(seed=1), noise(seed=2)
    for image in (one, other):
        image[3, 4, 5] = 65535
    assert agreement(one, other, SPACING) < 0.4
