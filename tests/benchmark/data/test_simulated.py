import numpy as np
import pytest
import tifffile

from cytosuite.benchmark.catalog import recipes
from cytosuite.benchmark.data.recipe import DataRequest, recipe
from cytosuite.benchmark.data.simulated import files, merged, simulated
from cytosuite.errors import InputError

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
    """Return a user's own recipe."""
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE)
    return path


def test_nested_values_are_merged_key_by_key():
    base = {"camera": {"gain": 2, "bits": 8}, "kinds": [1, 2]}
    assert merged(base, {"camera": {"bits": 16}, "kinds": [3]}) == {
        "camera": {"gain": 2, "bits": 16},
        "kinds": [3],
    }
    assert base["camera"]["bits"] == 8


def test_a_recipe_in_a_file_says_what_differs(mine):
    found = simulated(str(mine), None)
    assert (found.title, found.size, found.cases) == ("Mine", "mine", 2)
    assert found.parameters.tissue.n_nuclei == (3, 3)
    assert found.parameters.camera == simulated("spheroid", None).parameters.camera


def test_settings_win_over_recipe_and_size(mine):
    wishes = ["camera.bits=8", "tissue.outline=irregular", "image.shape=[20, 90, 90]"]
    found = simulated(str(mine), None, 5, wishes)
    assert found.cases == 5
    assert found.parameters.camera.bits == 8
    assert found.parameters.tissue.outline == ("irregular",)
    assert found.parameters.image.shape == (20, 90, 90)
    assert simulated("spheroid", "mini", None, ["camera.gain=7"]).parameters.camera.gain == 7


def test_a_changed_setting_is_another_dataset():
    plain = recipe(DataRequest("spheroid", "mini"))
    other = recipe(DataRequest("spheroid", "mini", settings=["camera.gain=7"]))
    assert plain.fingerprint != other.fingerprint
    assert not plain.changed
    assert other.changed
    assert recipe(DataRequest("spheroid", "mini", cases=2)).makers[1][0] == "spheroid_02"


def test_files_of_a_recipe_count_from_its_folder_and_with_their_content(mine):
    mask = np.zeros((8, 9, 9), np.uint8)
    mask[2:6, 2:7, 2:7] = 1
    tifffile.imwrite(mine.parent / "mask.tif", mask)
    with mine.open("a") as stream:
        stream.write("[parameters.nucleus]\ndiameter_um = 4\n")
    wishes = ["tissue.outline=file", 'tissue.masks=["mask.tif"]', "tissue.masks_um=[3, 3, 3]"]
    before = simulated(str(mine), None, None, wishes)
    assert before.parameters.files() == [mine.parent / "mask.tif"]
    digests = files(before.parameters)
    tifffile.imwrite(mine.parent / "mask.tif", 1 - mask)
    assert files(before.parameters) != digests


def test_all_recipes_that_come_along_can_be_simulated():
    assert recipes()
    for name in recipes():
        found = recipe(DataRequest(name))
        assert found.size == name.split("/")[1]


@pytest.mark.parametrize(
    ("wanted", "options", "line"),
    [
        ("spheroid", {"size": "tiny"}, "no size of spheroid called 'tiny'"),
        ("spheroid/mouse_embrio", {}, "did you mean 'spheroid/mouse_embryo'"),
        ("missing.toml", {}, "missing.toml: no such file"),
        ("spheroid", {"settings": ["camera.photon=5"]}, "did you mean 'photons'"),
        ("spheroid", {"settings": ["camera.photons"]}, "must be like camera.photons=5"),
        ("spheroid", {"settings": ["a b=1"]}, "--set a b=1"),
        ("spheroid", {"settings": ["camera.read_noise=-1"]}, "camera.read_noise"),
        ("spheroid", {"settings": ["optics.attenuation=linear"]}, "'exponential', 'power'"),
        ("spheroid", {"settings": ["tissue.outline=file"]}, "tissue.masks names no file"),
        ("spheroid", {"settings": ["output.channel=membrane"]}, "cells.enabled is false"),
        ("spheroid", {"settings": ['nucleus.phantoms="nowhere"']}, "nowhere: no such file"),
        ("spheroid", {"settings": ["tissue.n_nuclei=auto"]}, "tissue.width_um are both auto"),
    ],
)
def test_what_cannot_be_simulated_is_one_clear_line(wanted, options, line):
    options = {"size": None} | options
    with pytest.raises(InputError) as caught:
        simulated(wanted, **options)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wanted", ["spheroid", "spheroid/hard"])
@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (["camera.photons=5", "camera.bits=99"], "--set camera.bits=99: input should be 8, 12 or"),
        (["camera.fotons=3"], "--set camera.fotons=3 is not a known key; did you mean 'photons'?"),
        (["camera={bits=99}"], "--set camera={bits=99}: camera.bits: input should be 8, 12 or 16"),
        (["camera.bits=8", "output.channel=membrane"], "--set camera.bits=8, output.channel=memb"),
    ],
)
def test_a_wrong_setting_is_named_as_the_user_wrote_it(wanted, settings, line):
    with pytest.raises(InputError) as caught:
        simulated(wanted, None, settings=settings)
    assert str(caught.value).startswith(line)
    assert ".toml" not in str(caught.value)


def test_a_recipe_has_no_sizes(mine):
    with pytest.raises(InputError, match="a recipe has the size it has"):
        simulated(str(mine), "mini")


@pytest.mark.parametrize("cases", [-1, 0, 100_001, 10**9])
def test_a_number_of_cases_that_nobody_makes_is_refused(mine, cases):
    with pytest.raises(InputError, match=f"CASES={cases}: expected 1 to 100000 cases"):
        recipe(DataRequest("spheroid", "mini", cases=cases))
    mine.write_text(RECIPE.replace("cases = 2", f"cases = {cases}"))
    with pytest.raises(InputError, match=r"mine\.toml: cases: input should be "):
        recipe(DataRequest(str(mine)))


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="SEED=-1: expected a whole number from 0"):
        recipe(DataRequest("spheroid", "mini", seed=-1))
