import json

import pytest
from mistakes import refused

from cytosuite.algorithms.cyclegan3d.training.published import LARGEST, divide, translate
from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.contract.manifest import parse
from cytosuite.files import read_toml, write_text
from cytosuite.training.publish import ALGORITHMS

FIRST = """
# keys of the first program, with the values of its template
{
  experiment: mine        # the rest of a line without quotes is text
  dataset_folder: nowhere/at/all
  mode: train
  direction: BtoA
  direction_inference: BtoA
  save_model_every_x_epochs: 500
  resume_training: 0, epoch_count: 0   // several on a line
  norm: instance
  netG: resnet_9blocks
  discriminator: "PatchGANDiscriminator"
  ngf: 64, batch_size: 1, pool_size: 50
  learning_rate: 2e-4
  learning_rate_fix: 3500
  learning_rate_decay: 3500
  train_d_every_x: 2
  lambda_identity: 0.5
  lambda_cycle_A: 10
  lambda_cycle_B: 10.0
  img_dim: 3 /* not 2 */
  A_nc: 1
  B_nc: 1
  crop_size: [32, 256, 256]
  preprocess: 'crop'
  inf_patch_size: [32, 256, 256]
  inf_patch_overlap: 0.5
}
"""


@pytest.fixture
def written(tmp_path):
    """Return a function that writes settings, as text or as keys, and translates them."""

    def write(content, data=None):
        path = tmp_path / "settings.hjson"
        path.write_text(
            content if isinstance(content, str) else json.dumps(content), encoding="utf-8"
        )
        values, notes = translate(path, data or {})
        return parse(path, values, Settings), notes

    return write


def _volumes(folder, names):
    for name in names:
        write_text(folder / name, "")


def _about(notes, start):
    return [note for note in notes if note.startswith(start)]


def test_the_shipped_settings_are_the_translated_template(written):
    path = ALGORITHMS / "cyclegan3d/training/published.toml"
    assert parse(path, read_toml(path), Settings) == written(FIRST)[0]
    assert "10.1371/journal.pone.0283828" in path.read_text()


def test_an_epoch_is_one_step_for_each_batch_of_the_images_that_are_given(written, tmp_path):
    root = tmp_path / "data"
    _volumes(root / "trainB", ["c.tif", "deep/er/b.TIF", "a.tiff", "notes.txt", ".hidden.tif"])
    _volumes(root / "trainA", [f"{n}.tif" for n in range(7)])
    _volumes(tmp_path / "Data/trainB", ["lost.tif"])
    data = {role: [folder] for role, folder in divide(root).items()}
    keys = {"dataset_folder": "./Data", "learning_rate_fix": 10, "learning_rate_decay": 5}
    settings, notes = written({**keys, "batch_size": 2, "save_model_every_x_epochs": 4}, data)
    assert (settings.schedule.steps, settings.schedule.checkpoint) == (15 * 2, 4 * 2)
    assert "15 epochs of 2 steps, from 3 simulated images" in _about(notes, "schedule.steps")[0]
    assert "--data" in _about(notes, "dataset_folder")[0]
    backwards = {**keys, "direction": "AtoB", "direction_inference": "BtoA"}
    assert written(backwards, data)[0].schedule.steps == 15 * 7
    for passes, steps in [(1.5, 15 * 4), (1.6, 15 * 5), (None, 15 * 3)]:  # 4.5 to even
        settings, _ = written({**keys, "virtual_dataset_multiplicator": passes}, data)
        assert settings.schedule.steps == steps
    twice = {"simulated": [root / "trainB"] * 2, "real": [root / "trainA"]}
    assert written(keys, twice)[0].schedule.steps == 15 * 6


@pytest.mark.parametrize(
    "direction, name, model",
    [("BtoA", "inferenceB", "NAME"), ("AtoB", "inferenceA", "NAME-back")],
)
def test_an_inference_is_refused_with_the_command_for_its_images(
    written, tmp_path, direction, name, model
):
    _volumes(tmp_path, ["trainA/r.tif", "trainB/s.tif", "inferenceA/r.tif", "inferenceB/s.tif"])
    assert divide(tmp_path) == {"simulated": tmp_path / "trainB", "real": tmp_path / "trainA"}
    keys = {"mode": "inference", "direction": "BtoA", "direction_inference": direction}
    for data in (divide(tmp_path), {"simulated": tmp_path}):
        refused(
            f"cytosuite apply {tmp_path / name} .* {model}$",
            written,
            keys,
            {role: [folder] for role, folder in data.items()},
        )


@pytest.mark.parametrize("crop", [[64, 32], [1, 64, 32]])
def test_settings_of_planes_are_those_of_volumes_with_mirrored_borders(written, crop):
    settings, _ = written({"img_dim": 2, "crop_size": crop})
    assert settings.crops.shape == (1, 64, 32)
    planes = {"dimensions": 2, "padding": "reflect"}
    assert settings.network == written(FIRST)[0].network.model_copy(update=planes)


def test_the_second_program_differs_in_its_template_and_its_keys(written):
    first, old = written({"ngf": 64})
    second, new = written({"ngf": 64, "no_timestamp": False})
    assert (first.loss.identity, second.loss.identity) == (0.5, 10.0)
    assert (first.loss.judge_every, second.loss.judge_every) == (2, 1)
    assert (first.schedule.steps, second.schedule.steps) == (7000, 6000)
    assert first.network == second.network  # netG, with 6 blocks in its template, is not read
    assert _about(old, "mended")
    assert not _about(new, "mended")
    missing = _about(new, "not given")[0]
    assert "virtual_dataset_multiplicator" in missing
    assert "ngf" not in missing
    assert "virtual_dataset_multiplicator" not in _about(old, "not given")[0]


@pytest.mark.parametrize("fixed, falling", [(150, 50), (200, 0)])
def test_the_rate_is_held_and_falls_as_published(written, fixed, falling):
    keys = {"learning_rate_fix": fixed, "learning_rate_decay": falling, "learning_rate": 1e-3}
    schedule = written(keys)[0].schedule
    published = [1e-3 * (1 - max(0, epoch - fixed) / (falling + 1)) for epoch in range(200)]
    rates = [schedule.rate(step) for step in range(200)]
    # Theirs ends two epochs' falls above zero.
    assert rates == pytest.approx(published, abs=1e-3 * 2 / (falling + 1) + 1e-7)


def test_a_key_of_nobody_is_noted_and_a_misspelt_one_refused(written):
    _, notes = written({"ngf": 64, "colour": "red", "\x1b[31m": 1})
    assert "published programs do not read it either" in _about(notes, "colour")[0]
    assert all(note.isprintable() for note in notes)
    refused(
        "crop_sise is not a known key; did you mean 'crop_size'",
        written,
        {"ngf": 64, "crop_sise": [32, 64, 64]},
    )
    assert written({"crop_size": [32, 64, 64], "crop_sise": 0})[0].crops.shape == (32, 64, 64)


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("ngf", "many", "ngf: input should be a valid integer, found 'many'"),
        ("img_dim", 2, r"crop_size: must be y x or 1 y x .*found \[32, 256, 256\]"),
        (
            "crop_size",
            [32, 250, 256],
            r"crop_size: must be multiples of 4 .*found \[32, 250, 256\]",
        ),
        ("A_nc", 2, "A_nc and B_nc must be equal, .*found 2 and 1"),
    ],
)
def test_explains_a_value_that_cannot_be(written, tmp_path, key, value, message):
    raised = refused(message, written, {"B_nc": 1, key: value})
    assert str(raised).startswith(f"{tmp_path / 'settings.hjson'}: ")


@pytest.mark.parametrize(
    "text, message",
    {
        "learning_rate_fix: 0, learning_rate_decay: 0": r"learning_rate_fix \+ learning_rate_decay must be 1",
        "": "expected keys of the published CycleGAN.*found none",
        "{one: 1, two: 2}": "expected keys of the published.*found one, two;",
        "ngf: 64\nngf: 32": "expected HJSON, found the name 'ngf' twice in one object",
        "ngf: 64 /* filters": "expected HJSON, found a comment or text without end",
        "[1, 2]": "expected keys and values in HJSON, found a single list",
        "ngf: " + "[" * 10000: "expected HJSON, found too many levels",
        "ngf: 64\n" + "#" * LARGEST: "settings have at most",
    }.items(),
)
def test_explains_a_file_that_holds_no_such_settings(written, text, message):
    refused(message, written, text)


def test_a_half_without_the_other_is_refused_with_a_remedy(tmp_path):
    (tmp_path / "trainA").mkdir()
    (tmp_path / "trainB").touch()
    refused("found only trainA; add the other, .*--data real=", divide, tmp_path)
