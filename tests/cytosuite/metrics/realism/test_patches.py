from itertools import permutations, product
from math import isnan

import numpy as np
import pytest
from mistakes import refused
from scipy import ndimage
from scipy.linalg import sqrtm

from cytosuite.metrics.realism.patches import (
    NAMES,
    PatchFeatures,
    frechet_distance,
    patch_features,
    patch_fid,
    patch_kid,
    statistics,
)
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume

UNIT = (1.0, 1.0, 1.0)
SMALL = {"patches": 80}


def blobs(seed=0):
    """Bright blobs on noise, labelled."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(16, 40, 40)), 2.5)
    labels = (field > field.std()).astype(np.uint8)
    return Scene(Volume(100 + 300.0 * labels + rng.normal(0, 10, labels.shape), UNIT), labels)


def features(real, synthetic, real_volume=None, synthetic_volume=None):
    volumes = [
        np.zeros(len(rows), np.int64) if volume is None else np.asarray(volume)
        for rows, volume in ((real, real_volume), (synthetic, synthetic_volume))
    ]
    return PatchFeatures(np.asarray(real, float), np.asarray(synthetic, float), *volumes)


def kid_by_pairs(x, y):
    """Return the estimate from the kernel of all pairs of different patches, and of both sides."""
    kinds = permutations(x, 2), permutations(y, 2), product(x, y)
    xx, yy, xy = (np.mean([(a @ b / len(a) + 1) ** 3 for a, b in pairs]) for pairs in kinds)
    return xx + yy - 2 * xy


def test_kid_by_pairs(rng):
    for m, n in ((2, 2), (5, 9)):
        x = rng.normal(size=(m, 3))
        y = rng.normal(1, 1, (n, 3))
        expected = pytest.approx(kid_by_pairs(x, y), rel=1e-9)
        assert patch_kid.of(features(x, y)) == expected
        assert patch_kid.of(features(x, y, np.arange(m) % 2, np.arange(n) % 2)) == expected
    assert isnan(patch_kid.of(features(x[:1], y)))


def test_fid_agrees_with_the_root_of_the_product(rng):
    x = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4))
    y = rng.normal(1, 1, (50, 4)) @ rng.normal(size=(4, 4))
    a = np.cov(x, rowvar=False)
    b = np.cov(y, rowvar=False)
    gap = x.mean(axis=0) - y.mean(axis=0)
    expected = gap @ gap + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("rows, defined", [(9, False), (10, True)])
def test_fid_needs_five_patches_per_dimension_on_both_sides(rows, defined, rng):
    few = rng.normal(size=(rows, 2))
    many = rng.normal(size=(30, 2))
    assert isnan(patch_fid.of(features(few, many))) is not defined
    assert isnan(patch_fid.of(features(many, few))) is not defined


def test_the_extractor_has_one_number_per_name(rng):
    patches = rng.integers(0, 4096, (5, 8, 9, 10)).astype(np.uint16)
    rows = statistics(patches, UNIT)
    assert rows.shape == (5, len(NAMES))
    assert np.isfinite(rows).all()
    assert rows[:, 0] == pytest.approx(patches.mean(axis=(1, 2, 3)))


@pytest.mark.parametrize("value", [0, 7, 60000])
def test_constant_patches_have_finite_numbers(value):
    assert np.isfinite(statistics(np.full((2, 8, 8, 8), value), UNIT)).all()


def test_a_wave_is_in_its_band():
    wave = np.broadcast_to(np.sin(2 * np.pi * 0.3 * (np.arange(32) * 0.5)), (1, 32, 32, 32))
    power = dict(zip(NAMES, statistics(wave, (0.5, 0.5, 0.5))[0], strict=True))
    assert power["power_0.2_0.35"] > power["power_0.1_0.2"] + 2
    assert power["power_0.2_0.35"] > power["power_0.35_0.6"] + 2


def test_grains_are_taken_away_by_the_opening_of_their_size():
    patch = np.zeros((1, 12, 12, 12))
    patch[0, 4:8, 4:8, 4:8] = 1.0
    rows = dict(zip(NAMES, statistics(patch, UNIT)[0], strict=True))
    assert [rows[f"grains_{size}"] for size in (2.5, 5, 8)] == pytest.approx([0.0, 1.0, 0.0])


def test_real_patches_are_standardised():
    patches = patch_features(blobs(), blobs(1), **SMALL)
    assert patches.real.mean(axis=0) == pytest.approx(np.zeros(patches.real.shape[1]), abs=1e-9)
    assert patches.real.std(axis=0) == pytest.approx(np.ones(patches.real.shape[1]), rel=1e-9)


def test_patches_are_spread_over_the_stacks_and_half_are_on_objects():
    real = [blobs(), blobs(1), blobs(2)]
    patches = patch_features(real, real[:2], **SMALL)
    assert np.bincount(patches.real_volume).tolist() == [28, 26, 26]
    assert np.bincount(patches.synthetic_volume).tolist() == [40, 40]
    empty = Scene(real[0].image, np.zeros_like(real[0].labels))
    mixed = patch_features([real[0], empty], real, **SMALL)
    assert np.bincount(mixed.real_volume).tolist() == [60, 20]


def test_undefined_without_objects():
    real = blobs()
    empty = Scene(real.image, np.zeros_like(real.labels))
    for pair in ((real, empty), (empty, real), (real, [])):
        assert isnan(patch_kid(*pair, **SMALL))
        assert isnan(patch_fid(*pair, **SMALL))
    assert not isnan(patch_kid(empty, empty, **(SMALL | {"foreground": 0.0})))


def test_refuses_small_stacks_and_wrong_numbers():
    scene = blobs()
    flat = Scene(Volume(scene.image.array, (0.5, 1.0, 1.0)), scene.labels)
    message = r"^a stack of \(16, 40, 40\) voxels is smaller than a pat"
    refused(message, patch_features, flat, scene)
    message = r"^patches must be at least 2 and foreground in \[0, 1\]"
    refused(message, patch_features, scene, scene, foreground=2.0)
