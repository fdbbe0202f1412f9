import base64
import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cytosuite.benchmark.pictures import cut, png
from cytosuite.benchmark.pictures.cut import cut_case
from cytosuite.benchmark.pictures.gallery import choose, draw, draw_all, scale_bar
from cytosuite.benchmark.results.results import Matches
from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.volume import Volume

NAMES = ["good", "fair"]
TASKS = ["segment", "enhance", "synthesise", "fuse"]


def drawn(results, neighbour=None, **options):
    """Return the view of the first case."""
    output = results.task.main_output
    case = cut_case(results, output, results.cases[0], NAMES, neighbour)
    return draw(case, output.kind, **options)


def decode(address):
    head, data = address.split(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


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


def test_micrometres_are_square_in_all_planes(make):
    sizes = {p.plane: (p.height, p.width) for p in drawn(make(), side=120).rows[0].panels}
    # 8 x 24 x 24 voxels of 2 x 0.5 x 0.5 µm: 16 x 12 x 12 µm
    assert sizes == {"XY": (90, 90), "XZ": (120, 90), "YZ": (90, 120)}


def test_layers_separate_found_missed_and_predicted_objects(make):
    view = drawn(make())
    kinds = [layer.classes for layer in view.rows[0].panels[0].layers]
    assert kinds == ["truth", "truth missed a0", "guess a0", "truth missed a1", "guess a1"]
    assert view.counts["good"] == "1 of 2 found, 1 missed, 0 extra"


def test_pictures_show_the_matches_of_the_scores(make):
    results = make()
    matches = {key: Matches((1, 2), (7,), 2) for key in results.matches}
    view = drawn(replace(results, matches=matches))
    assert view.counts["good"] == "0 of 2 found, 2 missed, 1 extra"
    guess = next(layer for layer in view.rows[0].panels[0].layers if layer.classes == "guess a0")
    colours = {colour for _, colour in decode(guess.source).convert("RGBA").getcolors()}
    assert (*png.ORANGE, 255) not in colours  # every object is extra


def test_a_flat_image_is_one_panel(make):
    view = drawn(make(shape=(24, 24)))
    assert [panel.plane for panel in view.rows[0].panels] == ["XY"]
    assert view.rows[0].where == ""


def test_paired_images_stand_beside_their_truth(make):
    view = drawn(make(task="fuse"))
    assert [(row.title, row.classes) for row in view.rows] == [
        ("Light-sheet view", ""),
        ("Second light-sheet view", ""),
        ("Truth", ""),
        ("Output", "a0"),
        ("Output minus truth", "a0"),
        ("Output", "a1"),
        ("Output minus truth", "a1"),
    ]


def test_unpaired_images_stand_beside_a_real_one(make):
    results = make(task="enhance")
    view = drawn(results, results.reference[0])
    assert [row.title for row in view.rows[:4]] == [
        "Input",
        "Real image image-3",
        "Output",
        "Output minus input",
    ]


def test_a_perfect_output_has_no_difference(make):
    results = make(task="fuse")
    slug = results.task.outputs[0].slug
    truth = {pair: {slug: results.cases[0].truth[slug]} for pair in results.outputs}
    perfect, real = (
        np.asarray(decode(drawn(run).rows[4].panels[0].source).convert("RGB"))
        for run in (replace(results, outputs=truth), results)
    )
    assert not perfect.any()
    assert real[:12, :12].max() > real[:, 21:].max()


def test_brighter_is_orange_and_darker_is_blue():
    change = np.array([[0.0, 9.0, -9.0, 0.25]])
    pixels = np.asarray(decode(png.difference(change, 1, 4)).convert("RGB"))[0].tolist()
    assert pixels[:3] == [[0, 0, 0], list(png.ORANGE), list(png.SKY)]
    assert 0 < pixels[3][0] < png.ORANGE[0]


def test_labels_that_go_in_are_outlined_on_black(make):
    results = make(task="synthesise")
    case = results.cases[0]
    assert [row.title for row in drawn(results).rows[:2]] == ["Structure sketch", "Instance labels"]
    alone = replace(case, inputs={"instance-labels": case.inputs["instance-labels"]})
    view = drawn(replace(results, cases=[alone]))
    assert [row.title for row in view.rows] == ["Input", "Output", "Output"]
    panel = view.rows[0].panels[0]
    assert decode(panel.source).getextrema() == (0, 0)
    assert [layer.classes for layer in panel.layers] == ["labels"]


def test_without_truth_there_are_only_predictions(make):
    results = make()
    bare = replace(results, cases=[replace(c, truth={}) for c in results.cases], matches={})
    view = drawn(bare)
    assert view.counts["good"] == "1 objects"
    assert {layer.classes for layer in view.rows[0].panels[0].layers} == {"guess a0", "guess a1"}


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
    assert "broken.tif" in caplog.text


def test_refuses_a_truth_of_another_shape(make, tmp_path):
    other = tmp_path / "other.tif"
    write(other, Volume(np.zeros((2, 3, 4), np.uint8), (1.0, 1.0, 1.0)))
    results = make()
    lost = replace(results.cases[0], truth={"instance-labels": other})
    with pytest.raises(InputError, match=r"expected the shape \(8, 24, 24\)"):
        cut_case(results, results.task.main_output, lost, NAMES)


def test_a_case_without_picture_has_a_reason(make, nowhere):
    results = make()
    lost = replace(results.cases[0], inputs={"microscopy-image": nowhere})
    cases = [lost, results.cases[1]]
    (view,), (why,) = draw_all(results, results.task.main_output, cases, NAMES)
    assert why.startswith("a: ")
    assert "missing.tif" in why
    assert view.case == "b"


def test_keeps_within_its_bytes(make):
    results = make()
    views, problems = draw_all(
        results, results.task.main_output, results.cases, NAMES, limit=20_000
    )
    assert sum(view.size for view in views) <= 20_000
    assert len(views) + sum("too large" in problem for problem in problems) == 3


@pytest.mark.parametrize("task", TASKS)
def test_each_volume_is_read_once(make, monkeypatch, task):
    times = Counter()

    def counted(path):
        times[path] += 1
        return read(path)

    monkeypatch.setattr(cut, "read", counted)
    results = make(task=task)
    folder = next(iter(results.cases[0].inputs.values())).parent
    files = [replace(results.cases[0])]
    copies = {}
    for number, pair in enumerate(results.outputs):  # a file of its own for each socket
        slug, path = next(iter(results.outputs[pair].items()))
        copies[pair] = {slug: folder / f"copy{number}.tif"}
        copies[pair][slug].write_bytes(path.read_bytes())
    inputs = {}
    for slug, path in files[0].inputs.items():
        inputs[slug] = folder / f"{slug}.tif"
        inputs[slug].write_bytes(path.read_bytes())
    case = replace(files[0], inputs=inputs)
    draw_all(replace(results, outputs=copies), results.task.main_output, [case], NAMES)
    assert set(times.values()) == {1}
    wanted = {*inputs.values(), *case.truth.values(), *results.reference}
    wanted |= {path for (_, name), made in copies.items() if name == "a" for path in made.values()}
    assert set(times) == wanted


def test_a_layer_is_transparent_where_nothing_is_drawn():
    colours = ((230, 159, 0), (240, 100, 190))
    image = decode(png.layer(np.array([[0, 1], [2, 0]], np.uint8), colours)).convert("RGBA")
    pixels = np.asarray(image)
    assert pixels[..., 3].tolist() == [[0, 255], [255, 0]]
    assert tuple(pixels[0, 1, :3]) == colours[0]
    assert tuple(pixels[1, 0, :3]) == colours[1]
