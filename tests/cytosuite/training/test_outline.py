import re
import shutil

import numpy as np
import pytest
import tifffile
from house import ROOT
from mistakes import refused
from rasters import discs
from safetensors.numpy import load_file

from cytosuite.contract.manifest import read_card
from cytosuite.segmentation.outline.redraw import Trees
from cytosuite.training.command import main
from cytosuite.training.outline import Growth, grow, twins

PARENT = ROOT / "weights/watershed/nuclei-2d.json"


def test_trees_learn_what_depends_on_two_columns_together(rng):
    columns = rng.normal(size=(3, 4000)).astype(np.float32)
    inside = (columns[0] > 0) ^ (columns[2] > 0.5)
    ones = np.ones(4000, np.float32)
    growth = Growth(trees=30, depth=4, rate=0.5)
    trees = grow(columns, inside, ones, growth, seed=1)
    assert np.mean((trees.odds(columns) > 0) == inside) > 0.95
    again = grow(columns, inside, ones, growth, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(trees, again, strict=True))


def test_without_trees_the_odds_are_those_of_the_weighted_share():
    columns = np.zeros((2, 4), np.float32)
    inside = np.array([True, False, False, False])
    weight = np.array([3, 1, 1, 1], np.float32)
    trees = grow(columns, inside, weight, Growth(trees=0), seed=0)
    assert trees.odds(columns) == pytest.approx(np.zeros(4))
    # nothing can be asked
    assert np.isfinite(grow(columns, inside, weight, Growth(trees=2), seed=0).odds(columns)).all()


def test_each_object_has_one_twin_that_no_other_has():
    labels = np.array([[1, 1, 1, 2, 2, 0, 3, 3, 4]])
    assert twins(labels, np.array([[5, 5, 5, 5, 5, 0, 0, 7, 0]])).tolist() == [0, 5, 0, 7, 0]


def annotated(folder, count=4):
    """Write noisy planes of discs whose annotation is looser than the watershed's objects."""
    light = discs(9, 22, 3)[0][:136, :136]
    labels = discs(12, 16, 3)[1]
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        image = np.random.default_rng(number).poisson(light).astype("u2")
        tifffile.imwrite(folder / f"images/{number}.tif", image)
        tifffile.imwrite(folder / f"labels/{number}.tif", labels)
    return folder


def words(folder, parent, name, *more):
    return [
        "watershed",
        "--data",
        str(folder),
        "--name",
        name,
        "--out",
        str(folder / "models"),
        *(("--from", str(parent), *more) if parent else more),
    ]


def test_a_model_learns_the_habit_of_an_annotator_and_then_its_looseness_alone(tmp_path, capsys):
    folder = annotated(tmp_path / "data")
    models = folder / "models"
    small = tmp_path / "small.toml"
    text = "[outline]\ntrees = 20\ndepth = 4"
    small.write_text(f"cases = 1\nenough = 5\nparameters = {{ opening_um = 0.0 }}\n{text}")
    assert main(words(folder, PARENT, "mine", "--settings", str(small), "--seed", "3")) == 0
    card = read_card(models / "mine.json")
    facts = card.trained["outline"]
    assert card.parameters == {**read_card(PARENT).parameters, "opening_um": 0.0, "outline": 0.55}
    assert (facts["images"], facts["settings"]["seed"], facts["trees"]) == (3, 3, "20 new trees")
    (after,) = card.scores.values()
    assert after["SEG"] > facts["parent"]["scores"]["SEG"] + 0.1
    assert after["SEG"] > 0.85
    assert not card.adopted  # it is for the images of its parent
    assert "held-out cases with these outlines: SEG 0." in capsys.readouterr().out
    assert Trees.read(models / "mine.safetensors", 99).feature.shape == (20, 4)

    small.write_text(f"cases = 0\nenough = 500\n{text}")  # none is held out, all are few
    assert main(words(folder, models / "mine.json", "few", "--settings", str(small))) == 0
    few = read_card(models / "few.json")
    assert few.trained["outline"]["trees"] == "trees kept"
    assert few.scores == {}
    one, other = (load_file(models / f"{n}.safetensors") for n in ("mine", "few"))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert abs(few.parameters["outline"] - 0.55) <= 0.2


def without_parent(folder):
    """--from: expected the model that finds the objects, found none"""
    return words(annotated(folder, 1), None, "a")


def without_trees(folder):
    """the model has no trees of which the looseness could be fitted alone"""
    return words(annotated(folder, 2), PARENT, "a", "--steps", "0")


def without_labels(folder):
    """expected images with labels of the same name, found 1 image without"""
    shutil.rmtree(annotated(folder, 1) / "labels")
    return words(folder, PARENT, "a")


def nothing_found(folder):
    """so that no outline can be learned; give another one (--from)"""
    for path in (annotated(folder, 2) / "images").glob("*.tif"):
        tifffile.imwrite(path, np.full((136, 136), 7, "u2"))
    return words(folder, PARENT, "a")


def labels_of_another_shape(folder):
    """expected labels of the shape (136, 136), found (3, 3)"""
    tifffile.imwrite(annotated(folder, 1) / "labels/0.tif", np.ones((3, 3), "u2"))
    return words(folder, PARENT, "a")


@pytest.mark.parametrize(
    "mistake",
    [
        without_parent,
        without_trees,
        without_labels,
        nothing_found,
        labels_of_another_shape,
    ],
    ids=lambda mistake: mistake.__name__,
)
def test_a_mistake_is_named_and_nothing_is_written(tmp_path, mistake):
    refused(re.escape(mistake.__doc__), main, mistake(tmp_path))
    assert not [*tmp_path.rglob("*.json"), *tmp_path.rglob("*.safetensors")]
