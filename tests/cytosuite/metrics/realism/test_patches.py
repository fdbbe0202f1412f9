from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from scipy import ndimage
from scipy.linalg import sqrtm

from cytosuite.errors import InputError
from cytosuite.metrics.metric import metrics_of
from cytosuite.metrics.realism.patch_statistics import Extractor, statistics
from cytosuite.metrics.realism.patches import (
    PatchFeatures,
    frechet_distance,
    kid_interval,
    patch_features,
    patch_fid,
    patch_kid,
)
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume

UNIT = (1.0, 1.0, 1.0)
EXTRACTOR = Extractor(patch_um=(8.0, 8.0, 8.0), bands=(0.1, 0.2, 0.35, 0.5), openings_um=(3.0, 5.0))
SMALL = {"extractor": EXTRACTOR, "patches": 80}


def blobs(seed=0, grey=np.float64):
    """Bright blobs on noise, labelled."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(16, 40, 40)), 2.5)
    labels = (field > field.std()).astype(np.uint8)
    return Scene(
        Volume((100 + 300.0 * labels + rng.normal(0, 10, labels.shape)).astype(grey), UNIT), labels
    )


def altered(scene, change):
    return Scene(Volume(change(scene.image.array), scene.image.spacing), scene.labels)


def features(real, synthetic, real_volume=None, synthetic_volume=None):
    volumes = [
        np.zeros(len(rows), np.int64) if volume is None else np.asarray(volume)
        for rows, volume in ((real, real_volume), (synthetic, synthetic_volume))
    ]
    return PatchFeatures(np.asarray(real, float), np.asarray(synthetic, float), *volumes)


def kid_by_loops(x, y):
    def k(a, b):
        return (a @ b / len(a) + 1) ** 3

    m, n = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    yy = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return xx + yy - 2 * np.mean([[k(a, b) for b in y] for a in x])


def test_kid_by_loops():
    rng = np.random.default_rng(0)
    for m, n in ((2, 2), (6, 6), (5, 9)):
        x, y = rng.normal(size=(m, 3)), rng.normal(1, 1, (n, 3))
        assert patch_kid.of(features(x, y)) == pytest.approx(kid_by_loops(x, y), rel=1e-9)


def test_kid_does_not_depend_on_how_stacks_are_told_apart():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), rng.normal(1, 1, (10, 3))
    apart = features(x, y, np.repeat([0, 1, 2], 4), np.repeat([0, 1], 5))
    assert patch_kid.of(apart) == pytest.approx(patch_kid.of(features(x, y)), rel=1e-9)


def test_kid_is_zero_on_average_for_one_kind_and_symmetric():
    rng = np.random.default_rng(0)
    values = [patch_kid.of(features(*rng.normal(size=(2, 12, 2)))) for _ in range(800)]
    assert abs(np.mean(values)) < 4 * np.std(values) / len(values) ** 0.5
    assert min(values) < 0
    x, y = rng.normal(size=(8, 2)), rng.normal(1, 2, (7, 2))
    assert patch_kid.of(features(x, y)) == pytest.approx(patch_kid.of(features(y, x)), rel=1e-9)


def test_fid_of_normal_distributions_along_the_axes():
    """Diagonal covariances: |m1 - m2|**2 + sum of (s1 - s2)**2."""
    square = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]]) * np.sqrt(3 / 4)
    first, second = square * [2, 3], square * [5, 1] + [4, -1]
    assert frechet_distance(first, second) == pytest.approx(16 + 1 + 9 + 4)


def test_fid_agrees_with_the_root_of_the_product():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4))
    y = rng.normal(1, 1, (50, 4)) @ rng.normal(size=(4, 4))
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    gap = x.mean(axis=0) - y.mean(axis=0)
    expected = gap @ gap + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_fid_of_features_that_do_not_vary():
    flat = np.ones((10, 3))
    assert frechet_distance(flat, flat) == 0
    assert frechet_distance(flat, flat + 2) == pytest.approx(12)


@pytest.mark.parametrize(("rows", "defined"), [(9, False), (10, True)])
def test_fid_needs_five_patches_per_dimension_on_both_sides(rows, defined):
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=(rows, 2)), rng.normal(size=(30, 2))
    assert isnan(patch_fid.of(features(few, many))) is not defined
    assert isnan(patch_fid.of(features(many, few))) is not defined


def test_distances_grow_with_blur():
    real, many = blobs(), SMALL | {"patches": 200}
    drawn = [
        patch_features(real, altered(real, lambda a, s=s: ndimage.gaussian_filter(a, s)), **many)
        for s in (0.5, 0.8, 1.2, 1.8)
    ]
    for metric in (patch_kid, patch_fid):
        values = [metric.of(f) for f in drawn]
        assert values == sorted(values)
        assert values[0] > metric(real, real, **many)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a + 200,
        lambda a: 100 + 2 * (a - 100),
        lambda a: 500 - a,
        lambda a: a + np.random.default_rng(5).normal(0, 40, a.shape),
        lambda a: ndimage.gaussian_filter(a, (2, 0, 0)),
    ],
    ids=["brighter", "more contrast", "inverted", "noisier", "axial blur"],
)
def test_sees_every_kind_of_change(change):
    """Against the noise of the estimate on equal sides, about 0.1 for that many patches."""
    real = [blobs(), blobs(1)]
    many = SMALL | {"patches": 200}
    assert abs(patch_kid(real, real, **many)) < 0.2
    assert patch_kid(real, [altered(r, change) for r in real], **many) > 0.6


def test_the_extractor_has_one_number_per_name():
    patches = np.random.default_rng(0).integers(0, 4096, (5, 8, 9, 10)).astype(np.uint16)
    rows = statistics(patches, UNIT, Extractor())
    assert rows.shape == (5, len(Extractor().names))
    assert np.isfinite(rows).all()
    assert rows[:, 0] == pytest.approx(patches.mean(axis=(1, 2, 3)))
    as_float = statistics(patches.astype(np.float64), UNIT, Extractor())
    assert rows == pytest.approx(as_float, rel=1e-12)


@pytest.mark.parametrize("value", [0, 7, 60000])
def test_constant_patches_have_finite_numbers(value):
    assert np.isfinite(statistics(np.full((2, 8, 8, 8), value), UNIT, EXTRACTOR)).all()


def test_texture_does_not_depend_on_brightness_and_contrast():
    patches = np.random.default_rng(0).gamma(2, 30, (4, 8, 8, 8))
    a, b = statistics(patches, UNIT, EXTRACTOR), statistics(5 * patches + 900, UNIT, EXTRACTOR)
    assert b[:, 2:] == pytest.approx(a[:, 2:], rel=1e-6, abs=1e-6)


def test_a_wave_is_in_its_band():
    x = np.arange(32) * 0.5
    wave = np.broadcast_to(np.sin(2 * np.pi * 0.3 * x), (1, 32, 32, 32))
    rows = statistics(wave, (0.5, 0.5, 0.5), EXTRACTOR)[0]
    power = dict(zip(EXTRACTOR.names, rows, strict=True))
    assert power["power_0.2_0.35"] > power["power_0.1_0.2"] + 2
    assert power["power_0.2_0.35"] > power["power_0.35_0.5"] + 2


def test_grains_are_taken_away_by_the_opening_of_their_size():
    patch = np.zeros((1, 12, 12, 12))
    patch[0, 4:8, 4:8, 4:8] = 1.0
    rows = dict(zip(EXTRACTOR.names, statistics(patch, UNIT, EXTRACTOR)[0], strict=True))
    assert (rows["grains_3"], rows["grains_5"]) == pytest.approx((0.0, 1.0))


def test_real_patches_are_standardised():
    found = patch_features(blobs(), blobs(1), **SMALL)
    assert found.real.mean(axis=0) == pytest.approx(np.zeros(found.real.shape[1]), abs=1e-9)
    assert found.real.std(axis=0) == pytest.approx(np.ones(found.real.shape[1]), rel=1e-9)


def test_the_seed_decides():
    pair = blobs(), blobs(1)
    one, same, other = (patch_features(*pair, seed=s, **SMALL) for s in (3, 3, 4))
    assert np.array_equal(one.synthetic, same.synthetic)
    assert not np.array_equal(one.synthetic, other.synthetic)


def test_patches_are_spread_over_the_stacks_and_half_are_on_objects():
    real = [blobs(), blobs(1), blobs(2)]
    found = patch_features(real, real[:2], **SMALL)
    assert np.bincount(found.real_volume).tolist() == [28, 26, 26]
    assert np.bincount(found.synthetic_volume).tolist() == [40, 40]
    empty = Scene(real[0].image, np.zeros_like(real[0].labels))
    mixed = patch_features([real[0], empty], real, **SMALL)
    assert np.bincount(mixed.real_volume).tolist() == [60, 20]


def test_undefined_without_objects():
    real = blobs()
    empty = Scene(real.image, np.zeros_like(real.labels))
    for pair in ((real, empty), (empty, real), (real, [])):
        assert isnan(patch_kid(*pair, **SMALL))
        assert isnan(patch_fid(*pair, **SMALL))
    anywhere = SMALL | {"foreground": 0.0}
    assert not isnan(patch_kid(empty, empty, **anywhere))


def test_a_constant_real_stack_is_no_error():
    real = blobs()
    flat = altered(real, np.ones_like)
    assert patch_kid(flat, flat, **SMALL) == pytest.approx(0, abs=1e-9)
    assert patch_kid(flat, real, **SMALL) > 1


def test_interval_over_stacks():
    stacks = [blobs(s) for s in range(6)]
    found = patch_features(stacks[:3], stacks[3:], **SMALL)
    low, high = kid_interval(found, draws=200)
    assert low < patch_kid.of(found) < high
    assert kid_interval(found, draws=200) == (low, high)
    single = patch_features(stacks[0], stacks[3:], **SMALL)
    assert all(isnan(limit) for limit in kid_interval(single))


def test_memory_layout_does_not_matter():
    real = blobs(grey=np.uint16)
    turned = Scene(
        Volume(np.asfortranarray(real.image.array), UNIT), np.asfortranarray(real.labels)
    )
    a, b = patch_kid(real, real, **SMALL), patch_kid(real, turned, **SMALL)
    assert a == pytest.approx(b, rel=1e-9)


def test_refuses_small_stacks_and_wrong_numbers():
    with pytest.raises(InputError, match=r"^a stack of \(16, 40, 40\) voxels is smaller than"):
        patch_features(blobs(), blobs(), extractor=replace(EXTRACTOR, patch_um=(20.0, 8.0, 8.0)))
    with pytest.raises(InputError, match=r"^patches must be at least 2 and foreground in \[0, 1\]"):
        patch_features(blobs(), blobs(), foreground=2.0)
    with pytest.raises(InputError, match="^bands must be positive numbers in ascending order"):
        Extractor(bands=(0.3, 0.1))
    with pytest.raises(InputError, match=r"^patch_um must be positive numbers, found"):
        Extractor(patch_um=(0.0, 1.0, 1.0))


def test_are_listed_as_distances_of_sets():
    for metric in (patch_kid, patch_fid):
        assert metric in metrics_of("realism")
        assert (metric.best, metric.worst, metric.scope) == (0.0, None, "set")
