import json
import tomllib

import numpy as np
import pytest

from cytosuite.datasets.calibration import calibrate as module
from cytosuite.datasets.calibration.calibrate import calibrate, simulator
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.manifest import read_recipe
from cytosuite.volume import Volume

pytestmark = pytest.mark.slow

TRUE = {
    "nucleus": {"diameter_um": 10.0},
    "camera": {"photons": 40.0, "background_photons": 0.5, "gain": 4.0, "offset": 100.0},
}


@pytest.fixture
def folder(tmp_path, toy):
    """Three stacks of the toy microscope, two of them annotated."""
    for seed in range(3):
        image, labels = toy(TRUE, seed)
        write(tmp_path / "real" / "images" / f"s{seed}.tif", image)
        if seed < 2:
            write(tmp_path / "real" / "labels" / f"s{seed}.tif", Volume(labels, image.spacing))
    return tmp_path / "real"


@pytest.fixture
def toy_simulator(monkeypatch, toy):
    def simulate(values, seed):
        return toy({**TRUE, **{k: TRUE[k] | values.get(k, {}) for k in TRUE}}, seed)

    monkeypatch.setattr(module, "simulator", lambda name: simulate)


def test_a_folder_becomes_a_recipe(folder, tmp_path, toy_simulator):
    lines = []
    path, stacks = tmp_path / "mine.toml", []

    def draw_strip(picture, real, simulated):
        assert picture == path.with_suffix(".png")
        stacks.extend([real, simulated])

    settings = {"rounds": 4, "cases": 2, "say": lines.append, "draw_strip": draw_strip}
    out = calibrate("spheroid", folder, path, **settings)
    recipe = read_recipe(out)
    assert recipe.dataset == "spheroid"
    assert np.mean(recipe.parameters["nucleus"]["diameter_um"]) == pytest.approx(10, rel=0.15)
    assert recipe.parameters["camera"]["gain"] == pytest.approx(4, rel=0.15)
    assert "photons = [" in out.read_text()
    assert "# signal " in out.read_text()
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["files"] == ["s0", "s1"]  # the annotated ones
    assert len(record["sha256"]) == 64
    assert record["real"]["annotated"] == 2
    assert record["table"][0]["name"] == "grey_inside"
    assert len(stacks) == 2
    assert [len(side) for side in stacks] == [2, 4]  # twice as many draws as in a round
    assert not out.with_suffix(".png").exists()  # the caller draws it
    assert out.with_suffix(".md").read_text().startswith("| realism |")
    assert any(line.startswith("likeness") for line in lines)


def test_same_seed_same_files(folder, tmp_path, toy_simulator):
    outs = [tmp_path / name / "mine.toml" for name in ("a", "b")]
    for out in outs:
        calibrate("spheroid", folder, out, rounds=2, cases=1, seed=3)
    for suffix in (".toml", ".json", ".md"):
        first, second = (out.with_suffix(suffix).read_bytes() for out in outs)
        assert first == second


def test_stacks_seen_from_the_other_side_stay_as_they_are(folder, tmp_path, toy_simulator):
    ramp = np.exp(0.05 * np.arange(30))[:, None, None]
    for path in (folder / "images").iterdir():
        image = module.load(module.collect(folder).items[0]).volume("microscopy-image")
        lit = (100 + (image.array.astype(float) - 100) * ramp).round().clip(0, 65535)
        write(path, Volume(lit.astype(np.uint16), image.spacing))
    out = calibrate("spheroid", folder, tmp_path / "mine.toml", rounds=1, cases=1)
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["real"]["per_stack"]["dimming"][1] < 0
    assert read_recipe(out).parameters["optics"]["objective"] == "last"


def test_what_a_fit_does_not_catch_is_said(folder, tmp_path, monkeypatch, toy):
    def far_off(values, seed):
        return toy(TRUE | {"nucleus": {"diameter_um": 6.0}}, seed)  # turns no knob of size

    monkeypatch.setattr(module, "simulator", lambda name: far_off)
    lines = []
    out = calibrate("spheroid", folder, tmp_path / "m.toml", rounds=1, cases=2, say=lines.append)
    said = [line for line in lines if line.startswith("warning: poor fit: ")]
    assert any("median volume" in line for line in said)
    head = out.read_text().split("dataset =")[0]
    assert "# Poor fit: median volume of simulated objects is 0." in head
    assert json.loads(out.with_suffix(".json").read_text())["realism"]["after"]["size"] < 0.5


def test_images_are_chosen_by_name(folder, tmp_path, toy_simulator):
    out = calibrate("spheroid", folder, tmp_path / "m.toml", rounds=1, cases=1, pattern="*1")
    assert json.loads(out.with_suffix(".json").read_text())["files"] == ["s1"]
    with pytest.raises(InputError, match=r"no image is named like 'x\*'"):
        calibrate("spheroid", folder, out, pattern="x*")


def test_one_voxel_size_at_a_time(folder, tmp_path, toy_simulator):
    write(folder / "images" / "s0.tif", Volume(np.ones((30, 48, 48), np.uint16), (2, 1, 1)))
    with pytest.raises(InputError, match="one kind of images at a time"):
        calibrate("spheroid", folder, tmp_path / "mine.toml")


def test_voxel_sizes_must_be_known(tmp_path, toy, toy_simulator):
    image, _ = toy(TRUE, 0)
    unknown = Volume(image.array, image.spacing, "ZYX", {"spacing_source": "assumed"})
    write(tmp_path / "images" / "a.tif", unknown)
    with pytest.raises(InputError, match="gives no voxel size"):
        calibrate("spheroid", tmp_path, tmp_path / "mine.toml")
    settings = {"spacing": (2.0, 1.0, 1.0), "rounds": 1, "cases": 1}
    out = calibrate("spheroid", tmp_path, tmp_path / "mine.toml", **settings)
    assert read_recipe(out).parameters["image"]["spacing_um"] == [2.0, 1.0, 1.0]


def test_flat_images_are_refused(tmp_path, toy_simulator):
    write(tmp_path / "images" / "a.tif", Volume(np.ones((40, 40), np.uint16), (1, 1), "YX"))
    with pytest.raises(InputError, match="needs 3D stacks"):
        calibrate("spheroid", tmp_path, tmp_path / "mine.toml")


def test_recipes_are_toml(folder, tmp_path):
    with pytest.raises(InputError, match=r"ends with \.toml"):
        calibrate("spheroid", folder, tmp_path / "mine.json")


def test_only_simulators_can_be_calibrated():
    for name in ("folder", "spheriod"):
        with pytest.raises(InputError, match="dataset to calibrate"):
            simulator(name)


def test_the_spheroid_simulator_is_called_with_sections():
    values = {
        "image": {"shape": [16, 48, 48], "spacing_um": [2.0, 1.0, 1.0], "oversampling": [1, 1, 1]},
        "tissue": {"n_nuclei": 3, "width_um": 30.0},
        "camera": {"photons": 30.0, "offset": 50.0},
    }
    first, same = (simulator("spheroid")(values, 4) for _ in range(2))
    image, labels = first
    assert image.shape == labels.shape == (16, 48, 48)
    assert labels.max() == 3
    assert (image.array == same[0].array).all()


def test_written_recipes_hold_no_other_keys(folder, tmp_path, toy_simulator):
    out = calibrate("spheroid", folder, tmp_path / "mine.toml", rounds=1, cases=1)
    assert set(tomllib.loads(out.read_text())) == {
        "dataset",
        "title",
        "description",
        "cases",
        "parameters",
    }
