import pytest
from mistakes import refused

from cytosuite.benchmark.runs.data.recipe import DataRequest, recipe
from cytosuite.datasets.recipes import simulated

RECIPE = """
dataset = "spheroid"
title = "Mine"
cases = 2
[parameters]
image = { shape = [16, 48, 48], spacing_um = [2, 0.5, 0.5] }
tissue = { n_nuclei = 3 }
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE)
    return path


def test_a_recipe_in_a_file_says_what_differs(mine):
    simulation = simulated(str(mine), None)
    assert (simulation.title, simulation.size, simulation.cases) == ("Mine", "mine", 2)
    assert simulation.parameters.tissue.n_nuclei == (3, 3)
    assert simulation.parameters.camera == simulated("spheroid", None).parameters.camera


def test_settings_win_over_recipe_and_size(mine):
    wishes = ["camera.bits=8", "tissue.outline=irregular", "image.shape=[20, 90, 90]"]
    simulation = simulated(str(mine), None, 5, wishes)
    assert simulation.cases == 5
    assert simulation.parameters.camera.bits == 8
    assert simulation.parameters.tissue.outline == ("irregular",)
    assert simulation.parameters.image.shape == (20, 90, 90)
    mine.write_text(RECIPE.replace("48, 48]", "20, 20]"))  # too small for its nuclei
    assert simulated(str(mine), None, settings=wishes).parameters == simulation.parameters
    assert simulated("spheroid", "mini", None, ["camera.gain=7"]).parameters.camera.gain == 7


@pytest.mark.parametrize(
    "source, options, line",
    [
        ("spheroid/mouse_embrio", {}, "did you mean 'spheroid/mouse_embryo'"),
        ("missing.toml", {}, "missing.toml: no such file"),
        ("spheroid", {"settings": ["camera.photons"]}, "must be like camera.photons=5"),
        ("spheroid", {"settings": ["a b=1"]}, "--set a b=1"),
        ("spheroid", {"settings": ["psf_um=[]"]}, "--set psf_um=[] must be a width along z"),
        ("spheroid", {"settings": ['nucleus.phantoms="nowhere"']}, "nowhere: no such file"),
    ],
)
def test_what_cannot_be_simulated_is_one_clear_line(source, options, line):
    options = {"size": None} | options
    refused(line, simulated, source, **options)


@pytest.mark.parametrize("source", ["spheroid", "spheroid/hard"])
@pytest.mark.parametrize(
    "line, settings",
    {
        "--set camera.bits=99: input should be 8, 12 or": ["camera.photons=5", "camera.bits=99"],
        "--set camera.fotons=3 is not a known key; did you mean 'photons'?": ["camera.fotons=3"],
        "--set camera={bits=99}: camera.bits: input should be 8, 12 or 16": ["camera={bits=99}"],
        "--set camera.bits=8, output.channel=memb": ["camera.bits=8", "output.channel=membrane"],
    }.items(),
)
def test_a_wrong_setting_is_named_as_the_user_wrote_it(source, settings, line):
    message = str(refused("", simulated, source, None, settings=settings))
    assert message.startswith(line)
    assert ".toml" not in message


@pytest.mark.parametrize("cases", [0, 100_001])
def test_a_number_of_cases_that_nobody_makes_is_refused(mine, cases):
    refused(
        f"CASES={cases}: expected 1 to 100000 cases",
        recipe,
        DataRequest("spheroid", "mini", cases=cases),
    )
    mine.write_text(RECIPE.replace("cases = 2", f"cases = {cases}"))
    refused(r"mine\.toml: cases: input should be ", recipe, DataRequest(str(mine)))
