import tomllib
from pathlib import Path
from types import SimpleNamespace

import cyclegan3d_arms as arms
import cyclegan3d_segmenters as experiment
import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d.training.cases import find_cases
from cytosuite.benchmark.data.dataset import Case
from cytosuite.datasets.spheroid.parameters import parameters_from
from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.volume import Volume

ROOT = Path(__file__).resolve().parents[2]
RECIPE = tomllib.loads((ROOT / "datasets/spheroid/recipes/late_embryo.toml").read_text())
SPACING = (2.0, 1.0, 1.0)


def _options(tmp_path, **more):
    return experiment.Options(work=tmp_path, recipe="spheroid/late_embryo", **more)


def test_sets_differ_in_their_light_alone():
    made = {
        name: arms.parameters_of(RECIPE, name, 12)
        for arm in arms.ARMS.values()
        for name in arm.sets
    }
    assert set(made) == {"naive", "calibrated", "enhanced", "naive-enhanced", "naive-transfer"}
    parts = {name: parameters_from(recipe["parameters"]) for name, recipe in made.items()}
    for name, recipe in made.items():
        assert recipe["cases"] == 12
        assert recipe["through"] == (
            ["cyclegan3d"] if name.endswith(("enhanced", "transfer")) else []
        )
        same = ("image", "tissue", "nucleus", "labels", "debris", "output")
        for section in same:
            assert getattr(parts[name], section) == getattr(parts["calibrated"], section)
    assert parts["enhanced"] == parts["calibrated"]
    assert parts["naive"] == parts["naive-enhanced"] == parts["naive-transfer"]
    assert parts["naive"].optics == type(parts["naive"].optics)()
    assert parts["naive"].camera == type(parts["naive"].camera)()
    assert RECIPE["parameters"]["optics"]  # the recipe itself is as it was


def _case(folder, name, value):
    """Write the files of a simulated case, with one label of its own value."""
    case, labels = Case(name, folder / name), np.zeros((4, 6, 6), np.uint16)
    labels[1:3, 2:4, 2:4] = 1
    write(case.path("instance-labels"), Volume(labels, SPACING))
    write(case.path("microscopy-image"), Volume(labels * np.uint16(value), SPACING))
    for companion in ("visible-level", "step-3-light"):
        path = case.folder / "companions" / companion / f"{name}.tif"
        write(path, Volume(labels.astype(np.float32), SPACING))
    return case


@pytest.mark.parametrize(
    ("light", "target"), [(False, "level"), (False, "labels"), (True, "level")]
)
def test_a_network_learns_from_finished_images_or_from_light(tmp_path, light, target):
    cases = [_case(tmp_path / "cases", f"c{number}", 5 + number) for number in range(3)]
    arm = arms.Arm(("calibrated",), light=light)
    arms.lay_out(cases[:2], arm, tmp_path / "folder", target)
    found = find_cases(tmp_path / "folder")
    assert [files.name for files in found] == ["c0", "c1"]
    assert {files.simulated for files in found} == {light}
    assert {files.level is not None for files in found} == {target == "level"}
    if not light:
        assert [read(files.image).array.max() for files in found] == [5, 6]


def test_sets_take_turns(tmp_path):
    class Made:
        def __init__(self, name):
            self.cases = [Case(f"{n}", tmp_path / name) for n in range(5)]

    taken = arms.taking_turns([Made("a"), Made("b")])
    assert [case.name for case in taken] == ["0", "1", "2", "3", "4"]
    assert [case.folder.name for case in taken] == ["a", "b", "a", "b", "a"]
    assert len(arms.taking_turns([Made("a")])) == 5


def test_the_level_is_that_with_the_best_labels(monkeypatch):
    truth = Volume(np.array([[[1, 1, 1, 0, 2, 2]]], np.uint16), SPACING)
    monkeypatch.setattr(
        experiment,
        "labels_of",
        lambda image, model: np.where(image.array > model["tau"], truth.array, 0),
    )
    monkeypatch.setattr(experiment, "with_parameters", lambda model, **changes: changes)
    image = Volume(np.array([[[0.9, 0.4, 0.4, 0.0, 0.4, 0.4]]], np.float32), SPACING)
    assert experiment.level_for(None, [(image, truth)], False, (0.95, 0.2, 0.5)) == 0.2


def test_arms_that_need_a_model_wait_for_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "ROOT", tmp_path)
    without = ["naive", "calibrated", "calibrated, new cameras", experiment.CEILING]
    assert experiment.available([]) == without
    assert "naive, enhanced; naive, transfer" in capsys.readouterr().err
    assert experiment.available(["enhanced"]) == ["enhanced"]
    (tmp_path / "weights" / "cyclegan3d").mkdir(parents=True)
    (tmp_path / "weights" / "cyclegan3d" / "a.json").touch()
    assert experiment.available([]) == [*arms.ARMS, experiment.CEILING]


def test_a_folder_without_labels_is_refused(tmp_path):
    write(tmp_path / "images" / "a.tif", Volume(np.zeros((4, 6, 6), np.uint16), SPACING))
    with pytest.raises(InputError, match="found no annotated volume"):
        experiment.stacks_of(tmp_path)


@pytest.mark.long
@pytest.mark.slow
def test_the_experiment_runs_and_finds_its_results_again(tmp_path, capsys, monkeypatch):
    """Arms without the chain, on two simulated volumes in place of real ones."""
    options = _options(tmp_path / "real", volumes=1, held=1)
    cases = experiment.dataset_of("calibrated", options).cases
    for case, frame in zip(cases, (351, 501), strict=True):
        for place, slug in (("images", "microscopy-image"), ("labels", "instance-labels")):
            write(tmp_path / place / f"ix71_Emb01_t{frame}.tif", read(case.path(slug)))
    words = [str(tmp_path), "--work", str(tmp_path / "work"), "--smoke", "--only", "calibrated"]
    monkeypatch.setattr(experiment, "SMOKE_EVERY", 1)
    experiment.main(words)
    shown = capsys.readouterr().out
    for part in ("| watershed | with threshold |", "| calibrated | alone |", "| t 451-501 |"):
        assert part in shown
    assert len(list((tmp_path / "work" / "weights").glob("*.json"))) == 1
    assert (tmp_path / "work" / "scores.csv").is_file()

    def never(*_, **__):
        raise AssertionError("trained or segmented again")

    monkeypatch.setattr(experiment.subprocess, "run", never)
    monkeypatch.setattr(experiment, "labels_of", never)
    experiment.main(words)
    assert capsys.readouterr().out == shown


def test_each_embryo_is_judged_by_a_network_that_has_not_seen_it(tmp_path, monkeypatch):
    names = ("ix71_Emb01_t1", "ix71_Emb02_t1", "cv1000_Emb1_t1", "ix71_Emb05_t1", "ix71_Emb10_t1")
    labels = np.zeros((2, 4, 4), np.uint16)
    labels[0, 1:3, 1:3] = 1
    real = {name: (Volume(labels, SPACING), Volume(labels, SPACING)) for name in names}
    parent = SimpleNamespace(card=SimpleNamespace(name="parent"))
    monkeypatch.setattr(experiment, "networks_of", lambda name, options: ([parent, parent], []))

    def trained(name, folder, seed, options, card):
        files = sorted(path.stem for path in (folder / "images").iterdir())
        assert files == sorted(path.stem for path in (folder / "labels").iterdir())
        assert card == tmp_path / "weights" / "parent.json"
        return SimpleNamespace(card=SimpleNamespace(name=name), seen=files)

    def segmented(name, model, judged, held, options):
        assert len(held) == len(model.seen)
        assert not set(judged) & set(model.seen)
        return {variant: dict.fromkeys(judged, variant) for variant in experiment.VARIANTS}

    monkeypatch.setattr(experiment, "trained", trained)
    monkeypatch.setattr(experiment, "segmented", segmented)
    found = experiment.ceiling(real, _options(tmp_path))
    assert set(found) == {(experiment.CEILING, 0), (experiment.CEILING, 1)}
    for variants in found.values():
        for variant, made in variants.items():
            assert made == dict.fromkeys(names, variant)
