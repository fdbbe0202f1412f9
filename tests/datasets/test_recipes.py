import re
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from rasters import away_from

import cytosuite.datasets
from cytosuite.datasets.phantoms.build import draw_to
from cytosuite.datasets.ranges import Section
from cytosuite.datasets.recipes import simulated
from cytosuite.datasets.reference import shared, tables
from cytosuite.datasets.spheroid.generate import generate
from cytosuite.formats import write
from cytosuite.volume import Volume

HOME = Path(cytosuite.datasets.__file__).parent


def _examples(name):
    """Return the recipes of a dataset, those in its README included."""
    shown = re.findall(
        r"```toml\n(.*?)```", (HOME / name / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    files = sorted((HOME / name / "recipes").glob("*.toml"))
    return [*shown, *(path.read_text(encoding="utf-8") for path in files)]


def _keys(value, name=""):
    """Return the dotted names of all values of a recipe."""
    if isinstance(value, dict):
        dot = "." if name else ""
        return {key for part in value for key in _keys(value[part], f"{name}{dot}{part}")}
    tables = isinstance(value, list) and value and isinstance(value[0], dict)
    return {key for part in value for key in _keys(part, name)} if tables else {name}


@pytest.mark.parametrize("name", ["spheroid", "nuclei", "membrane", "views", "cells"])
def test_every_parameter_is_shown_by_a_recipe(name):
    shown = set[str]()
    for text in (*_examples(name), *_examples(".")):  # those of all datasets
        shown |= _keys(tomllib.loads(text).get("parameters", {}))
    parameters = set[str]()
    for key, field in import_module(
        f"cytosuite.datasets.{name}.generate"
    ).Parameters.model_fields.items():
        deep = isinstance(field.default, Section)
        inner = type(field.default).model_fields if deep else ()
        parameters |= {f"{key}.{part}" for part in inner} if deep else {key}
    named = {key.replace("kinds.", "nucleus.") for key in shown}
    named |= {
        key.split(".")[0] for key in shown if key.startswith(("kinds.", "subcultures.", "spots."))
    }
    assert parameters - named - {"shapes"} == set()  # a file of learned shapes: README of nuclei


@pytest.mark.parametrize("name", ["spheroid", "nuclei", "membrane", "views"])
def test_the_readme_has_the_tables_of_its_parameters(name):
    text = (HOME / name / "README.md").read_text(encoding="utf-8")
    assert tables(import_module(f"cytosuite.datasets.{name}.parameters").Parameters) in text
    assert shared() in (HOME / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_recipe_with_files_of_ones_own_runs(tmp_path):
    (text,) = (text for text in _examples("spheroid") if "STACK_mask" in text)
    (tmp_path / "stored.toml").write_text(text)
    draw_to(tmp_path / "library", 2)
    bead = np.exp(-away_from((2, 4, 4), (5, 9, 9))).astype(np.float32)
    mask = np.full((10, 44, 44), 255, np.uint8)
    write(tmp_path / "bead.tif", Volume(bead, (0.5, 0.25, 0.25), "ZYX"))
    write(tmp_path / "masks/STACK_mask.tif", Volume(mask, (2.0, 0.5, 0.5), "ZYX"))
    recipe = simulated(str(tmp_path / "stored.toml"), None, 1, ("image.shape=[16, 64, 64]",))
    sample = generate(np.random.default_rng(0), recipe.parameters)
    assert sample.volume("instance-labels").array.any()
