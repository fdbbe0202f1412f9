import cyclegan3d_realism as script
import numpy as np
import pytest

from cytosuite.formats import write
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume

SPACING = (1.75, 0.8, 0.8)


def scene(seed=0, shift=0):
    """Return a stack with a few balls and their labels."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices((20, 48, 48))
    labels = np.zeros(z.shape, np.uint16)
    for label, (b, a) in enumerate([(12, 12), (14, 34), (34, 22)], 1):
        labels[(2 * (z - 10)) ** 2 + (y - b) ** 2 + (x - a) ** 2 < 50] = label
    image = np.roll(rng.poisson(100 + 150 * (labels > 0)), shift, axis=-1).astype(np.uint16)
    return Scene(Volume(image, SPACING, "ZYX"), labels)


def test_a_translation_that_changes_nothing_keeps_everything():
    assert script.fidelity([scene()], [scene()]) == pytest.approx([1, 0, 0, 0, 0, 1])


def test_a_shift_is_seen_in_micrometres():
    shift = dict(zip(script.FIDELITY, script.fidelity([scene()], [scene(shift=2)]), strict=True))
    assert shift["edge_shift_um"] == pytest.approx(1.6, abs=0.5)
    assert shift["structure_correlation"] < 0.99


def test_the_same_volumes_are_nearer_than_others():
    names = dict(enumerate(script.REALISM))
    same = script.realism([scene(), scene(1)], [scene(), scene(1)])
    bright = [Scene(s.image.like(s.image.array * 3), s.labels) for s in (scene(2), scene(3))]
    other = script.realism([scene(), scene(1)], bright)
    for place, name in names.items():
        if name in ("W1_by_std", "lateral_spectrum_distance"):
            assert same[place] < other[place]


def test_names_choose_the_real_volumes(tmp_path):
    for name in ("a_1", "a_2", "b_1"):
        write(tmp_path / "images" / f"{name}.tif", scene().image)
        write(tmp_path / "labels" / f"{name}.tif", scene().image.like(scene().labels))
    assert len(script.real_scenes(tmp_path, "a_*")) == 2


def test_rows_are_markdown():
    lines = script.table(["x", "y"], {"one": [1, 0.5]}).splitlines()
    assert lines == ["| | x | y |", "|---|---|---|", "| one | 1.000 | 0.500 |"]


@pytest.mark.slow
def test_naive_and_calibrated_volumes_are_compared_with_real_ones(tmp_path, capsys):
    for name in ("judge_1", "judge_2", "floor_1"):
        write(tmp_path / "images" / f"{name}.tif", scene().image)
        write(tmp_path / "labels" / f"{name}.tif", scene().image.like(scene().labels))
    picture = tmp_path / "sets.png"
    words = ["--judged", "judge_*", "--known", "floor_*", "--cases", "1", "--picture", str(picture)]
    script.main([str(tmp_path), *words])
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == ["real, other embryos", "naive", "calibrated"]
    assert picture.stat().st_size > 1000
