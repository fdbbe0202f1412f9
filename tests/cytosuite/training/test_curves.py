from xml.etree import ElementTree

from cytosuite.figures.curves import HEIGHT, WIDTH
from cytosuite.training.progress import Log, draw_curves, read_curves


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


def test_plots_share_nothing_and_empty_ones_are_left_out(tmp_path):
    draw_curves([{"a & <b>": {5: 3.0, 10: 2.0, 15: 1.0}}], tmp_path / "c.svg")
    assert _lines(tmp_path / "c.svg") == [[(0, 0), (WIDTH / 2, HEIGHT / 2), (WIDTH, HEIGHT)]]
    draw_curves([{"a": {1: 5.0, 2: 0.0}, "b": {1: 0.0}}, {}, {"c": {7: 4.0}}], tmp_path / "c.svg")
    assert _lines(tmp_path / "c.svg") == [
        [(0, 0), (WIDTH, HEIGHT)],
        [(0, HEIGHT)],
        [(WIDTH / 2, HEIGHT / 2)],
    ]
    draw_curves([{}, {"a": {}}], tmp_path / "empty.svg")
    assert _lines(tmp_path / "empty.svg") == []
