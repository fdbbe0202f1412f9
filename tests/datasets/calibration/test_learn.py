import numpy as np
import pytest
from mistakes import refused

from cytosuite.contract.manifest import read_recipe
from cytosuite.contract.tasks import LABELS
from cytosuite.datasets.calibration.fit import simulator
from cytosuite.datasets.calibration.learn import _starts, learn
from cytosuite.datasets.calibration.masks import look
from cytosuite.datasets.calibration.side import in_turn
from cytosuite.datasets.cells.generate import generate as cells
from cytosuite.datasets.nuclei.generate import generate as nuclei
from cytosuite.files import read_json
from cytosuite.formats import write
from cytosuite.volume import Volume

KNOWN = {"shape": (128, 128), "spacing_um": (1.0, 1.0), "circularity": 8.0, "margin_um": 8.0}
KNOWN |= {"radius_um": (4.0, 6.0), "n_nuclei": (20, 30), "elongation": 1.4, "turn_deg": 30.0}


def real(folder, count=8, **parameters):
    """Write labels of known parameters; return their folder."""
    simulate = simulator("nuclei")
    for number in range(count):
        write(folder / f"{number}.tif", simulate(KNOWN | parameters, 100 + number)[0])
    return folder


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Return the recipe that is learned from labels of known parameters."""
    place = tmp_path_factory.mktemp("learned")
    lines = []
    steps = []
    out = learn(
        "nuclei",
        real(place / "labels"),
        place / "mine.toml",
        rounds=6,
        cases=6,
        say=lines.append,
        step=lambda *values: steps.append(values),
    )
    assert lines[0].startswith("label images: 8, objects: ")
    assert steps[-1][0] == steps[-1][1]
    return out


def test_known_parameters_are_recovered(learned):
    parameters = read_recipe(learned).parameters
    assert parameters["foreground"] == "image"
    assert parameters["radius_um"][5] == pytest.approx(5.0, rel=0.06)
    assert parameters["radius_um"][8] / parameters["radius_um"][2] == pytest.approx(
        5.6 / 4.4, rel=0.15
    )
    assert parameters["case_spread"] < 0.1
    assert parameters["turn_deg"] == pytest.approx(30, abs=8)
    area = (128 + 2 * parameters["image"]["margin_um"]) ** 2
    assert np.mean(parameters["n_nuclei"]) / area == pytest.approx(25 / 144**2, rel=0.2)


def test_the_recipe_runs_with_its_shapes_and_the_table_stands_beside(learned, rng):
    parameters = read_recipe(learned).parameters
    assert (
        nuclei(rng, parameters | {"shapes": str(learned.parent / parameters["shapes"])})
        .volume(LABELS.slug)
        .array.max()
        > 8
    )
    record = read_json(learned.with_suffix(".json"))
    moved = {row["name"]: (row["distance_before"], row["distance"]) for row in record["table"]}
    assert moved["size"][1] < 0.5 * moved["size"][0]
    assert moved["elongation"][1] < 0.5
    assert learned.with_suffix(".md").read_text().startswith("| property | real | before |")


def test_one_seed_gives_the_same_bytes_whatever_is_done_first(tmp_path, backwards):
    labels = real(tmp_path / "labels", count=2)
    runs = []
    for name, order in (("a", in_turn), ("b", backwards)):
        out = learn("nuclei", labels, tmp_path / name / "m.toml", rounds=1, cases=2, each=order)
        runs.append([path.read_bytes() for path in sorted(out.parent.iterdir())])
    assert runs[0] == runs[1]
    assert len(runs[0]) == 4


def test_colonies_are_seen(tmp_path):
    out = learn(
        "nuclei",
        real(
            tmp_path / "labels",
            4,
            shape=(256, 256),
            foreground="discs",
            discs=3,
            disc_radius_um=32.0,
        ),
        tmp_path / "m.toml",
        rounds=2,
        cases=2,
    )
    parameters = read_recipe(out).parameters
    assert parameters["foreground"] == "discs"
    assert parameters["disc_radius_um"] == pytest.approx(32, rel=0.3)


def test_the_height_of_labels_that_follow_the_blur_is_measured():
    parameters = KNOWN | {"shape": (40, 64, 64), "spacing_um": (1.0, 1.0, 1.0), "stretch": 1.6}
    parameters |= {"n_nuclei": 12, "margin_um": 0.0, "elongation": 1.0}
    images = [simulator("nuclei")(parameters, seed)[0] for seed in range(3)]
    start = _starts("nuclei", images, look(images))[0]
    assert start.stretch == pytest.approx(1.6, rel=0.1)
    assert np.median(start.radii_um) == pytest.approx(5.0, rel=0.1)


def test_cells_have_the_learned_outlines(tmp_path, rng):
    out = learn("cells", real(tmp_path / "labels", 2), tmp_path / "m.toml", rounds=1, cases=1)
    parameters = read_recipe(out).parameters
    outlines = {"cells": parameters["cells"] | {"shapes": str(tmp_path / "m_shapes.json")}}
    assert cells(rng, parameters | outlines).volume(LABELS.slug).array.max() > 8


@pytest.mark.parametrize(
    "dataset, image, message",
    [
        ("nuclei", np.pad(np.ones((9, 9), np.uint8), 5), "at least 8 objects of 20 voxels"),
        ("cells", np.ones((4, 9, 9), np.uint8), "are learned from planes (YX), found ZYX"),
    ],
)
def test_labels_that_tell_too_little_are_named(tmp_path, dataset, image, message):
    write(tmp_path / "a.tif", Volume(image, (1.0,) * image.ndim, "ZYX"[-image.ndim :]))
    refused(message, learn, dataset, tmp_path / "a.tif", tmp_path / "m.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_no_recipe_replaces_the_shapes_of_another(tmp_path):
    (tmp_path / "m_shapes.json").write_text("{}")
    refused(r"m_shapes\.json: exists already", learn, "nuclei", tmp_path, tmp_path / "m.toml")
