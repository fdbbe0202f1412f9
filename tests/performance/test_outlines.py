"""The curve of outlines: which stacks are learned from, which are judged."""

import sys

import numpy as np
import outlines
from scipy import ndimage

from cytosuite.formats import write
from cytosuite.volume import Volume

SIDE, RADIUS = 24, 7


def test_half_of_the_stacks_are_judged_by_trees_of_the_other_half(tmp_path, monkeypatch):
    """Annotators of Emb01 draw tighter than the objects found, those of Emb02 looser."""
    z, y, x = np.indices((SIDE,) * 3) - SIDE // 2
    away = np.sqrt(z**2 + y**2 + x**2)
    light = ndimage.gaussian_filter((away < RADIUS).astype(np.float32), 2) * 1000 + 100
    noise = np.random.default_rng(0).normal(0, 5, away.shape)
    for embryo, radius in (("Emb01", RADIUS - 2), ("Emb02", RADIUS + 2)):
        for frame in (1, 51):
            name = f"ix71_{embryo}_t{frame:03}.tif"
            image = (light + noise).astype(np.uint16)
            truth = (away < radius).astype(np.uint16)
            write(tmp_path / "images" / name, Volume(image, (1.0,) * 3, "ZYX"))
            write(tmp_path / "labels" / name, Volume(truth, (1.0,) * 3, "ZYX"))
    found = (away < RADIUS).astype(np.int32)
    monkeypatch.setattr(outlines, "segmented", lambda algorithm, volume, model: found)
    words = ["watershed/embryo-nuclei-3d", "--data", tmp_path, "--out", tmp_path / "out"]
    words += ["--same", 1, "--others", 1, "--seeds", 0]
    monkeypatch.setattr(sys, "argv", ["outlines.py", *map(str, words)])
    assert outlines.main() == 0
    rows = (tmp_path / "out" / "scores.csv").read_text().splitlines()[1:]
    as_found, same, others, _ = (float(row.split(",")[-2]) for row in rows)
    assert others < as_found < 0.5 < 0.95 < same
    assert (tmp_path / "out" / "scores.svg").read_text().count("<circle") == 3
