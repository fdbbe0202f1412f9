import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cytosuite.benchmark.report.pictures.scenes import read_scene
from cytosuite.benchmark.report.pictures.stills import GUESS, TRUTH, scale_bar, still
from cytosuite.benchmark.scores.results import Matches


def drawn(results):
    output = results.task.main_output
    return still(read_scene(results, output, results.cases[0], ["good", "fair"]), output.kind)


def has(panel, colour):
    picture = Image.open(io.BytesIO(base64.b64decode(panel.source.split(",")[1])))
    return bool((abs(np.asarray(picture).astype(int) - colour).max(axis=2) < 30).any())


def test_micrometres_are_square_in_all_planes(make):
    (row,) = drawn(make()).rows
    # 8 x 24 x 24 voxels of 2 x 0.5 x 0.5 µm: 16 x 12 x 12 µm
    assert {panel.plane: (panel.height, panel.width) for panel in row.panels} == {
        "XY": (315, 315),
        "XZ": (420, 315),
        "YZ": (315, 420),
    }
    assert row.where == "z 5 of 8, y 5 of 24, x 5 of 24"  # in the object


def test_outlines_have_the_colours_of_their_classes(make):
    results = make()
    panel = drawn(results).rows[0].panels[0]
    assert has(panel, GUESS["."])
    assert not has(panel, GUESS["f"])
    wrong = replace(results, matches=dict.fromkeys(results.matches, Matches((1, 2), (7,), 2)))
    panel = drawn(wrong).rows[0].panels[0]
    assert has(panel, GUESS["f"])
    assert not has(panel, GUESS["."])
    assert not has(panel, TRUTH["."])


def test_images_stand_side_by_side_and_labels_are_outlined_on_black(make):
    picture = drawn(make(task="fuse"))
    assert [row.title for row in picture.rows] == [
        "Light-sheet view", "Second light-sheet view", "Truth", "Output",
    ]  # fmt: skip
    assert picture.algorithm == "good"
    rows = drawn(make(task="synthesise")).rows
    assert [row.title for row in rows] == [
        "Structure sketch", "Instance labels", "Labels in layers", "Output",
    ]  # fmt: skip
    assert has(rows[1].panels[0], TRUTH["."])


@given(st.floats(1e-3, 1e5))
def test_the_scale_bar_takes_a_tenth_to_a_quarter_of_the_width(width):
    percent, text = scale_bar(width, "µm")
    assert 9.9 <= percent <= 25.1
    assert float(text.split()[0]) == pytest.approx(percent * width / 100, rel=1e-4)
