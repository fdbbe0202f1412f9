"""Curves of realism and fidelity: whole runs with tiny networks on drawn images, and their parts."""

import json
from hashlib import sha256
from pathlib import Path

import diffusion_curves as script
import diffusion_rows as kept
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from cytosuite.algorithms.diffusion.network import DenoiserArguments, build
from cytosuite.algorithms.diffusion.parameters import Parameters
from cytosuite.algorithms.diffusion.synthesise import Process
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.network import tensors_of
from cytosuite.volume import Volume

SPACING = (2.0, 0.8, 0.8)
SHAPE = {3: (10, 48, 44), 2: (52, 60)}
AXES = {3: "ZYX", 2: "YX"}
TARGET = {"mean": 100.0, "sd": 5.0, "dtype": "uint16"}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _one_thread():
    """Compute in one thread: small tensors are faster so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _pair(number, dimensions=3):
    """Return a drawn image and its labels."""
    rng = np.random.default_rng(number)
    shape = SHAPE[dimensions]
    grid = np.indices(shape).astype(np.float32)
    labels = np.zeros(shape, np.uint16)
    for label, (y, x) in enumerate([(0.25, 0.3), (0.3, 0.75), (0.72, 0.5)], 1):
        centre = [0.5 * n for n in shape[:-2]] + [y * shape[-2], x * shape[-1]]
        size = zip(grid, centre, SPACING[-dimensions:], strict=True)
        labels[sum(((g - c) * s) ** 2 for g, c, s in size) < 26 + 4 * rng.random()] = label
    image = rng.normal(100 + 90 * (labels > 0), 8).clip(0).astype(np.uint16)
    return tuple(
        Volume(a, SPACING[-dimensions:], AXES[dimensions], {"channel": "nucleus"})
        for a in (image, labels)
    )


def _folder(folder, dimensions=3, cases=2):
    """Write images and labels."""
    for number in range(cases):
        for place, each in zip(("images", "labels"), _pair(number, dimensions), strict=True):
            write(folder / place / f"n_{number}.tif", each)
    return folder


def _card(folder, dimensions=3, **process):
    """Write a card with a tiny network of random weights."""
    torch.manual_seed(0)
    arguments = DenoiserArguments(dimensions=dimensions, widths=(4, 6), embedding=8)
    network = build(arguments)
    torch.nn.init.normal_(next(network.tail.parameters()), std=0.05)
    folder.mkdir(exist_ok=True)
    path = folder / "tiny.safetensors"
    save_file({key: each.contiguous() for key, each in tensors_of(network).items()}, path)
    card = {
        "name": "tiny",
        "version": "0.1.0",
        "algorithm": "diffusion",
        "task": "synthesise",
        "description": "Random weights.",
        "authors": "nobody",
        "license": "Apache-2.0",
        "describes": {"axes": AXES[dimensions]},
        "parameters": {
            "target": TARGET,
            "process": {"steps": 3, "t_start": 600, **process},
            "network": arguments.model_dump(mode="json"),
        },
        "weights": path.name,
        "sha256": sha256(path.read_bytes()).hexdigest(),
    }
    (folder / "tiny.json").write_text(json.dumps(card))
    return folder / "tiny.json"


def _few(monkeypatch):
    """Measure few settings."""
    for name, value in {
        "STEPS": (2, 3),
        "STARTS": (200, 600),
        "PUBLISHED": kept.PUBLISHED._replace(steps=4),
    }.items():
        for module in (script, kept):
            monkeypatch.setattr(module, name, value)


def _lines(text):
    """Return the cells of the table by setting."""
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    names = [name.strip("| ") for name in rows[0]]
    return {
        row[0].strip("| "): dict(zip(names, [c.strip("| ") for c in row], strict=True))
        for row in rows[1:]
    }


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that runs the script on a card and drawn images of some dimensions."""
    _few(monkeypatch)

    def run(dimensions, *words):
        card = _card(tmp_path / "weights", dimensions)
        real = _folder(tmp_path / f"real-{dimensions}", dimensions)
        out = ["--out", str(tmp_path / "out")]
        script.main([str(card), str(real), *out, *words])
        return _lines(capsys.readouterr().out)

    return run


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_run_measures_every_setting_once(dimensions, run, tmp_path):
    found = run(dimensions)
    settings = ["dpm 2 from 600", "dpm 3 from 600", "dpm 3 from 200", "published"]
    assert list(found) == ["real", "plain", *settings]
    for name in ("plain", *settings):
        assert 0 < float(found[name]["W1_by_std"]) < 20
        assert float(found[name]["lateral_spectrum_distance"]) > 0
        assert 0 <= float(found[name]["SEG"]) <= 1
        assert (found[name]["patch_KID"] == "-") == (dimensions == 2)
    assert float(found["plain"]["label_AUC"]) > 0.9
    assert float(found["real"]["label_AUC"]) > 0.99
    assert float(found["real"]["SEG"]) > 0.5
    passes = {name: float(row["passes"]) for name, row in found.items()}
    assert passes == dict.fromkeys(("real", "plain"), 0) | dict(
        zip(settings, (2, 3, 3, 4), strict=True)
    )
    voxels = np.prod(SHAPE[dimensions])
    assert float(found["dpm 2 from 600"]["voxels"]) == pytest.approx(2 * voxels, rel=0.01)
    with Image.open(tmp_path / "out" / "curves.png") as picture:
        colours = {tuple(c) for c in np.asarray(picture).reshape(-1, 3)[::7]}
    assert len(colours) > 5


@pytest.mark.slow
def test_rows_that_are_known_are_kept_and_missing_ones_added(run, tmp_path, monkeypatch):
    first, path = run(3), tmp_path / "out" / "curves.csv"
    rows = kept.read_rows(path)
    asked = []
    inner = script.measured
    monkeypatch.setattr(
        script, "measured", lambda e, s, seed: asked.append((s.name, seed)) or inner(e, s, seed)
    )
    assert run(3) == first
    assert asked == []
    kept.write_rows(path, [row for row in rows if row["setting"] != "plain"])
    assert run(3)["plain"]["SEG"] == first["plain"]["SEG"]
    assert asked == [("plain", 0)]
    more = run(3, "--seeds", "2")
    assert asked[1:] == [(name, 1) for name in first if name != "real"]
    assert "±" in more["dpm 2 from 600"]["W1_by_std"]
    assert "±" not in more["real"]["W1_by_std"]
    assert len(kept.read_rows(path)) == 2 * len(rows) - 1


@pytest.mark.slow
def test_rows_of_other_images_are_kept_but_not_shown(run, tmp_path):
    run(3)
    before = kept.read_rows(tmp_path / "out" / "curves.csv")
    run(3, "--middle", "8,40,40", "--names", "n_1")
    after = kept.read_rows(tmp_path / "out" / "curves.csv")
    assert after[: len(before)] == before
    assert {row["images"] for row in after[len(before) :]} == {"1"}
    assert len({row["key"] for row in after}) == 2


def test_all_published_settings_and_sweeps_are_measured(capsys):
    process = Process(t_start=1000, steps=20)
    found = script.settings_of(process)
    assert found[:2] == [kept.REAL, kept.PLAIN]
    assert kept.PUBLISHED in found
    assert kept.PUBLISHED[1:] == ("ddpm", 400, 400)
    assert {s.steps for s in found if s.start == 1000} == {5, 10, 20, 50, 100, 400}
    assert {s.start for s in found if (s.solver, s.steps) == ("dpm", 20)} == set(script.STARTS)
    assert len({s.name for s in found}) == len(found) == 2 + 6 + 6 - 1 + 1
    assert [s.steps for s in found] == sorted(s.steps for s in found)
    assert capsys.readouterr().err == ""


def test_settings_that_a_schedule_has_not_are_left_out_and_named(capsys):
    found = script.settings_of(Process(schedule={"length": 300}, t_start=100, steps=8))
    assert {s.start for s in found if s.solver} == {100, 200}
    assert {s.steps for s in found if s.start == 100} == {5, 8, 10, 20, 50, 100}
    left = capsys.readouterr().err
    assert "dpm 400 from 100, dpm 8 from 400, dpm 8 from 600" in left
    assert "published" in left


def test_a_setting_replaces_steps_and_start_alone():
    given = Parameters(
        network=DenoiserArguments(widths=(4, 6)),
        process={"signal": 0.5, "blur": 2.0, "range": (-1, 3)},
        target=TARGET,
    )
    found = script.changed(given, kept.Setting("", "ddpm", 7, 300)).process
    assert (found.solver, found.steps, found.start, found.signal) == ("ddpm", 7, 300, None)
    same = {"solver": "dpm", "steps": 20, "t_start": None, "signal": 0.5}
    assert found.model_copy(update=same) == given.process
    assert given.process.steps == 20


@pytest.fixture
def experiment(tmp_path):
    """Return an experiment on drawn volumes."""
    model = script.opened(_card(tmp_path / "weights"))
    parameters = script.parameters_of(model.card, Parameters)
    network = script.load(parameters.network.model_dump(mode="json"), model.weights)
    stacks = {name: _pair(number) for number, name in enumerate("abcd")}
    return script.Experiment(
        parameters, network, stacks, script.segmenter_of("watershed", None, "ZYX")
    )


def test_images_have_noise_of_their_own_and_are_the_same_again(experiment):
    setting = kept.Setting("", "dpm", 2, 600)
    first, again, other = (script.made(experiment, setting, seed)[0] for seed in (0, 0, 1))
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.array, same.array)
    planes = [each.array[0].astype(float).ravel() for each in (*first, *other)]
    likeness = np.corrcoef(planes) - np.eye(len(planes))
    assert likeness.max() < 0.9


def test_the_real_images_are_at_distance_zero_of_themselves_and_brighter_ones_are_not(experiment):
    stacks = experiment.stacks
    bright = {name: (i.like(i.array * 3), labels) for name, (i, labels) in stacks.items()}
    same, other = script.realism(stacks, stacks), script.realism(stacks, bright)
    assert same[:2] == pytest.approx([0, 0], abs=1e-9)
    assert other[0] > 1
    assert other[2] > same[2]
    assert np.isnan(script.realism(stacks, {})).all()


def test_volumes_smaller_than_a_patch_have_no_kernel_distance(experiment, capsys):
    small = script.cut(experiment.stacks, ["*"], (4, 20, 20), "ZYX")
    found = script.realism(small, small)
    assert np.isfinite(found[:2]).all()
    assert np.isnan(found[2])
    assert "patch_KID left out: a stack of (4, 20, 20)" in capsys.readouterr().err


def test_fidelity_is_that_of_the_segmenter_and_of_the_labels(experiment, monkeypatch):
    labels = [labels for _, labels in experiment.stacks.values()]
    by_image = {id(each): each for each in labels}
    monkeypatch.setattr(script, "labels_of", lambda image, model: by_image[id(image)].array)
    assert script.fidelity(labels, experiment) == pytest.approx([1, 1, 1, 1])
    monkeypatch.setattr(script, "labels_of", lambda image, model: np.zeros_like(image.array))
    dark = [each.like(0 * each.array) for each in labels]
    assert script.fidelity(dark, experiment) == pytest.approx([0.5, 0, 0, 0])


def test_the_middle_is_cut_from_image_and_labels_alike():
    grid = np.arange(10 * 20 * 30, dtype=np.uint16).reshape(10, 20, 30)
    stacks = {"a_1": (Volume(grid, SPACING), Volume(grid, SPACING)), "b_1": _pair(0)}
    image, labels = script.cut(stacks, ["a*"], (4, 50, 10), "ZYX")["a_1"]
    np.testing.assert_array_equal(image.array, grid[3:7, :, 10:20])
    np.testing.assert_array_equal(labels.array, image.array)
    assert script.cut(stacks, ["a*"], (), "ZYX")["a_1"][0].shape == grid.shape
    assert script.cut(stacks, ["a*"], (6, 7), "ZYX")["a_1"][0].shape == (10, 6, 7)


def test_planes_take_the_last_numbers_of_a_middle():
    found = script.cut({"p": _pair(0, 2)}, ["*"], (9, 20, 30), "YX")
    assert found["p"][0].shape == found["p"][1].shape == (20, 30)


def test_cells_hold_what_is_known():
    nan = float("nan")
    assert kept.cell([nan]) == "-"
    assert kept.cell([0.25, nan]) == "0.250"
    assert kept.cell([1, 3]) == "2.000 ± 1.414"
    assert np.isnan(kept.mean([nan]))


def test_the_digest_knows_images_labels_and_voxel_size():
    image, labels = _pair(0)
    other = Volume(image.array, (1.0, 1.0, 1.0), "ZYX")
    found = {script.digest_of(*pair) for pair in [(image, labels), (labels, image)]}
    found |= {script.digest_of(other, labels), script.digest_of(image, labels)}
    assert len(found) == 3


def _refused(words):
    with pytest.raises(InputError) as error:
        script.main([str(word) for word in words])
    return str(error.value)


def test_mistakes_are_one_line_each(tmp_path, capsys):
    card, real = _card(tmp_path / "weights"), _folder(tmp_path / "real", cases=1)
    planes = _folder(tmp_path / "planes", 2, cases=1)
    plain = ROOT / "weights" / "diffusion" / "plain-sketch.json"
    watershed = ROOT / "weights" / "watershed" / "nuclei-2d.json"
    out = ["--out", tmp_path / "out"]
    assert "expected a card with a network" in _refused([plain, real, *out])
    assert "expected a card of diffusion, found one of watershed" in _refused([watershed, real])
    assert "no such model card" in _refused([tmp_path / "none.json", real])
    assert "expected the axes ZYX of the card, found YX" in _refused([card, planes, *out])
    assert "expected names like x*, found n_0" in _refused([card, real, "--names", "x*", *out])
    assert "at least 1" in _refused([card, real, "--seeds", "0"])
    assert "no model called" in _refused([card, real, "--segmenter-model", "none", *out])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "curves.csv").write_text("a,b\n1,2\n")
    assert "expected the columns key, setting" in _refused([card, real, *out])
    with pytest.raises(InputError, match="no model for YX"):
        script.segmenter_of("cellpose3d", None, "YX")
    with pytest.raises(SystemExit):
        script.main([str(card), str(real), "--middle", "0,3"])
    assert "--middle" in capsys.readouterr().err
    assert (tmp_path / "out" / "curves.csv").read_text() == "a,b\n1,2\n"
