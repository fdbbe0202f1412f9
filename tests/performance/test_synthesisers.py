"""The table of synthesisers, its floor and its rows, and brightness against depth."""

import sys

import numpy as np
import position
import pytest
import synthesisers
from house import ROOT
from mistakes import refused
from scipy import ndimage

from cytosuite.formats import read, write
from cytosuite.volume import Volume

CARD = ROOT / "weights" / "diffusion" / "culture-nuclei-2d.json"
SIDE, DEPTHS, STEP = 64, (6, 14, 22, 34), 2.0  # pixels; planes; µm


@pytest.fixture
def planes(tmp_path):
    """Return a folder of four images of two discs, every other one twice as bright."""
    y, x = np.indices((SIDE, SIDE))
    for number in range(4):
        rng, labels = np.random.default_rng(number), np.zeros((SIDE, SIDE), np.uint16)
        for disc, centre in enumerate(((16, 18), (44, 42 + number)), start=1):
            labels[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 81] = disc
        grey = 6 + 60 * (1 + number % 2) * (labels > 0) + rng.normal(0, 1.5, labels.shape)
        for kind, array in (("images", np.clip(grey, 0, 255).astype(np.uint8)), ("labels", labels)):
            write(tmp_path / kind / f"n{number}.tif", Volume(array, (1.0, 1.0), "YX"))
    return tmp_path


def _run(monkeypatch, folder, *cards):
    words = ["planes", *cards, "--test", folder, "--learn", folder, "--out", folder / "out"]
    monkeypatch.setattr(sys, "argv", ["synthesisers.py", *map(str, words)])
    assert synthesisers.main() == 0


def test_a_row_is_made_once_of_the_same_labels_and_judged_on_the_real_images(
    planes, monkeypatch, capsys
):
    taught = []

    def learned(domain, images, items, out):
        taught.append(out.name)
        assert [own.shape for own in images] == [own.labels.shape for own in items]
        return [lambda image: image.like(ndimage.label(image.array > 30)[0])]

    own = synthesisers.DOMAINS["planes"]._replace(test=("n*", 1), learn=("n[12]", 1))
    monkeypatch.setitem(synthesisers.DOMAINS, "planes", own)
    monkeypatch.setattr(synthesisers, "learned", learned)
    _run(monkeypatch, planes, f"{CARD}:1")
    first = capsys.readouterr().out
    _run(monkeypatch, planes, f"{CARD}:1", f"{CARD}:2")
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if " | " in line]
    names = ["real-image", "plain-sketch", "classical-transfer", "culture-nuclei-2d-1-step"]
    assert taught == [*names, "culture-nuclei-2d-2-steps"]
    assert first.splitlines()[-1].split(" | ") == lines[-2]
    rows = {
        line[0][2:]: [float(cell or 0) for cell in (line[3], *line[5:-1])] for line in lines[2:]
    }
    assert [rows[name][1] for name in rows] == [0, 0, 0, 1, 2]  # passes
    assert [rows[name][-1] for name in rows] == [1.0] * 5  # SEG of the segmenter
    assert rows["real image"][0] > 0.9


def test_the_floor_knows_that_halves_of_a_set_differ_and_copies_do_not(planes):
    own = synthesisers.DOMAINS["planes"]
    real = [pair.image for pair in synthesisers.pairs([planes], ("n*", 1))]
    assert synthesisers.floor(own, [real[0]] * 4)["W1_by_std"] == 0
    assert synthesisers.floor(own, real)["W1_by_std"] > 0.05
    refused(r"expected two images like x\*, found 0", synthesisers.pairs, [planes], ("x*", 1))


def test_segmenters_learn_from_the_images_and_the_labels_of_the_domain(planes):
    own = synthesisers.DOMAINS["planes"]._replace(steps=1)
    items = synthesisers.pairs([planes], ("n*", 1))
    found = synthesisers.learned(own, [pair.image for pair in items], items, planes / "out")
    assert len(found) == len(synthesisers.SEEDS)
    assert found[0](items[0].image).shape == (SIDE, SIDE)
    np.testing.assert_array_equal(
        read(planes / "out" / "learn" / "labels" / "n1.tif").array, items[1].labels.array
    )


def test_brightness_by_depth_is_that_of_nuclei_in_any_unit():
    labels = np.zeros((42, 24, 48), np.uint16)
    for number, plane in enumerate(DEPTHS, start=1):
        labels[plane - 3 : plane + 4, 8:16, 8 * number : 8 * number + 6] = number
    depth = STEP * (np.array(DEPTHS) - DEPTHS[0] + 3)
    light = np.exp(0.02 * np.append(-np.inf, depth))[labels]
    found = position.measured(light, labels, STEP)
    np.testing.assert_allclose(found.depth, depth)
    assert np.polyfit(found.depth, found.bright, 1)[0] == pytest.approx(0.02)
    again = position.measured(7 + 30 * light, labels, STEP)
    np.testing.assert_allclose(again.patches, found.patches)
    assert position.told_apart(found)[0] == 0  # the deep ones are brighter
    unit = np.median(np.exp(0.02 * depth))
    middles = {7: 0, 20: 1, 30: None, 40: 2, 65: 3}
    wanted = {k: np.exp(0.02 * depth[n]) / unit for k, n in middles.items() if n is not None}
    assert position.bins(found) == pytest.approx(wanted)
