import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mistakes import refused
from scipy import ndimage

from cytosuite.metrics.labels.overlap import overlap
from cytosuite.metrics.labels.surfaces import assd, hausdorff, hd95, surface_table

SPACING = (2.0, 0.5, 0.7)
VOLUMES = arrays.arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 2))


def slowly(truth, prediction, spacing):
    """Return both directions' distances of two masks by a distance transform of the volume."""
    cross = ndimage.generate_binary_structure(truth.ndim, 1)
    edges = [mask & ~ndimage.binary_erosion(mask, cross) for mask in (truth, prediction)]
    maps = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    return maps[1][edges[0]], maps[0][edges[1]]


@given(VOLUMES, VOLUMES)
@settings(max_examples=50)
def test_distances_are_those_of_a_distance_transform_of_each_pair(truth, prediction):
    table = surface_table(truth, prediction, SPACING)
    pairs = overlap(truth, prediction)
    t = pairs.truth_labels[pairs.truth_index[pairs.above_half]]
    p = pairs.prediction_labels[pairs.prediction_index[pairs.above_half]]
    for *labels, mean, high, most in zip(
        t, p, table.assd, table.hd95, table.hausdorff, strict=True
    ):
        expected = slowly(truth == labels[0], prediction == labels[1], SPACING)
        assert mean == pytest.approx(np.concatenate(expected).mean())
        assert most == pytest.approx(max(map(np.max, expected)))
        assert high == pytest.approx(max(np.quantile(side, 0.95) for side in expected))
    for metric in (assd, hausdorff, hd95):
        exchanged = metric(prediction, truth, SPACING)
        assert metric(truth, prediction, SPACING) == pytest.approx(exchanged, nan_ok=True)


def test_surfaces_that_no_memory_holds_are_refused(mapped, monkeypatch):
    monkeypatch.setattr("cytosuite.metrics.labels.surfaces.FEW", 1000)
    monkeypatch.setattr("cytosuite.metrics.labels.surfaces.fits", lambda size: size < 1000)
    labels = np.ones((9, 9, 9), np.uint8)
    assert hausdorff(labels, labels, SPACING) == 0
    refused(
        "those that reach into one plane take .* GiB", hausdorff, mapped(labels), labels, SPACING
    )


@pytest.mark.parametrize("spacing", [(1, 1), (0, 1, 1)])
def test_a_spacing_that_does_not_suit_is_refused(spacing, situations):
    message = r"^spacing must be a positive number in µm for each axis .*, found .* of 3 axes$"
    refused(message, surface_table, *situations.shifted(), spacing)
