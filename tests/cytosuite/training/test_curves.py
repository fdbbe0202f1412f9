from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from cytosuite.training.curves import HEIGHT, WIDTH, draw_curves, draw_picture, read_curves, thinned
from cytosuite.training.progress import Log


def _lines(path):
    found = [part for part in ElementTree.parse(path).iter() if part.tag.endswith("polyline")]
    return [
        [tuple(map(float, pair.split(","))) for pair in each.get("points").split()]
        for each in found
    ]


def test_curves_of_a_log_are_read_back(tmp_path):
    log = Log(tmp_path / "log.csv")
    log.add(10, {"total": 2.0, "flow": 0.5, "rate": 0.1, "seconds": 3})
    log.add(20, {"total": 1.0, "flow": float("nan"), "rate": 0.1, "seconds": 6})
    assert read_curves(log.path) == {"total": {10: 2.0, 20: 1.0}, "flow": {10: 0.5}}
    assert read_curves(tmp_path / "none.csv") == {}


def test_a_curve_ends_at_the_corners_of_its_plot(tmp_path):
    draw_curves([{"a": {5: 3.0, 10: 2.0, 15: 1.0}}], tmp_path / "c.svg")
    (line,) = _lines(tmp_path / "c.svg")
    assert line == [(0, 0), (WIDTH / 2, HEIGHT / 2), (WIDTH, HEIGHT)]


def test_plots_share_nothing_and_empty_ones_are_left_out(tmp_path):
    draw_curves([{"a": {1: 5.0, 2: 0.0}, "b": {1: 0.0}}, {}, {"c": {7: 4.0}}], tmp_path / "c.svg")
    assert _lines(tmp_path / "c.svg") == [[(0, 0), (WIDTH, HEIGHT)], [(0, HEIGHT)], [(0, HEIGHT)]]
    draw_curves([{}, {"a": {}}], tmp_path / "empty.svg")
    assert _lines(tmp_path / "empty.svg") == []


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100])
def test_a_thinned_curve_keeps_its_last_point(count):
    curve = {step: float(step) for step in range(count)}
    found = thinned(curve)
    assert len(found) <= 8
    assert list(found) == [str(step) for step in sorted(map(int, found))]
    if count:
        assert found[str(count - 1)] == count - 1
    if count <= 8:
        assert len(found) == count


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_a_picture_is_kept_as_it_is(tmp_path, shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)[::-1]
    draw_picture(picture, tmp_path / "new" / "p.png")
    with Image.open(tmp_path / "new" / "p.png") as image:
        assert image.format == "PNG"
        assert np.array_equal(np.asarray(image), picture)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["p.png"]
