"""The ruler of embryos: sums and scores by hand, trials, and a run of the watershed that goes on."""

import re
import sys

import embryos
import numpy as np
import pandas as pd
import pytest
from mistakes import refused

from cytosuite.formats import read, write
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.volume import Volume

VOXEL = (1.75, 0.8, 0.8)
CARD = "watershed/embryo-nuclei-3d"


def test_sums_of_all_nuclei_and_of_a_group():
    """Nuclei 1 and 2 touch; 1 is found at 3/4, 2 shares 2 of 4 voxels with 8; 9 is false."""
    truth = np.array([1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 3, 3, 0, 0])
    labels = np.array([7, 7, 7, 0, 8, 8, 0, 0, 0, 9, 6, 6, 6, 5])
    found, touch = overlap(truth, labels), np.array([True, True, False])
    # nuclei, objects, seg, close, found, merged, split, outline, missed
    assert embryos.sums_of(found) == pytest.approx([3, 5, 3 / 4 + 2 / 3, 1, 3, 0, 0, 0, 0])
    assert embryos.sums_of(found, touch) == pytest.approx([2, 2, 3 / 4, 1, 2, 0, 0, 0, 0])
    sums = np.array([embryos.sums_of(found)] * 2)
    assert embryos.scores(sums.sum(axis=0)) == pytest.approx([17 / 36, 3 / 4, 1 / 4])


def test_oracles_know_partition_foreground_or_distance_of_outlines():
    truth = np.array([[1, 1, 1, 2, 2, 0, 0, 0, 0, 0]])
    labels = np.array([[7, 7, 7, 7, 0, 0, 0, 0, 8, 8]])
    one, two = ([*embryos.with_truth(o, truth, labels, np.ones(2))] for o in embryos.ORACLES[:2])
    assert [own[0].tolist() for own in one] == [[1, 1, 1, 2] + [0] * 6]
    assert [own[0].tolist() for own in two] == [[7] * 5 + [0] * 5]
    moved = embryos.with_truth("best looseness", truth, labels, np.ones(2))
    assert [np.count_nonzero(own) for own in moved] == [2, 4, 4, 6, 6, 6, 6, 6, 8, 8, 8]


def _rows(model, number, *sums):
    return [model, f"{number}", "ix71", f"Emb{number}", 501 if number else 1, "all", *sums]


def _table(rows):
    columns = ["model", "image", "microscope", "embryo", "frame", "group", *embryos.SUMS]
    table = embryos.rows_of(pd.DataFrame(rows, columns=columns), 401)
    return {(title, model): " | ".join(cells) for title, model, *cells in table}


def test_rows_pool_objects_and_give_gains_over_the_first_model():
    found = [(n, model, embryo) for n, model in enumerate("ab", start=1) for embryo in range(3)]
    table = _table([_rows(m, k, 2, 2, 0.8 * n, n, n, 2 - n, 0, 0, 0) for n, m, k in found])
    assert [title for title, model in table if model == "a"][2:] == ["Emb0", "Emb1", "Emb2"]
    assert table["all", "a"] == "0.400 | 0.500 | 0.500 | - | - | - | 6 | 6 | 3 | 0 | 0 | 0"
    assert "| +0.400 | +0.500 | +0.500 | 4 | 4 | 0" in table["t401 and later", "b"]


def test_intervals_are_over_embryos_from_six_on():
    rows = [_rows("a", n, 1, 1, n % 2, 0, 1, 0, 0, 0, 0) for n in range(6)]
    assert _table(rows)["all", "a"].startswith("0.500 (0.167 to 0.833) |")
    assert _table(rows[:5])["all", "a"].startswith("0.400 |")


def test_trials_are_in_their_ranges_around_the_best():
    ranges = {"a": [0.0, 1.0], "b": [10.0, 20.0]}
    anywhere, near = (embryos.drawn(ranges, 50, best) for best in ({}, {"a": 0.9, "b": 10.0}))
    assert all(0 <= one["a"] <= 1 and 10 <= one["b"] <= 20 for one in anywhere + near)
    assert np.mean([one["a"] for one in near]) > 0.8 > np.mean([one["a"] for one in anywhere])
    assert embryos.drawn(ranges, 50, {}) == anywhere


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that scores the watershed on two embryos of two balls by some options."""
    z, y, x = np.ogrid[:20, :40, :40]
    balls = [((z - 10) * 1.2) ** 2 + (y - 20) ** 2 + (x - at) ** 2 < 45 for at in (12, 28)]
    labels = (balls[0] + 2 * balls[1]).astype(np.uint16)
    grey = (np.random.default_rng(0).normal(100, 5, labels.shape) + 900 * (labels > 0)).astype("u2")
    for name in ("ix71_Emb01_t001", "ix71_Emb02_t401", "cv1000_Emb1_t001"):
        for folder, array in (("images", grey), ("labels", labels)):
            write(tmp_path / "data" / folder / f"{name}.tif", Volume(array, VOXEL, "ZYX"))
    (tmp_path / "ranges.toml").write_text("[watershed]\nobject_factor = [0.8, 1.0]\n")

    def score(*options):
        words = [CARD, "--data", tmp_path / "data", "--out", tmp_path / "out", *options]
        monkeypatch.setattr(sys, "argv", ["embryos.py", *map(str, words)])
        assert embryos.main() == 0
        return pd.read_csv(tmp_path / "out" / "volumes.csv")

    return score


def test_a_run_scores_tunes_moves_and_goes_on(run, tmp_path, monkeypatch):
    once = run("--tune", tmp_path / "ranges.toml", "--trials", 2, "--every", 1)
    assert set(once.model) == {CARD, f"{CARD}, tuned"}
    assert once[once.group == "all"].found.tolist() == [2.0] * 6
    kept = {p.name: p for p in (tmp_path / "out").rglob("cv1000*.tif")}
    centres = sorted(np.argwhere(read(p).array > 0).mean(axis=0)[2] for p in kept.values())
    assert centres[-1] - centres[0] == pytest.approx(0.5, abs=0.2)
    monkeypatch.setattr(embryos.Work, "predicted", None)
    assert run("--tune", tmp_path / "ranges.toml", "--trials", 2, "--every", 1).equals(once)


def test_names_without_embryo_are_refused(run, monkeypatch):
    monkeypatch.setattr(embryos, "NAMES", re.compile("ix71_.*"))
    refused("cv1000_Emb1_t001: expected a name like ix71_Emb01_t451", run)
