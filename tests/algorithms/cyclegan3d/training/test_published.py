import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cytosuite.algorithms.cyclegan3d.network import build
from cytosuite.algorithms.cyclegan3d.training.judges import PatchJudge
from cytosuite.algorithms.cyclegan3d.training.published import LARGEST, divide, translate
from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.errors import InputError
from cytosuite.files import read_toml
from cytosuite.manifest import parse
from cytosuite.training.images import find_images
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
KEYS = json.loads("""{
  "experiment": "mine", "dataset_folder": "", "mode": "train", "direction": "AtoB",
  "direction_inference": "AtoB", "save_model_every_x_epochs": 0, "resume_training": 1,
  "epoch_count": 7, "norm": "instance", "netG": "resnet_6blocks",
  "discriminator": "PatchGANDiscriminator", "ngf": 8, "batch_size": 3, "pool_size": 2,
  "learning_rate": 0.001, "learning_rate_fix": 10, "learning_rate_decay": 0,
  "train_d_every_x": 0, "lambda_identity": 0, "lambda_cycle_A": 5, "lambda_cycle_B": 8.0,
  "img_dim": 3, "A_nc": 2, "B_nc": 2, "crop_size": [16, 64, 64], "preprocess": "crop",
  "inf_patch_size": null, "inf_patch_overlap": [0.5, 0.5, 0.5], "output_folder": "out",
  "virtual_dataset_multiplicator": 2.5, "no_timestamp": false, "time_limit": 60,
  "time_start": 1.5, "settings": "settings.hjson", "device": "cuda"
}""")
ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=9),
    st.lists(st.integers(-4, 300), max_size=4),
)


@pytest.fixture
def written(tmp_path):
    """Return a function that writes settings, as text or as keys, and translates them."""

    def write(content, data=None):
        path = tmp_path / "settings.hjson"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        found, notes = translate(path, data or {})
        return parse(path, found, Settings), notes

    return write


def _volumes(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _outcome(path):
    """Return the translation, or None, and the refusal, or an empty text."""
    try:
        return translate(path, {}), ""
    except InputError as error:
        return None, str(error)


def _about(notes, start):
    return [note for note in notes if note.startswith(start)]


def test_the_first_template_gives_the_published_networks_losses_and_crops(written):
    settings, _ = written(FIRST)
    network, judge, loss = settings.network, settings.judge, settings.loss
    assert (network.widths, network.blocks, network.kernel, network.fold) == (
        (64, 128, 256),
        9,
        7,
        1,
    )
    assert (network.norm, network.padding) == ("instance", "replicate")
    assert (network.residual, network.bounded, network.channels) == (False, True, 1)
    assert (judge.widths, judge.norm) == ((64, 128, 256, 512), "instance")
    assert (judge.first, judge.later) == ((2, 2, 2), (1, 2, 2))
    assert (settings.crops.shape, settings.crops.batch, settings.crops.alike) == (
        (32, 256, 256),
        1,
        1,
    )
    assert (loss.cycle, loss.identity, loss.structure) == (10.0, 0.5, 0.0)
    assert (loss.pool, loss.judge_every, loss.judge_rate) == (50, 2, 1.0)
    assert settings.images.scale == "dtype"
    assert settings.validation.every == 0


def test_the_shipped_settings_are_the_translated_template(written):
    path = ALGORITHMS / "cyclegan3d" / "training" / "published.toml"
    assert parse(path, read_toml(path), Settings) == written(FIRST)[0]
    assert "10.1371/journal.pone.0283828" in path.read_text()


def test_the_networks_have_the_published_numbers_of_parameters(written):
    settings, _ = written(FIRST)
    with torch.device("meta"):
        networks = (build(settings.network), PatchJudge(settings.judge))
    counts = [sum(weight.numel() for weight in each.parameters()) for each in networks]
    assert counts == [34_111_489, 11_047_873]


def test_braces_may_be_left_out_and_a_mark_of_utf_8_be_there(written):
    inside = FIRST.strip().partition("{")[2].rpartition("}")[0]
    assert written("\ufeff" + inside) == written(FIRST)


def test_notes_say_what_is_left_changed_and_mended(written):
    _, notes = written(FIRST)
    starts = [note.partition(":")[0] for note in notes]
    assert starts == [
        "experiment",
        "dataset_folder",
        "inf_patch_size",
        "inf_patch_overlap",
        "mended",
        "train_d_every_x",
        "schedule.steps",
    ]
    assert "16 bits" in _about(notes, "mended")[0]
    assert "in one of 2 steps, not in one of 2 epochs" in _about(notes, "train_d_every_x")[0]
    assert all(note.isprintable() for note in notes)


def test_an_epoch_is_one_step_for_each_batch_of_the_images_that_are_given(written, tmp_path):
    given = tmp_path / "data"
    _volumes(given / "trainB", ["c.tif", "deep/er/b.TIF", "a.tiff", "notes.txt", ".hidden.tif"])
    _volumes(given / "trainA", [f"{n}.tif" for n in range(7)])
    _volumes(tmp_path / "Data" / "trainB", ["lost.tif"])
    data = {role: [folder] for role, folder in divide(given).items()}
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
    twice = {"simulated": [given / "trainB"] * 2, "real": [given / "trainA"]}
    assert written(keys, twice)[0].schedule.steps == 15 * 6


@pytest.mark.parametrize(("direction", "name"), [("BtoA", "inferenceB"), ("AtoB", "inferenceA")])
def test_an_inference_is_refused_with_the_command_for_its_images(
    written, tmp_path, direction, name
):
    _volumes(tmp_path, ["trainA/r.tif", "trainB/s.tif", "inferenceA/r.tif", "inferenceB/s.tif"])
    keys = {"mode": "inference", "direction": "BtoA", "direction_inference": direction}
    for data in (divide(tmp_path), {"simulated": tmp_path}):
        with pytest.raises(InputError, match=f"give cytosuite apply {tmp_path / name} --algorithm"):
            written(keys, {role: [folder] for role, folder in data.items()})


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


def test_values_of_the_file_come_before_those_of_the_template(written):
    settings, notes = written(KEYS)
    assert settings.network.widths == (8, 16, 32)
    assert settings.network.channels == 2
    assert settings.judge.widths == (8, 16, 32, 64)
    assert (settings.crops.shape, settings.crops.batch) == ((16, 64, 64), 3)
    loss = settings.loss
    assert (loss.cycle, loss.pool, loss.judge_every, loss.identity) == (6.5, 3, 1, 0.0)
    schedule = settings.schedule
    assert (schedule.steps, schedule.checkpoint, schedule.learning_rate) == (10, 10, 1e-3)
    for key in ("resume_training", "epoch_count", "netG", "time_limit", "lambda_cycle_A"):
        assert _about(notes, key), key
    assert not _about(notes, "not given")


@pytest.mark.parametrize(("fixed", "falling"), [(0, 200), (150, 50), (200, 0), (100, 100)])
def test_the_rate_is_held_and_falls_as_published(written, fixed, falling):
    keys = {"learning_rate_fix": fixed, "learning_rate_decay": falling, "learning_rate": 1e-3}
    schedule = written(keys)[0].schedule
    published = [1e-3 * (1 - max(0, epoch - fixed) / (falling + 1)) for epoch in range(200)]
    found = [schedule.rate(step) for step in range(200)]
    # Theirs ends two epochs' falls above zero.
    assert found == pytest.approx(published, abs=1e-3 * 2 / (falling + 1) + 1e-7)


@pytest.mark.parametrize(
    ("keys", "swapped"),
    [
        ({"direction": "BtoA"}, False),
        ({"direction": "AtoB"}, True),
        ({"direction": "AtoB", "direction_inference": "BtoA"}, False),
        ({"direction": "BtoA", "direction_inference": "AtoB"}, True),
    ],
)
def test_the_direction_of_the_translation_gives_the_roles(written, keys, swapped):
    notes = _about(written(keys)[1], "AtoB")
    assert bool(notes) == swapped
    assert all("simulated=FOLDER/trainA --data real=FOLDER/trainB" in note for note in notes)


def test_a_key_of_nobody_is_noted_and_a_misspelt_one_refused(written):
    _, notes = written({"ngf": 64, "colour": "red", "\x1b[31m": 1})
    assert "published programs do not read it either" in _about(notes, "colour")[0]
    assert all(note.isprintable() for note in notes)
    with pytest.raises(InputError, match="crop_sise is not a known key; did you mean 'crop_size'"):
        written({"ngf": 64, "crop_sise": [32, 64, 64]})
    assert written({"crop_size": [32, 64, 64], "crop_sise": 0})[0].crops.shape == (32, 64, 64)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("ngf", "many", "ngf: input should be a valid integer, found 'many'"),
        ("ngf", True, "ngf: .*valid integer"),
        ("ngf", 0, "ngf: .*greater than or equal to 1, found 0"),
        ("ngf", 10**30, "ngf: .*found 1000"),
        ("learning_rate", "0.0002 per step", "learning_rate: .*valid number"),
        ("learning_rate", 0, "learning_rate: .*greater than 0"),
        ("learning_rate", [1e-4], "learning_rate: .*valid number"),
        ("lambda_identity", -1, "lambda_identity: .*greater than or equal to 0"),
        ("img_dim", 2, "img_dim: input should be 3, found 2"),
        ("discriminator", "PixelDiscriminator", "discriminator: .*'PatchGANDiscriminator', found"),
        ("norm", "none", "norm: input should be 'instance', found 'none'"),
        ("preprocess", "resize", "preprocess: input should be 'crop', found 'resize'"),
        ("direction", "CtoD", "direction: .*'AtoB' or 'BtoA'"),
        ("crop_size", [256, 256], "crop_size: .*at least 3 items"),
        (
            "crop_size",
            [32, 250, 256],
            r"crop_size: must be multiples of 4 .*found \[32, 250, 256\]",
        ),
        ("crop_size", [1, 256, 256], "crop_size: must be multiples of 4"),
        ("crop_size", [32, 4, 4], "crop_size: must be multiples of 4"),
        ("crop_size", "[32, 256", "crop_size: .*valid list"),
        ("A_nc", 2, "A_nc and B_nc must be equal, .*found 2 and 1"),
        ("virtual_dataset_multiplicator", 0, "virtual_dataset_multiplicator: .*greater than 0"),
        ("mode", "inference", "translates images and trains nothing; give cytosuite apply infe"),
    ],
)
def test_explains_a_value_that_cannot_be(written, tmp_path, key, value, message):
    with pytest.raises(InputError, match=message) as raised:
        written({"B_nc": 1, key: value})
    assert str(raised.value).startswith(f"{tmp_path / 'settings.hjson'}: ")


def test_a_training_without_epochs_is_refused(written):
    with pytest.raises(InputError, match=r"learning_rate_fix \+ learning_rate_decay must be 1"):
        written({"learning_rate_fix": 0, "learning_rate_decay": 0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected keys of the published CycleGAN.*found none"),
        ("{one: 1, two: 2}", "expected keys of the published.*found one, two;"),
        ("{ngf: 64", "expected HJSON"),
        ("ngf: 64\nngf: 32", "expected HJSON, found the name 'ngf' twice in one object"),
        ("just words", "expected HJSON|expected keys"),
        ("[1, 2]", "expected keys and values in HJSON, found a single list"),
        ("/* without an end", "expected HJSON"),
        ("ngf: 1e999", "expected HJSON"),
        ("ngf: '''", "expected HJSON"),
        ("ngf: " + "9" * 5000, "expected HJSON"),
        ("ngf: " + "[" * 10000, "expected HJSON, found too many levels"),
        ("ngf: 64\n" + "#" * LARGEST, "settings have at most"),
        ("[network]\nwidths = [16, 32]\n", "expected HJSON"),
    ],
)
def test_explains_a_file_that_holds_no_such_settings(written, text, message):
    with pytest.raises(InputError, match=message):
        written(text)


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.write_bytes(b"\xff\xfe"), lambda path: None]
)
def test_explains_what_is_no_text(tmp_path, make):
    make(path := tmp_path / "settings.hjson")
    with pytest.raises(InputError, match=str(path)):
        translate(path, {})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_choice_of_keys_translates_or_is_refused_in_one_line(tmp_path_factory, data):
    names = data.draw(st.lists(st.sampled_from(sorted(KEYS)), unique=True))
    odd = data.draw(st.dictionaries(st.sampled_from(sorted(KEYS)), ANY, max_size=2))
    path = tmp_path_factory.getbasetemp() / "any.hjson"
    path.write_text(json.dumps({**{name: KEYS[name] for name in names}, **odd}))
    result, refusal = _outcome(path)
    if result is None:
        assert refusal.startswith(f"{path}: ")
    else:
        parse(path, result[0], Settings)
        assert all(note.isprintable() for note in result[1])


@given(names=st.sets(st.sampled_from(sorted(KEYS)), min_size=1))
def test_allowed_values_of_any_keys_translate(tmp_path_factory, names):
    chosen = {name: KEYS[name] for name in names | {"ngf", "A_nc", "B_nc"}}
    path = tmp_path_factory.getbasetemp() / "allowed.hjson"
    path.write_text(json.dumps(chosen))
    assert parse(path, translate(path, {})[0], Settings).network.channels == 2


@given(text=st.text(max_size=60) | st.text("{}[]:,'\"#/*\\\n ngf16e.-", max_size=40))
def test_any_text_is_translated_or_refused_in_one_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "text.hjson"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    result, refusal = _outcome(path)
    assert result is None or parse(path, result[0], Settings)
    assert bool(refusal) == (result is None)


def test_b_is_simulated_and_a_real_unless_the_direction_is_the_other(tmp_path):
    _volumes(tmp_path, ["trainA/r.tif", "trainB/s.tif", "inferenceA/r.tif", "inferenceB/s.tif"])
    a, b = tmp_path / "trainA", tmp_path / "trainB"
    assert divide(tmp_path) == divide(tmp_path, "BtoA") == {"simulated": b, "real": a}
    assert divide(tmp_path, "AtoB") == {"simulated": a, "real": b}


def test_images_of_a_half_are_found_at_any_depth_by_name(tmp_path):
    _volumes(tmp_path, ["trainA/r.tif", "trainB/z.tif", "trainB/b/y.tiff", "trainB/a/c/x.TIF"])
    found = find_images(divide(tmp_path)["simulated"], ["*"])
    names = [path.relative_to(tmp_path / "trainB").as_posix() for path, _ in found]
    assert names == ["a/c/x.TIF", "b/y.tiff", "z.tif"]


def test_halves_and_images_may_be_links(tmp_path):
    _volumes(tmp_path / "away", ["1.tif", "2.tif"])
    data = tmp_path / "data"
    (data / "trainB").mkdir(parents=True)
    (data / "trainA").symlink_to(tmp_path / "away")
    (data / "trainB" / "s.tif").symlink_to(tmp_path / "away" / "1.tif")
    (data / "trainB" / "loop").symlink_to(data)
    roles = divide(data)
    assert len(find_images(roles["real"], ["*"])) == 2
    assert [path.name for path, _ in find_images(roles["simulated"], ["*"])] == ["s.tif"]


@pytest.mark.parametrize(
    "names", [["a.tif"], ["images/a.tif"], ["inferenceB/a.tif"], ["traina/a.tif"]]
)
def test_folders_of_another_kind_are_not_divided(tmp_path, names):
    _volumes(tmp_path, names)
    assert divide(tmp_path) == divide(tmp_path / "missing") == {}


@pytest.mark.parametrize("half", ["trainA", "trainB"])
@pytest.mark.parametrize("other", ["missing", "file", "broken link"])
def test_a_half_without_the_other_is_refused_with_a_remedy(tmp_path, half, other):
    (tmp_path / half).mkdir()
    missing = tmp_path / ("trainB" if half == "trainA" else "trainA")
    if other == "file":
        missing.touch()
    elif other == "broken link":
        missing.symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=f"found only {half}; add the other, .*--data real="):
        divide(tmp_path)
