from dataclasses import replace

import numpy as np
import pytest
import torch
from light_sheet import TINY
from view_pairs import SHAPE, SPACING, challenge, dataset, published, two_folders, volume

from cytosuite.algorithms.view_fusion.predict import predict
from cytosuite.algorithms.view_fusion.training.settings import Settings
from cytosuite.algorithms.view_fusion.training.train import (
    TRAINING,
    batch,
    check,
    describe,
    load,
    measure,
    remark,
)
from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.manifest import read_card
from cytosuite.tasks import VIEW
from cytosuite.training import loop
from cytosuite.training.command import training_of
from cytosuite.training.loop import begin, take_step, train
from cytosuite.training.progress import Log
from cytosuite.weights import open_model

TINY_NETWORK = TINY.model_copy(update={"inputs": ("distance", "light")}).model_dump()
VALIDATION = {"every": 2, "cases": 1, "metric": "N_SSIM", "also": ("SSIM", "PSNR", "NRMSE")}


def _settings(**given):
    """Return settings of a short training of tiny networks; sections are merged."""
    base = {
        "network": TINY_NETWORK,
        "crops": {"shape": (8, 16, 16), "batch": 2},
        "schedule": {"steps": 4, "report": 2, "checkpoint": 2, "learning_rate": 2e-3, "clip": 100},
        "card": {"description": "A test.", "authors": "nobody", "license": "Apache-2.0"},
    }
    merged = {name: {**base.get(name, {}), **section} for name, section in given.items()}
    return Settings.model_validate({**base, **merged})


def _train(settings, folder, home, name="m", training=TRAINING, **options):
    card = home / "weights" / f"{name}.json"
    return train(
        training, settings, {"pairs": [folder]}, card, work=home / f"work-{name}", **options
    )


def _cases(folder, settings):
    return {"pairs": load(folder, "pairs", settings)}


@pytest.mark.parametrize("layout", [dataset, two_folders, challenge, published])
def test_a_training_makes_a_model_that_predicts(layout, tmp_path):
    folder = layout(tmp_path / "data")
    path = _train(_settings(validation=VALIDATION), folder, tmp_path)
    card = read_card(path)
    assert (card.algorithm, card.task) == ("view_fusion", "fuse")
    assert card.parameters == {"method": "network", "network": _json(TINY_NETWORK)}
    (scores,) = card.scores.values()
    assert set(scores) == {"N_SSIM", "SSIM", "PSNR", "NRMSE"}
    view = read(next(folder.rglob("*angle*"), None) or next(folder.rglob(f"{VIEW}/*.tif")))
    (made,) = predict({VIEW: view}, open_model(path.parent, card)).values()
    assert made.array.shape == SHAPE
    assert made.metadata["view_fusion_method"] in ("network", "gaussian")


def _json(given):
    return {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}


@pytest.mark.parametrize("loss", [{"kind": "ssim"}, {"kind": "n_ssim", "similarity": 1}])
def test_the_loss_falls(loss, tmp_path):
    settings = _settings(
        loss=loss, network={"widths": (8, 16)}, schedule={"steps": 80}, crops={"batch": 4}
    )
    cases, state = _cases(dataset(tmp_path), settings), begin(TRAINING, settings, None, "cpu")
    losses = [
        take_step(TRAINING, settings, state, batch(cases, settings, step)) for step in range(80)
    ]
    assert set(losses[0]) == {"total", "similarity", "difference"}
    lost = [each["similarity"].item() for each in losses]
    assert np.mean(lost[-20:]) < 0.9 * np.mean(lost[:20])


def test_the_first_loss_is_that_of_the_view_itself(tmp_path):
    settings = _settings(loss={"kind": "n_ssim", "similarity": 1})
    cases, state = _cases(dataset(tmp_path), settings), begin(TRAINING, settings, None, "cpu")
    drawn = batch(cases, settings, 0)
    losses = take_step(TRAINING, settings, state, drawn)
    apart = np.abs(drawn["image"][:, :1] - drawn["target"]).mean()
    assert losses["similarity"].item() == pytest.approx(1, abs=1e-4)
    assert losses["total"].item() == pytest.approx(1 + apart, rel=1e-3)


def test_a_resumed_training_is_the_one_without_a_break(tmp_path, monkeypatch):
    folder = dataset(tmp_path / "data")
    settings = _settings(validation=VALIDATION)
    whole = read_card(_train(settings, folder, tmp_path, "whole"))
    kept = Log.add

    def failing(self, step, values):
        kept(self, step, values)
        if step == 4 and self.path.name == "log.csv":
            raise RuntimeError("power cut")

    monkeypatch.setattr(Log, "add", failing)
    with pytest.raises(RuntimeError, match="power cut"):
        _train(settings, folder, tmp_path, "parts")
    monkeypatch.setattr(Log, "add", kept)
    lines = []
    parts = read_card(_train(settings, folder, tmp_path, "parts", say=lines.append))
    assert "resumed after step 2 of 4" in lines
    assert parts.sha256 == whole.sha256
    assert parts.scores == whole.scores
    assert parts.baselines == whole.baselines


def test_a_training_goes_on_from_a_card(tmp_path):
    folder = dataset(tmp_path / "data")
    parent = _train(
        _settings(card={"parameters": {"sigma_px": 0.3, "least_agreement": 0.2}}), folder, tmp_path
    )
    short = _settings(schedule={"steps": 1, "learning_rate": 1e-9})
    child = read_card(_train(short, folder, tmp_path, "child", parent=parent))
    assert child.trained["parent"]["name"] == "m"
    assert (child.parameters["sigma_px"], child.parameters["least_agreement"]) == (0.3, 0.2)
    assert child.sha256 != read_card(_train(short, folder, tmp_path, "new")).sha256
    begun = begin(TRAINING, short, parent, "cpu").average
    assert any(weight.abs().sum() > 0 for weight in begun.tail.parameters())
    other = _settings(network={"fold": 1})
    with pytest.raises(InputError, match="expected the network"):
        _train(other, folder, tmp_path, "other", parent=parent)


def test_simpler_methods_stand_beside_the_scores(tmp_path):
    folder = dataset(tmp_path / "data")
    card = read_card(_train(_settings(validation=VALIDATION), folder, tmp_path))
    (scores,) = card.scores.values()
    assert set(card.baselines) == {"identity", "gaussian"}
    assert all(set(found) == set(scores) for found in card.baselines.values())
    assert card.baselines["identity"]["N_SSIM"] == 0
    assert card.baselines["gaussian"]["N_SSIM"] > 0.01
    without = read_card(_train(_settings(), folder, tmp_path, "without"))
    assert (without.scores, without.baselines) == ({}, {})
    assert without.description == "A test."


def test_a_model_that_is_worse_than_the_view_says_so(tmp_path):
    folder = dataset(tmp_path / "data")
    spoilt = _settings(validation=VALIDATION, schedule={"steps": 2, "learning_rate": 1.0})
    card = read_card(_train(spoilt, folder, tmp_path))
    (scores,) = card.scores.values()
    assert scores["N_SSIM"] < 0
    assert card.description == (
        "A test. Did not beat identity and gaussian on its held-out images: used only by name."
    )


def test_a_model_that_is_as_good_as_the_view_has_not_beaten_it(tmp_path):
    folder = dataset(tmp_path / "data")
    idle = _settings(validation=VALIDATION, schedule={"steps": 2, "learning_rate": 1e-12})
    card = read_card(_train(idle, folder, tmp_path))
    (scores,) = card.scores.values()
    assert scores["N_SSIM"] == 0
    assert "Did not beat identity and gaussian" in card.description


def test_a_model_that_beats_them_says_nothing(tmp_path):
    def perfect(state, cases, settings):
        for facts in TRAINING.validate(state, cases, settings):
            yield replace_fact(facts, "prediction", facts.get("truth"))

    def replace_fact(facts, name, value):
        sources = {
            key: (lambda key=key: facts.get(key)) for key in ("truth", "image", "data_range")
        }
        return type(facts)({**sources, name: lambda: value})

    folder = dataset(tmp_path / "data")
    training = replace(TRAINING, validate=perfect)
    settings = _settings(validation={**VALIDATION, "also": ()})
    card = read_card(_train(settings, folder, tmp_path, training=training))
    (scores,) = card.scores.values()
    assert scores == {"N_SSIM": 1.0}
    assert card.description == "A test."
    assert set(card.baselines) == {"identity", "gaussian"}


def test_the_card_describes_the_views(tmp_path):
    settings = _settings()
    cases = _cases(dataset(tmp_path), settings)
    assert describe(cases, settings) == {
        "axes": "ZYX",
        "shape": list(SHAPE),
        "spacing": list(SPACING),
        "channel": "nucleus",
        "study": 3,
    }
    assert measure(cases, settings) == {"method": "network"}
    assert remark(cases, settings) == []


def test_what_differs_among_the_views_does_not_describe_them(tmp_path):
    settings = _settings()
    cases = {
        "pairs": [
            *_cases(dataset(tmp_path / "a", 1, study=1), settings)["pairs"],
            *_cases(dataset(tmp_path / "b", 2, study=2), settings)["pairs"],
            *_cases(two_folders(tmp_path / "c", 1), settings)["pairs"],
        ]
    }
    found = describe(cases, settings)
    assert not {"channel", "study"} & set(found)
    large = replace(cases["pairs"][0], shape=(20, 60, 60), spacing=(4.0, 1.0, 1.0))
    found = describe({"pairs": [large, *cases["pairs"][:2]]}, settings)
    assert (found["shape"], found["spacing"]) == (list(SHAPE), list(SPACING))


def test_what_the_files_do_not_give_is_said(tmp_path):
    settings = _settings()
    cases = _cases(published(tmp_path / "h5"), settings)
    assert remark(cases, settings) == [
        "3 of 3 views give no voxel size [µm]: card.describes.spacing sets it"
    ]
    assert "spacing" not in describe(cases, settings)
    told = _settings(card={"describes": {"spacing": SPACING}})
    assert remark(cases, told) == []
    assert _cases(tmp_path / "h5", told)["pairs"][0].maps[0].stride == (1, 2, 2)
    assert cases["pairs"][0].maps[0].stride == (1, 1, 1)
    for role in ("angle", "fused"):
        write(tmp_path / "tif" / f"a_{role}.tif", volume(np.ones(SHAPE, np.uint16)))
    both = [*cases["pairs"], *_cases(tmp_path / "tif", settings)["pairs"]]
    assert remark({"pairs": both}, settings)[1] == (
        "1 of 4 views give no channel: card.describes.channel sets it"
    )


def test_a_folder_is_checked_before_anything_is_read(tmp_path):
    settings = _settings()
    folder = challenge(tmp_path)
    check(folder, "pairs", settings)
    check({"anything": "simulated"}, "pairs", settings)
    (folder / "image_0_membrane_fused.tif").unlink()
    with pytest.raises(InputError, match="expected its fused image"):
        check(folder, "pairs", settings)


def test_the_training_is_found_by_its_name():
    assert training_of("view_fusion") is TRAINING
    assert loop.ALGORITHMS.joinpath("view_fusion", "training", TRAINING.default).is_file()


def test_the_network_learns_to_remove_what_it_can(tmp_path):
    """In some seconds a tiny network restores part of the similarity lost in dim, noisy views."""
    folder = dataset(tmp_path / "data", 4)
    settings = _settings(
        network={"widths": (8, 16)},
        crops={"batch": 4},
        schedule={"steps": 150, "learning_rate": 2e-3, "average": 0.9, "report": 50},
        validation={**VALIDATION, "every": 150},
    )
    card = read_card(_train(settings, folder, tmp_path))
    (scores,) = card.scores.values()
    assert scores["N_SSIM"] > card.baselines["identity"]["N_SSIM"] + 0.05
    assert torch.isfinite(torch.tensor(list(scores.values()))).all()
