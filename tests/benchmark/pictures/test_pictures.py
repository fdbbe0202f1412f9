from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.pictures.pictures import choose, draw, draw_all, scale_bar
from benchmark.pictures.slices import cut_at, cut_case, spatial
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.volume import Volume

NAMES = ["good", "fair"]


@given(st.integers(0, 60), st.integers(3, 30))
def test_chooses_worst_and_best_and_never_too_many(number, limit):
    goodness = {f"case{n}": n / 60 for n in range(number)}
    chosen = choose(goodness, limit)
    assert len(chosen) == len(set(chosen)) == min(number, limit)
    assert [goodness[case] for case in chosen] == sorted(goodness[case] for case in chosen)
    if number:
        assert chosen[0] == "case0"
        assert chosen[-1] == f"case{number - 1}"


@given(st.floats(1e-3, 1e5))
def test_the_scale_bar_takes_a_tenth_to_a_quarter_of_the_width(width):
    percent, text = scale_bar(width, "µm")
    assert 9.9 <= percent <= 25.1
    assert float(text.split()[0]) == pytest.approx(percent * width / 100, rel=1e-4)


def test_cuts_through_the_middle_unless_it_is_empty():
    labels = np.zeros((9, 9, 9), int)
    assert cut_at(None, labels.shape) == cut_at(labels, labels.shape) == (4, 4, 4)
    labels[1:3, 4, 4] = 1
    labels[2, 3:6, 4] = 1
    assert cut_at(labels, labels.shape) == (2, 4, 4)


def test_takes_the_middle_time_and_first_channel():
    array = np.arange(3 * 2 * 4 * 5 * 6).reshape(3, 2, 4, 5, 6)
    kept, spacing = spatial(Volume(array, (3.0, 2.0, 1.0), "TCZYX"))
    np.testing.assert_array_equal(kept, array[1, 0])
    assert spacing == (3.0, 2.0, 1.0)
    assert spatial(Volume(array[0, 0, 0], (2.0, 1.0), "YX"))[0].shape == (1, 5, 6)


def test_micrometres_are_square_in_all_planes(make):
    view = draw(cut_case(make().pictures[0], NAMES), NAMES, side=120)
    sizes = {panel.plane: (panel.height, panel.width) for panel in view.rows[0].panels}
    # 8 x 24 x 24 voxels of 2 x 0.5 x 0.5 µm: 16 x 12 x 12 µm
    assert sizes == {"XY": (90, 90), "XZ": (120, 90), "YZ": (90, 120)}


def test_layers_tell_found_missed_and_predicted(make):
    view = draw(cut_case(make().pictures[0], NAMES), NAMES)
    kinds = [layer.classes for layer in view.rows[0].panels[0].layers]
    assert kinds == ["truth", "truth missed a0", "guess a0", "truth missed a1", "guess a1"]
    assert view.counts["good"] == "1 of 2 found, 1 missed, 0 extra"


def test_a_flat_image_is_one_panel(make):
    view = draw(cut_case(make(shape=(24, 24)).pictures[0], NAMES), NAMES)
    assert [panel.plane for panel in view.rows[0].panels] == ["XY"]
    assert view.where == ""


def test_images_stand_side_by_side(make):
    picture = replace(make().pictures[0], kind="image")
    view = draw(cut_case(picture, NAMES), NAMES)
    assert [row.title for row in view.rows] == ["Input", "Truth", "good", "fair"]


def test_without_truth_there_are_only_predictions(make):
    view = draw(cut_case(replace(make().pictures[0], truth=None), NAMES), NAMES)
    assert view.counts["good"] == "1 objects"
    assert {layer.classes for layer in view.rows[0].panels[0].layers} == {"guess a0", "guess a1"}


def test_an_output_that_cannot_be_read_is_left_out(make, tmp_path, caplog):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"no image")
    other = tmp_path / "other.tif"
    write(other, Volume(np.zeros((2, 3, 4), np.uint8), (1.0, 1.0, 1.0)))
    picture = replace(make().pictures[0], predictions={"good": broken, "fair": other})
    view = draw(cut_case(picture, NAMES), NAMES)
    assert set(view.counts.values()) == {"no valid output"}
    assert "broken.tif" in caplog.text


def test_refuses_a_truth_of_another_shape(make, tmp_path):
    other = tmp_path / "other.tif"
    write(other, Volume(np.zeros((2, 3, 4), np.uint8), (1.0, 1.0, 1.0)))
    with pytest.raises(InputError, match=r"expected the shape \(8, 24, 24\)"):
        cut_case(replace(make().pictures[0], truth=other), NAMES)


def test_says_why_a_case_has_no_picture(make, nowhere):
    pictures = [replace(make().pictures[0], image=nowhere), make().pictures[1]]
    why, view = draw_all(pictures, NAMES)
    assert why.startswith("a: ")
    assert "missing.tif" in why
    assert view.case == "b"


def test_keeps_within_its_bytes(make):
    views = list(draw_all(make().pictures, NAMES, limit=20_000))
    drawn = [view for view in views if not isinstance(view, str)]
    assert sum(view.size for view in drawn) <= 20_000
    assert any("too large" in view for view in views if isinstance(view, str)) or len(drawn) == 3
