import json
import re

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from cytosuite.benchmark.commands.app import app
from cytosuite.datasets.calibration import calibrate as calibration
from cytosuite.datasets.calibration.measure import VOLUME_STATISTICS
from cytosuite.datasets.phantoms.library import read_library
from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.manifest import read_recipe
from cytosuite.volume import Volume

SMALL = "image.shape=[16, 64, 64] image.spacing_um=[2, 0.5, 0.5] tissue.n_nuclei=4"


def _run(*arguments):
    """Run a command; errors come out as they are."""
    return CliRunner().invoke(app, [str(item) for item in arguments], catch_exceptions=False)


@pytest.fixture
def stack(tmp_path):
    """Return a stack with two round nuclei and its labels."""
    z, y, x = np.indices((20, 40, 80))
    balls = [(z - 10) ** 2 + (y - 20) ** 2 + (x - c) ** 2 < 49 for c in (20, 55)]
    image = 100 + 200 * balls[0] + 400 * balls[1]
    labels = balls[0] + 2 * balls[1]
    for name, array in (("image", image), ("labels", labels)):
        write(tmp_path / f"{name}.tif", Volume(array.astype(np.uint16), (0.5, 0.5, 0.5), "ZYX"))
    return tmp_path / "image.tif", tmp_path / "labels.tif"


def test_simulate_takes_several_settings_in_one_text(tmp_path):
    out, runs = tmp_path / "out", tmp_path / "runs"
    common = ("--size", "mini", "--cases", 1, "--set", SMALL, "--out", out, "--runs", runs)
    found = _run("simulate", "spheroid", *common)
    assert found.exit_code == 0, found.output
    assert f"written: {out}" in found.output
    record = json.loads((out / "records" / "spheroid_01.json").read_text())
    assert record["recipe"]["parameters"]["image"]["shape"] == [16, 64, 64]


def test_phantoms_are_cut_from_a_stack(stack, tmp_path):
    image, labels = stack
    out = tmp_path / "library"
    found = _run("phantoms", image, "--labels", labels, "--out", out, "--copies", 1)
    assert "2 nuclei and 2 copies" in found.output
    library = read_library(out)
    assert len(library) == 4
    kept = sorted(phantom.brightness for phantom in library if "copy" not in phantom.name)
    assert kept[1] / kept[0] == pytest.approx(2.0, rel=0.02)


def test_phantoms_are_drawn_where_there_is_no_stack(tmp_path):
    found = _run("phantoms", "--drawn", 2, "--out", tmp_path / "library", "--spacing", "1,0.5,0.5")
    assert "2 nuclei" in found.output
    assert len(read_library(tmp_path / "library")) == 2


def test_phantoms_wants_a_stack_or_a_number(tmp_path):
    with pytest.raises(InputError, match="either a stack"):
        _run("phantoms", "--out", tmp_path / "library")


def test_a_published_parameter_file_becomes_a_recipe_with_its_gaps_named(tmp_path):
    path = tmp_path / "params.json"
    path.write_text(json.dumps({"dc_baseline": 15, "noise_poisson_factor": 0.5, "use_gpu_conv": 1}))
    found = _run("migrate", path, "--out", tmp_path / "old.toml")
    assert "not translated: use_gpu_conv" in found.output
    recipe = read_recipe(tmp_path / "old.toml")
    assert recipe.parameters["camera"]["offset"] == 15
    assert recipe.parameters["camera"]["gain"] == 2
    assert "# not translated: use_gpu_conv" in (tmp_path / "old.toml").read_text()


def test_calibrate_wants_a_recipe_to_write(tmp_path):
    with pytest.raises(InputError, match="ends with .toml"):
        _run("calibrate", "spheroid", tmp_path, "--out", tmp_path / "recipe.json")


def test_calibrate_takes_the_options_of_images_and_tells_its_time(stack, tmp_path, monkeypatch):
    image, labels = (read(path) for path in stack)

    def simulate(parameters, seed):
        noise = np.random.default_rng(seed).poisson(100, image.shape)
        grey = (image.array + noise).astype(np.uint16)
        return Volume(grey, parameters["image"]["spacing_um"]), labels.array

    monkeypatch.setattr(calibration, "simulator", lambda name: simulate)
    real, _ = simulate({"image": {"spacing_um": image.spacing}}, 0)
    channels = np.stack([np.zeros_like(real.array), real.array], axis=1)  # without a voxel size
    (tmp_path / "real" / "day1").mkdir(parents=True)
    meta = {"axes": "ZCYX"}
    tifffile.imwrite(tmp_path / "real" / "day1" / "a.tif", channels, imagej=True, metadata=meta)
    out, words = tmp_path / "m.toml", ["--rounds", 1, "--cases", 2, "--recursive"]
    with pytest.raises(InputError, match="give --spacing z,y,x"):
        _run("calibrate", "spheroid", tmp_path / "real", "--channel-index", 1, "--out", out, *words)
    words += ["--channel-index", 1, "--spacing", "2,0.5,0.5"]
    found = _run("calibrate", "spheroid", tmp_path / "real", "--out", out, *words).stdout
    assert read_recipe(out).parameters["image"]["spacing_um"] == [2.0, 0.5, 0.5]
    assert re.search(
        r"^10 stacks to simulate and measure, [\d.e-]+ s each: about \d+ s$", found, re.M
    )
    assert found.index("10 stacks to simulate") < found.index(
        "round 1 of 1, real against simulated:"
    )
    said = re.findall(r"(?m)^(?:round|warning: poor fit).*", found)
    assert not any(key in line for line in said for key in VOLUME_STATISTICS if "_" in key)
