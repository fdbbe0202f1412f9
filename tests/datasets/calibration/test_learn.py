import numpy as np
import pytest
import tifffile
from mistakes import refused

from cytosuite.contract.manifest import read_recipe
from cytosuite.contract.tasks import LABELS
from cytosuite.datasets.calibration.fit import simulator
from cytosuite.datasets.calibration.learn import _starts, learn
from cytosuite.datasets.calibration.masks import (
    _radii,
    compare,
    look,
    mean_distance,
    objects_of,
    read_labels,
)
from cytosuite.datasets.calibration.measure import in_turn
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


def plane(*boxes, spacing=(0.5, 0.5), dtype=np.uint16):
    array = np.zeros((24, 40), dtype)
    for number, (y, x, high, wide) in enumerate(boxes, 1):
        array[y : y + high, x : x + wide] = number
    return Volume(array, spacing, "YX")


BOX = plane((2, 2, 4, 4))


def test_measures_of_boxes():
    table = objects_of(plane((2, 2, 4, 8), (2, 10, 4, 8), (10, 6, 12, 4), (0, 30, 4, 8)))
    assert table["size"].tolist()[:3] == [8.0, 8.0, 12.0]  # of 32, 32, 48 pixels
    assert np.isnan(table["size"][3])  # cut
    assert table["cut"].tolist() == [0, 0, 0, 1]
    assert table["contact"] == pytest.approx([1 / 6, 1 / 6, 0, 0])
    assert table["neighbour_um"][:2].tolist() == [4.0, 4.0]
    assert table["turn_deg"][:3] == pytest.approx([0, 0, 90])
    assert table["solidity"][:3] == pytest.approx([1, 1, 1])


def test_a_tall_object_of_a_volume():
    array = np.zeros((30, 20, 20), np.uint8)
    array[5:25, 5:10, 5:10] = 1
    assert objects_of(Volume(array, (1.0, 1.0, 1.0)))["height"] == pytest.approx(np.log(4))


def tables(radii):
    return [{"radii": np.array(values, float), "cut": np.zeros(len(values))} for values in radii]


def test_sizes_within_images_and_between_them(rng):
    counts = (4, 8, 12, 16, 24, 32, 40, 64)
    middle = np.median(np.log(counts))
    fall = tables([np.full(n, 5 * np.exp(-0.3 * (np.log(n) - middle))) for n in counts])
    radii, between, exponent = _radii(fall, None)
    assert radii == pytest.approx(np.full(11, 5.0))
    assert (between, exponent) == pytest.approx((0, 0.3), abs=1e-6)
    apart = tables([np.exp(0.2 * rng.normal() + 0.1 * rng.normal(size=50)) * 4 for _ in range(60)])
    radii, between, exponent = _radii(apart, None)
    assert exponent == 0  # all images hold as many
    assert between == pytest.approx(0.2, rel=0.25)
    assert np.log(radii[9] / radii[1]) == pytest.approx(2 * 1.2816 * 0.1, rel=0.1)


def test_labels_are_as_far_from_themselves_as_nothing_and_halves_tell_their_noise():
    masks = look([plane((2, 2, 4, 6 + n), (12, 9, 5, 5), (10, 20, 6, 8)) for n in range(4)])
    rows = compare(masks, masks)
    assert mean_distance(rows) == 0
    assert {row.name for row in rows if row.floor > 0} >= {"size", "elongation"}
    assert mean_distance(compare(masks, look([plane((2, 2, 12, 30))] * 4, masks.reach_um))) > 1


def test_an_image_without_objects_counts_as_empty():
    assert look([plane(), plane((2, 2, 4, 6), (12, 9, 5, 5))]).density.tolist() == [0.0, 2 / 240]


def test_labels_alone_are_found(tmp_path):
    write(tmp_path / "images/a.tif", plane((2, 2, 4, 4), dtype=np.uint8))
    write(tmp_path / "labels/a.tif", BOX)
    write(tmp_path / "labels/b.tif", BOX)
    assert [item.name for item in read_labels(tmp_path)[0]] == ["a", "b"]
    assert read_labels(tmp_path / "labels", pattern="b*")[0][0].name == "b"
    assert len(read_labels(tmp_path / "labels/a.tif")[1]) == 1


@pytest.mark.parametrize(
    "message, images",
    {
        "expected images named like '*', found none": [],
        "labels must be integers, found dtype float32": [plane((2, 2, 4, 4), dtype=np.float32)],
        "calibrate one kind of images at a time (--pattern)": [
            BOX,
            plane((2, 2, 4, 4), spacing=(1, 1)),
        ],
        "ZYX with voxels of (1.0, 1.0, 1.0) µm": [
            BOX,
            Volume(np.ones((4, 4, 4), np.uint8), (1, 1, 1)),
        ],
    }.items(),
)
def test_a_mistake_is_one_line(tmp_path, images, message):
    folder = tmp_path / "labels"
    folder.mkdir()
    for number, image in enumerate(images):
        write(folder / f"{number}.tif", image)
    refused(message, read_labels, tmp_path)


def test_a_voxel_size_is_needed_and_may_be_given(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", BOX.array)
    refused(r"a\.tif: the file gives no voxel size; give --spacing y,x", read_labels, tmp_path)
    assert read_labels(tmp_path, spacing=(0.3, 0.3))[1][0].spacing == (0.3, 0.3)
