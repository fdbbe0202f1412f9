from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from toys import put

from cytosuite.benchmark.report.pictures import scenes
from cytosuite.benchmark.report.pictures.gallery import choose, draw, draw_all
from cytosuite.benchmark.report.pictures.scenes import read_scene
from cytosuite.benchmark.report.pictures.stills import codes
from cytosuite.benchmark.scores.results import Matches

NAMES = ["good", "fair"]
PLENTY = 10**7


def scene_of(results):
    return read_scene(results, results.task.main_output, results.cases[0], NAMES)


def drawn(results, share=PLENTY):
    return draw(scene_of(results), results.task.main_output.kind, share)


@given(st.integers(0, 60), st.integers(3, 30))
def test_chooses_worst_and_best_and_never_too_many(number, limit):
    goodness = {f"case{n}": n / 60 for n in range(number)}
    chosen = choose(goodness, limit)
    assert len(chosen) == len(set(chosen)) == min(number, limit)
    assert [goodness[case] for case in chosen] == sorted(goodness[case] for case in chosen)
    if number:
        assert chosen[0] == "case0"
        assert chosen[-1] == f"case{number - 1}"


def test_the_script_is_told_image_truth_and_outputs(make):
    view = drawn(make())
    data = view.data
    assert [volume["kind"] for volume in data["volumes"]] == ["labels", "labels", "labels", "image"]
    assert (data["inputs"], data["compared"], data["outputs"]) == ([3], 0, [1, 2])
    assert data["volumes"][0]["ids"] == [1, 2]
    assert data["volumes"][1]["ids"] == [7]
    assert data["errors"] == [{"truth": ".m", "output": "."}] * 2
    assert (data["full"], data["spacing"], data["unit"]) == ((8, 24, 24), (2.0, 0.5, 0.5), "µm")
    assert data["note"] == "Image at full resolution, compressed. Outlines at full resolution."
    assert view.counts["good"] == "1 of 2 found, 1 missed, 0 extra"


def test_every_class_has_its_letter_and_missed_labels_are_enough(make):
    results = make()
    plain = {key: Matches((1, 2), (7,), 2) for key in results.matches}
    assert codes(scene_of(replace(results, matches=plain)), "good") == {
        "truth": "mm",
        "output": "f",
    }
    classes = Matches((), (), 2, {1: "split", 2: "merged"}, {7: "merged"})
    told = replace(results, matches=dict.fromkeys(results.matches, classes))
    assert codes(scene_of(told), "good") == {"truth": "sj", "output": "j"}


def test_paired_images_have_their_truth_and_its_contrast(make):
    scene = scene_of(make(task="fuse"))
    data = drawn(make(task="fuse")).data
    titles = [data["volumes"][place]["title"] for place in data["inputs"]]
    assert titles == ["Light-sheet view", "Second light-sheet view"]
    assert data["volumes"][data["compared"]]["title"] == "Truth"
    assert {volume.limits for volume in scene.outputs.values()} == {scene.truth.limits}


def test_values_that_are_no_numbers_are_black_and_white(tmp_path):
    image = np.full((2, 4, 4), 5, np.float32)
    image[0, 0, :3] = np.nan, np.inf, -np.inf
    image[1] = 9
    put(tmp_path / "odd.tif", image)
    volume = scenes.shown_volume(tmp_path / "odd.tif", "Input", "image")
    assert np.isfinite(volume.array).all()
    assert scenes.shrunk(volume, 32)[0, 0, :3].tolist() == [0, 255, 0]


def test_a_case_without_picture_has_a_reason(make, tmp_path):
    results = make()
    lost = replace(results.cases[0], inputs={"microscopy-image": tmp_path / "missing.tif"})
    (view,), (why,) = draw_all(results, results.task.main_output, [lost, results.cases[1]], NAMES)
    assert why.startswith("a: ")
    assert "missing.tif" in why
    assert view.case == "b"


def test_few_bytes_give_a_coarser_grid_with_a_note_and_fewer_none(make, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.report.pictures.gallery.SMALLEST", 100)
    whole = drawn(make())
    tight = drawn(make(), share=whole.size // 2)
    assert tight.size <= whole.size // 2
    assert "downscaled from 2 x 0.5 x 0.5 µm" in tight.data["note"]
    assert drawn(make(), share=100) is None
