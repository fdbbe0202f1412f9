from shutil import rmtree

import numpy as np
import pytest
from mistakes import refused

from cytosuite.contract.manifest import read_recipe
from cytosuite.datasets.calibration.calibrate import calibrate, to_toml
from cytosuite.datasets.calibration.fit import simulator
from cytosuite.files import read_json
from cytosuite.formats import write
from cytosuite.volume import Volume

pytestmark = pytest.mark.slow


def test_recipes_look_as_people_write_them():
    recipe = {
        "dataset": "spheroid",
        "parameters": {
            "camera": {"gain": np.float64(2.5), "photons": (np.float32(4), 8.0)},
            "kinds": [{"name": "small"}, {"name": "large", "share": 0.5}],
        },
    }
    assert to_toml(recipe, {"parameters.camera.gain": "photon transfer"}, ["Measured."]) == (
        '# Measured.\n\ndataset = "spheroid"\n\n[parameters.camera]\ngain = 2.5 # photon transfer\nphotons = [4.0, 8.0]\n\n[[parameters.kinds]]\nname = "small"\n\n[[parameters.kinds]]\nname = "large"\nshare = 0.5\n'
    )
    refused(
        r"parameters\.gain: None has no form in TOML",
        to_toml,
        {"parameters": {"gain": None}},
        {},
        (),
    )


@pytest.fixture
def folder(tmp_path, toy):
    """Three stacks of the toy microscope, two of them annotated."""
    for seed in range(3):
        image, labels = toy(toy.recipe(), seed)
        write(tmp_path / f"real/images/s{seed}.tif", image)
        if seed < 2:
            write(tmp_path / f"real/labels/s{seed}.tif", Volume(labels, image.spacing))
    return tmp_path / "real"


@pytest.fixture
def toy_simulator(monkeypatch, toy):
    def simulate(values, seed):
        return toy({name: part | values.get(name, {}) for name, part in toy.recipe().items()}, seed)

    monkeypatch.setattr("cytosuite.datasets.calibration.calibrate.simulator", lambda name: simulate)


def test_a_folder_becomes_a_recipe(folder, tmp_path, toy_simulator):
    lines = []
    path = tmp_path / "mine.toml"
    stacks = []

    def draw_strip(picture, real, simulated):
        assert picture == path.with_suffix(".png")
        stacks.extend([real, simulated])

    def say(line):
        lines.append(line)
        if "to simulate" in line:  # the stacks are read, and hours may pass
            rmtree(folder)

    out = calibrate("spheroid", folder, path, rounds=4, cases=2, say=say, draw_strip=draw_strip)
    recipe = read_recipe(out)
    assert recipe.dataset == "spheroid"
    assert np.mean(recipe.parameters["nucleus"]["diameter_um"]) == pytest.approx(10, rel=0.15)
    assert recipe.parameters["camera"]["gain"] == pytest.approx(4, rel=0.15)
    assert "photons = [" in out.read_text()
    assert "# signal " in out.read_text()
    record = read_json(out.with_suffix(".json"))
    assert record["files"] == ["s0", "s1"]  # the annotated ones
    assert len(record["sha256"]) == 64
    assert record["real"]["annotated"] == 2
    assert record["table"][0]["name"] == "size"
    assert [len(side) for side in stacks] == [2, 4]  # twice as many draws as in a round
    assert not out.with_suffix(".png").exists()  # the caller draws it
    assert out.with_suffix(".md").read_text().startswith("| property |")
    assert any(line.startswith("likeness") for line in lines)
    poor = {line for line in lines if line.startswith("warning: poor fit: ")}
    head = out.read_text().split("dataset =")[0].replace("# Poor fit", "warning: poor fit")
    assert set() < poor < {*head.splitlines()}


def test_mistakes_are_named(folder, tmp_path, toy_simulator):
    refused(r"ends with \.toml", calibrate, "spheroid", folder, tmp_path / "mine.json")
    write(folder / "images/s0.tif", Volume(np.ones((30, 48, 48), np.uint16), (2, 1, 1)))
    refused("dataset to calibrate", simulator, "folder")
    refused("one kind of images at a time", calibrate, "spheroid", folder, tmp_path / "mine.toml")
