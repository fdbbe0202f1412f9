from pathlib import Path

from cytosuite.benchmark.data.simulated import simulated
from cytosuite.datasets.membrane import generate as membrane

FOLDER = Path(membrane.__file__).parent
RECIPES = sorted(path.stem for path in (FOLDER / "recipes").glob("*.toml"))


def test_every_other_structure_has_a_recipe():
    made = {name: simulated(f"membrane/{name}", None).parameters for name in RECIPES}
    assert made.pop("nuclei").nucleus == (0.2, 0.33)  # a second channel of the tissue
    assert made.pop("ovule").structure == "tissue"  # whose images a diffusion model makes
    assert [found.structure for found in made.values()] == list(made)
    assert sorted([*made, "tissue"]) == ["cartographic", "meristem", "shell", "tissue"]
