from pathlib import Path

import numpy as np
import pytest

from cytosuite.benchmark.data.simulated import simulated
from cytosuite.datasets.membrane import generate as membrane
from cytosuite.datasets.membrane.parameters import Drawn, Parameters, draw_values

FOLDER = Path(membrane.__file__).parent
RECIPES = sorted(path.stem for path in (FOLDER / "recipes").glob("*.toml"))


def test_the_readme_explains_every_parameter_with_its_default():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name, field in Parameters.model_fields.items():
        default = field.default
        shown = list(default) if isinstance(default, tuple) else default
        description = " ".join(field.description.split())
        assert f"| `{name}` | `{shown}` | {description} |" in text


@pytest.mark.parametrize("size", ["mini", "default", "full"])
def test_sizes_are_valid(size):
    found = simulated("membrane", size)
    assert isinstance(found.parameters, Parameters)
    assert found.parameters.structure == "tissue"


def test_every_other_structure_has_a_recipe():
    made = {name: simulated(f"membrane/{name}", None).parameters for name in RECIPES}
    assert made.pop("nuclei").nucleus == (0.2, 0.33)  # a second channel of the tissue
    assert made.pop("ovule").structure == "tissue"  # whose images a diffusion model makes
    assert [found.structure for found in made.values()] == list(made)
    assert sorted([*made, "tissue"]) == ["cartographic", "meristem", "shell", "tissue"]


def test_drawn_values_lie_in_their_ranges():
    parameters = Parameters(cell_um=(5.0, 6.0), photons=30.0)
    drawn = [draw_values(np.random.default_rng(seed), parameters) for seed in range(200)]
    for name in Drawn.model_fields:
        low, high = getattr(parameters, name)
        values = [getattr(each, name) for each in drawn]
        assert low <= min(values) <= max(values) <= high
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=(high - low) / 10 + 1e-9)
    assert {each.photons for each in drawn} == {30.0}


def test_a_fixed_value_leaves_the_others_as_they_were():
    first, second = (
        draw_values(np.random.default_rng(3), Parameters(cell_um=cell)) for cell in ((5, 9), 8)
    )
    assert second.cell_um == 8.0
    assert first.model_copy(update={"cell_um": 8.0}) == second
