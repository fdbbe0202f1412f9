import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cytosuite import large
from cytosuite.benchmark.pictures import scenes
from cytosuite.benchmark.pictures.gallery import choose, draw, draw_all
from cytosuite.benchmark.pictures.scenes import read_scene
from cytosuite.benchmark.pictures.stills import codes
from cytosuite.benchmark.results.results import Matches
from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.volume import Volume

NAMES = ["good", "fair"]
TASKS = ["segment", "enhance", "synthesise", "fuse"]
PLENTY = 10**7


def scene_of(results, neighbour=None):
    """Return the volumes of the first case."""
    return read_scene(results, results.task.main_output, results.cases[0], NAMES, neighbour)


def drawn(results, neighbour=None, share=PLENTY):
    """Return the view of the first case."""
    return draw(scene_of(results, neighbour), results.task.main_output.kind, share)


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
    kinds = [volume["kind"] for volume in data["volumes"]]
    assert kinds == ["labels", "labels", "labels", "image"]
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


def test_unpaired_images_have_a_real_one(make):
    results = make(task="enhance")
    data = drawn(results, results.reference[0]).data
    assert data["volumes"][data["compared"]]["title"] == "Real image image-3"
    assert data["truth"] is False


def test_without_truth_there_are_only_predictions(make):
    results = make()
    bare = replace(results, cases=[replace(c, truth={}) for c in results.cases], matches={})
    view = drawn(bare)
    assert view.counts["good"] == "1 objects"
    assert (view.data["compared"], view.data["errors"]) == (None, [None, None])


def test_an_output_that_cannot_be_read_is_left_out(make, tmp_path, caplog):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"no image")
    other = tmp_path / "other.tif"
    write(other, Volume(np.zeros((2, 3, 4), np.uint8), (1.0, 1.0, 1.0)))
    outputs = {
        ("good", "a"): {"instance-labels": broken},
        ("fair", "a"): {"instance-labels": other},
    }
    view = drawn(replace(make(), outputs=outputs))
    assert set(view.counts.values()) == {"no valid output"}
    assert view.data["outputs"] == [None, None]
    assert "broken.tif" in caplog.text


def test_refuses_a_truth_of_another_shape(make, tmp_path):
    other = tmp_path / "other.tif"
    write(other, Volume(np.zeros((2, 3, 4), np.uint8), (1.0, 1.0, 1.0)))
    results = make()
    lost = replace(results.cases[0], truth={"instance-labels": other})
    with pytest.raises(InputError, match=r"expected the shape \(8, 24, 24\)"):
        read_scene(results, results.task.main_output, lost, NAMES)


def test_values_that_are_no_numbers_are_black_and_white(tmp_path):
    image = np.full((2, 4, 4), 5, np.float32)
    image[0, 0, :3] = np.nan, np.inf, -np.inf
    image[1] = 9
    write(tmp_path / "odd.tif", Volume(image, (1.0, 1.0, 1.0)))
    found = scenes.shown_volume(tmp_path / "odd.tif", "Input", "image")
    assert np.isfinite(found.array).all()
    assert scenes.shrunk(found, 32)[0, 0, :3].tolist() == [0, 255, 0]


def test_a_case_without_picture_has_a_reason(make, nowhere):
    results = make()
    lost = replace(results.cases[0], inputs={"microscopy-image": nowhere})
    cases = [lost, results.cases[1]]
    (view,), (why,) = draw_all(results, results.task.main_output, cases, NAMES)
    assert why.startswith("a: ")
    assert "missing.tif" in why
    assert view.case == "b"


def test_few_bytes_give_a_coarser_grid_with_a_note_and_fewer_none(make, tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.pictures.gallery.SMALLEST", 100)
    whole = drawn(make())
    tight = drawn(make(), share=whole.size // 2)
    assert tight.size <= whole.size // 2
    assert "downscaled from 2 x 0.5 x 0.5 µm" in tight.data["note"]
    assert drawn(make(), share=100) is None


def test_all_cases_keep_within_their_bytes(make):
    results = make()
    views, problems = draw_all(results, results.task.main_output, results.cases, NAMES, 6_000)
    assert len(views) + sum("too large" in problem for problem in problems) == 3
    assert sum(view.size for view in views) <= 6_000


def test_worst_middle_and_best_case_have_stills(make):
    results = make(cases=tuple("abcdefg"))
    views, _ = draw_all(results, results.task.main_output, results.cases, NAMES)
    assert [view.case for view in views if view.still] == ["a", "d", "g"]


@pytest.mark.parametrize("start", ["middle", "fullest"])
def test_a_case_opens_where_something_is(make, tmp_path, start):
    results = make()
    labels = read(results.cases[0].truth["instance-labels"])
    if start == "fullest":
        array = labels.array.copy()
        array[:6] = 0
        write(tmp_path / "low.tif", Volume(array, labels.spacing))
        case = replace(results.cases[0], truth={"instance-labels": tmp_path / "low.tif"})
        results = replace(results, cases=[case])
    z = drawn(results).data["start"][0]
    assert math.floor(z * 8) == {"middle": 4, "fullest": 6}[start]


@pytest.mark.parametrize("task", TASKS)
def test_each_volume_is_read_once(make, monkeypatch, task):
    times = Counter()

    def counted(path):
        times[path] += 1
        return read(path)

    monkeypatch.setattr(scenes, "read", counted)
    results = make(task=task)
    folder = next(iter(results.cases[0].inputs.values())).parent
    copies = {}
    for number, pair in enumerate(results.outputs):  # a file of its own for each socket
        slug, path = next(iter(results.outputs[pair].items()))
        copies[pair] = {slug: folder / f"copy{number}.tif"}
        copies[pair][slug].write_bytes(path.read_bytes())
    inputs = {}
    for slug, path in results.cases[0].inputs.items():
        inputs[slug] = folder / f"{slug}.tif"
        inputs[slug].write_bytes(path.read_bytes())
    case = replace(results.cases[0], inputs=inputs)
    draw_all(replace(results, outputs=copies), results.task.main_output, [case], NAMES)
    assert set(times.values()) == {1}
    wanted = {*inputs.values(), *case.truth.values(), *results.reference}
    wanted |= {path for (_, name), made in copies.items() if name == "a" for path in made.values()}
    assert set(times) == wanted


@pytest.mark.parametrize("task", TASKS)
def test_a_case_on_disk_is_drawn_as_one_in_memory(make, task, monkeypatch):
    results = make(task)
    views = [draw(scene_of(results), results.task.main_output.kind, PLENTY, with_still=True)]
    monkeypatch.setattr(large, "fits", lambda _: False)
    monkeypatch.setattr(large, "SLAB", 100)
    views.append(draw(scene_of(results), results.task.main_output.kind, PLENTY, with_still=True))
    assert views[0] == views[1]
