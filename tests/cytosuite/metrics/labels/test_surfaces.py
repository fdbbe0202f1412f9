import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from cytosuite.errors import InputError
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.metrics.labels.surfaces import assd, hausdorff, hd95, surface_table
from cytosuite.volume import large

SPACING = (2.0, 0.5, 0.7)
METRICS = (assd, hausdorff, hd95)
VOLUMES = arrays.arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 2))
quick = settings(max_examples=50)


def slowly(truth, prediction, spacing):
    """Return both directions' distances of two masks by a distance transform of the volume."""
    cross = ndimage.generate_binary_structure(truth.ndim, 1)
    edges = [mask & ~ndimage.binary_erosion(mask, cross) for mask in (truth, prediction)]
    maps = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    return maps[1][edges[0]], maps[0][edges[1]]


def balls(seed, shape=(16, 20, 24)):
    """Return two random masks that overlap by more than half."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape) - np.array(shape).reshape(3, 1, 1, 1) / 2
    radius = (grid**2).sum(0) / 49
    noise = [ndimage.gaussian_filter(rng.normal(size=shape), 2) for _ in range(2)]
    return tuple((radius + 6 * part < 1) for part in noise)


@given(VOLUMES, VOLUMES)
@quick
def test_distances_are_those_of_a_distance_transform_of_each_pair(truth, prediction):
    table, pairs = surface_table(truth, prediction, SPACING), overlap(truth, prediction)
    matched = pairs.above_half
    assert table.assd.size == matched.size
    for i, (t, p) in enumerate(
        zip(pairs.truth_index[matched], pairs.prediction_index[matched], strict=True)
    ):
        masks = truth == pairs.truth_labels[t], prediction == pairs.prediction_labels[p]
        expected = slowly(*masks, SPACING)
        assert table.assd[i] == pytest.approx(np.concatenate(expected).mean())
        assert table.hausdorff[i] == pytest.approx(max(map(np.max, expected)))
        quantile = max(float(np.quantile(side, 0.95)) for side in expected)
        assert table.hd95[i] == pytest.approx(quantile)
    for metric in METRICS:
        exchanged = metric(prediction, truth, SPACING)
        assert metric(truth, prediction, SPACING) == pytest.approx(exchanged, nan_ok=True)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of an option which MONAI itself gives
@pytest.mark.parametrize("seed", range(2))
def test_agrees_with_monai(seed):
    torch = pytest.importorskip("torch", reason="MONAI is compared with where it is installed")
    monai = pytest.importorskip("monai.metrics", reason="compared with where it is installed")
    truth, prediction = balls(seed)
    batch = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth)]
    mean = monai.compute_average_surface_distance(
        *batch, include_background=True, symmetric=True, spacing=SPACING
    )
    largest, most = (
        monai.compute_hausdorff_distance(
            *batch, include_background=True, percentile=percentile, spacing=SPACING
        )
        for percentile in (None, 95)
    )
    masks = truth.astype(np.uint8), prediction.astype(np.uint8)
    ours = [metric(*masks, SPACING) for metric in METRICS]
    assert ours == pytest.approx([float(v) for v in (mean, largest, most)], rel=1e-5)


def test_surfaces_that_no_memory_holds_are_refused(mapped, monkeypatch):
    monkeypatch.setattr("cytosuite.metrics.labels.surfaces.FEW", 1000)
    monkeypatch.setattr("cytosuite.metrics.labels.surfaces.fits", lambda size: size < 1000)
    labels = np.ones((9, 9, 9), np.uint8)
    assert hausdorff(labels, labels, SPACING) == 0
    with pytest.raises(InputError, match="those that reach into one plane take .* GiB"):
        hausdorff(mapped(labels), labels, SPACING)


@pytest.mark.parametrize("spacing", [(1, 1), (0, 1, 1)])
def test_a_spacing_that_does_not_suit_is_refused(spacing, situations):
    message = r"^spacing must be a positive number in µm for each axis .*, found .* of 3 axes$"
    with pytest.raises(InputError, match=message):
        surface_table(*situations.shifted(), spacing)


@given(VOLUMES, VOLUMES, st.integers(1, 45))
@quick
def test_volumes_on_disk_have_the_distances_of_those_in_memory(truth, prediction, slab):
    there = surface_table(truth, prediction, SPACING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "fits", lambda _: False)
        patch.setattr(large, "SLAB", slab)
        moved = large.room(truth.shape, truth.dtype)
        moved[...] = truth
        found = surface_table(moved, prediction, SPACING)
    for name in ("assd", "hausdorff", "hd95"):
        # the place of a quantile is rounded within the objects of a slab
        np.testing.assert_allclose(getattr(found, name), getattr(there, name), rtol=1e-12)
