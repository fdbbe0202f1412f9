from dataclasses import replace

import numpy as np
import pytest
import torch
from mistakes import refused
from training_data import simulated_folder
from trainings import cases_of, short, written

from cytosuite.algorithms.cellpose3d.training.train import (
    TRAINING,
    Settings,
)
from cytosuite.contract.manifest import parse
from cytosuite.files import read_toml
from cytosuite.training.publish import ALGORITHMS


def test_the_card_describes_nuclei(tmp_path):
    settings = short("cellpose3d")
    cases = cases_of("cellpose3d", written("cellpose3d", tmp_path), settings)
    description = dict(TRAINING.describe(cases, settings))
    assert 5 < description.pop("diameter_um") < 9
    assert description == {"axes": "ZYX", "channel": "nucleus", "spacing": [2.0, 0.8, 0.8]}
    empty = [replace(case, diameters_um=np.zeros(0)) for case in cases["images"]]
    message = "expected objects in the labels of this image or of another one to train on"
    refused(message, TRAINING.describe, {"images": empty}, settings)


def test_held_out_nuclei_end_where_the_card_cuts_them(tmp_path):
    settings = short("cellpose3d", card={"parameters": {"tau": 0.2}})
    (case,) = TRAINING.load(simulated_folder(tmp_path, 1), "images", settings)
    scene = TRAINING.held_out(case, 0, settings)
    (image,), truth = scene.inputs.values(), scene.truth.array
    seen = np.isin(case.labels, truth[truth > 0])
    np.testing.assert_array_equal(truth > 0, seen & (case.level > 255 * 0.2))
    assert 0 < np.count_nonzero(truth) < np.count_nonzero(case.labels)
    assert (image.spacing, image.metadata) == ((2.0, 0.8, 0.8), {})


def test_masks_of_all_nuclei_and_sizes_of_voxels_are_doubted(tmp_path):
    settings = short("cellpose3d")
    (case,) = TRAINING.load(simulated_folder(tmp_path, 1), "images", settings)
    pieces = (case.labels == 1) | np.roll(case.labels == 2, 9, -1)
    masked = TRAINING.notes({"images": [replace(case, labels=pieces)]}, settings)
    (line,) = {*masked} - {*TRAINING.notes({"images": [case]}, settings)}
    assert line.startswith("a mask in place of labels?: 2 pieces have one number")
    bare = replace(case, has_size=False, spacing=(1.0, 0.8, 0.8))
    unknown, several = TRAINING.notes({"images": [case, bare]}, settings)[-2:]
    assert unknown.startswith("1 of 2 images give no voxel size: 1 µm is assumed (card.")
    assert several.startswith("voxels of several sizes, [1.5, 0.8, 0.8] µm in the median")


def test_data_are_checked_before_they_are_simulated(tmp_path):
    settings = short("cellpose3d")
    learnable = {"output": {"steps": True, "channel": "nucleus"}, "labels": {"style": "visible"}}
    TRAINING.check(learnable, "images", settings)
    refused(f"{tmp_path}: expected images/", TRAINING.check, tmp_path, "images", settings)
    remedy = 'add SET="output.channel=nucleus output.steps=true labels.style=visible"'
    refused(
        remedy, TRAINING.check, {"output": {}, "labels": {"style": "shape"}}, "images", settings
    )


HERE = ALGORITHMS / "cellpose3d/training"


def test_the_published_fine_tuning_descends_at_its_own_rates():
    path = HERE / "published_finetune.toml"
    settings = parse(path, read_toml(path), Settings).with_schedule(steps=1000, epochs=500)
    _, optimisers = TRAINING.build(settings)
    (descent,) = optimisers.values()
    assert isinstance(descent, torch.optim.SGD)
    assert {group["momentum"] for group in descent.param_groups} == {0.9}
    assert {group["weight_decay"] for group in descent.param_groups} == {0.0, 1e-5}
    # A list per epoch: 10 rising rates, 400 equal ones, then 10 at each half.
    rates = [0.2 * n / 9 for n in range(10)] + [0.2] * 400
    rates += [0.2 / 2**n for n in range(1, 10) for _ in range(10)]
    actual = [settings.schedule.rate(step) for step in range(1000)]
    assert actual[::2] == actual[1::2] == pytest.approx(rates)
    short = settings.with_schedule(steps=250, epochs=250).schedule
    assert [short.rate(step) for step in range(10, 250)] == [0.2] * 240


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('channel = "membrane"', 'channel = "wall"', "channel.*'membrane' or 'cytoplasm'.*wall"),
        ("steps = 2800", "step = 2800", r"schedule\.step is not a known key; .*'steps'"),
        ("[32, 64, 64]", "[32, 64, 72]", r"multiples of \[8, 16, 16\].*found \[32, 64, 72\]"),
        ("[32, 64, 64]", "[32, 64, 80]", "as long in y as in x"),
        ("[network]", "[network]\ndimensions = 2", "must begin with 1 for a network of planes"),
    ],
)
def test_explains_the_place_of_a_mistake(tmp_path, old, new, message):
    path = tmp_path / "t.toml"
    text = (HERE / "cells.toml").read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    refused(message, parse, path, read_toml(path), Settings)
