"""Parts of a reference, and the figure that is drawn of them."""

import diffusion_figure as figure
import numpy as np
import pytest
from PIL import Image, ImageColor

NAN = float("nan")


def _panel(curves, published=None, even=False):
    return figure.Panel("title", "steps", curves, published or {}, even)


def _drawn(path, *panels):
    figure.draw_figure(panels, path)
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def _rows(picture, metric, columns=slice(None)):
    """Return the middle row of the pixels in the colour of a metric, above the key."""
    colour = figure.COLOURS[(*figure.DISTANCES, *figure.SCORES).index(metric)]
    found = (picture == ImageColor.getrgb(colour)).all(-1)[: figure.HEIGHT + 2 * figure.MARGIN]
    rows = np.flatnonzero(found[:, columns].any(1))
    return rows.mean() if rows.size else NAN


def test_distances_are_parts_of_plain_and_scores_parts_of_real():
    values = {"W1_by_std": [0.1, 0.3], "label_AUC": [0.6], "SEG": [0.4]}
    plain, real = {"W1_by_std": [0.5, 0.3], "SEG": [9]}, {"label_AUC": [0.8], "SEG": [0.5]}
    found = figure.parts_of(values, plain, real)
    assert found["W1_by_std"] == pytest.approx([0.25, 0.75])
    assert found["label_AUC"] == pytest.approx([0.75])
    assert found["SEG"] == pytest.approx([0.8])


@pytest.mark.parametrize("reference", [[], [0.0], [-0.1], [NAN]])
def test_a_metric_without_a_positive_reference_is_left_out(reference):
    assert figure.parts_of({"patch_KID": [0.2]}, {"patch_KID": reference}, {}) == {}


def test_values_that_are_not_finite_are_left_out():
    assert figure.parts_of({"W1_by_std": [NAN, 2]}, {"W1_by_std": [1, NAN]}, {}) == {
        "W1_by_std": [2]
    }


def test_higher_values_stand_higher(tmp_path):
    values = {2: {"W1_by_std": [0.2], "SEG": [0.9]}, 8: {"W1_by_std": [0.2], "SEG": [0.9]}}
    picture = _drawn(tmp_path / "a.png", _panel(values))
    assert _rows(picture, "SEG") < _rows(picture, "W1_by_std")
    assert np.isnan(_rows(picture, "patch_KID"))


def test_panels_share_one_scale_and_lie_side_by_side(tmp_path):
    one, other = _panel({1: {"SEG": [0.5]}}), _panel({1: {"SEG": [2.0]}}, even=True)
    picture = _drawn(tmp_path / "a.png", one, other)
    half = picture.shape[1] // 2
    left, right = _rows(picture, "SEG", slice(half)), _rows(picture, "SEG", slice(half, None))
    assert right == pytest.approx(figure.MARGIN, abs=2)
    assert left == pytest.approx(figure.MARGIN + 0.75 * figure.HEIGHT, abs=2)


def test_the_published_settings_are_hollow(tmp_path):
    curves, mark = {1: {"SEG": [1.0]}}, {100: {"SEG": [0.25]}}
    both = _drawn(tmp_path / "a.png", _panel(curves, mark))
    filled = _drawn(tmp_path / "b.png", _panel({**curves, **mark}))
    colour = figure.COLOURS[(*figure.DISTANCES, *figure.SCORES).index("SEG")]
    across = figure.MARGIN + figure.WIDTH
    down = round(figure.MARGIN + figure.HEIGHT * (1 - 0.25 / 1.1))
    assert both[down, across].tolist() == [255, 255, 255]
    assert filled[down, across].tolist() == list(ImageColor.getrgb(colour))


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize(
    "curves", [{}, {5: {}}, {5: {"SEG": [1.0]}}, {5: {"patch_KID": [-0.5, 3.0]}}]
)
def test_few_or_odd_values_are_drawn(tmp_path, curves, even):
    assert _drawn(tmp_path / "a.png", _panel(curves, even=even)).std() > 0
