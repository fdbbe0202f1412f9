import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from mistakes import refused
from numpy.testing import assert_allclose, assert_array_equal
from published_generator import Generator
from rich.console import Console
from sketches import SPACING
from training_data import moves
from trainings import cases_of, short, written
from unpaired import real, real_folder, simulated, simulated_dataset

from cytosuite.algorithms.cyclegan3d.predict import Parameters, predict, prepared
from cytosuite.algorithms.cyclegan3d.training.settings import Crops
from cytosuite.algorithms.cyclegan3d.training.train import (
    TRAINING,
)
from cytosuite.algorithms.cyclegan3d.training.volumes import (
    DomainVolume,
    draw_batch,
    in_grey_values_of,
)
from cytosuite.algorithms.cyclegan3d.translate import scaling_of
from cytosuite.benchmark.commands import model
from cytosuite.contract.manifest import parse, read_card
from cytosuite.contract.weights import open_model
from cytosuite.denoising.camera import CameraModel, light_of
from cytosuite.formats import read, write
from cytosuite.networks.normalise import Target, background_of
from cytosuite.training.convert import convert
from cytosuite.training.images import find_images
from cytosuite.training.loop import begin, complete, take_step, train
from cytosuite.volume import Volume

ROLES = ("simulated", "real")
JUDGES = {"judge_real", "judge_simulated"}
_settings = partial(short, "cyclegan3d")
WIDTH = 3


@pytest.fixture
def data(tmp_path):
    """Return folders by role."""
    return written("cyclegan3d", tmp_path)


def _begun(data, settings):
    return cases_of("cyclegan3d", data, settings), begin(TRAINING, settings, None, "cpu")


def _stepped(settings, data, steps=2):
    """Return the state after some steps, and the losses of each."""
    cases, state = _begun(data, settings)
    batches = [TRAINING.batch(cases, settings, number) for number in range(steps)]
    return state, [take_step(TRAINING, settings, state, batch) for batch in batches]


ALL = "cycle identity structure"
CAMERA = {"gain": 2.0, "offset": 10.0, "read_noise": 1.0}


@pytest.mark.parametrize(
    "changes, names",
    [
        ({}, ALL),
        ({"loss": {"structure": 0}}, "cycle identity"),
        ({"judge": {"norm": "instance"}, "checkpointing": True}, ALL),
        ({"images": {"scale": "dtype"}, "network": {"norm": "instance", "residual": False}}, ALL),
        ({"images": {"scale": "style"}, "loss": {"keep": "levels"}}, ALL),
        ({"images": {"scale": "light"}, "camera": CAMERA}, ALL),
        ({"network": {"noise": 1}, "loss": {"keep": "labels"}}, f"{ALL} reader"),
    ],
    ids=str,
)
def test_losses_are_finite_and_only_those_that_are_asked_for(changes, names, data):
    state, losses = _stepped(_settings(**changes), data)
    for terms in losses:
        assert set(terms) == {*names.split(), "fool_real", "fool_simulated", "judge"}
        assert all(torch.isfinite(value) for value in terms.values())
        assert not any(value.requires_grad for value in terms.values())
    assert ("reader" in state.modules) == ("reader" in names)
    assert state.modules["forward"].checkpointing is changes.get("checkpointing", False)


def test_each_optimiser_moves_its_own_networks_alone(data, monkeypatch):
    settings = _settings(loss={"keep": "labels"})
    owners = {
        "generators": {"forward", "backward"},
        "judges": JUDGES,
        "reader": {"reader"},
    }
    cases, state = _begun(data, settings)
    moved = moves(monkeypatch, state)
    for number in range(2):
        batch = {k: torch.from_numpy(v) for k, v in TRAINING.batch(cases, settings, number).items()}
        TRAINING.step(state, batch, settings)
        state.step += 1
        assert moved == owners


def test_judges_learn_in_every_second_step_where_that_is_asked_for(data, monkeypatch):
    settings = _settings(loss={"judge_every": 2})
    cases, state = _begun(data, settings)
    moved = moves(monkeypatch, state)
    for number in range(4):
        losses = take_step(TRAINING, settings, state, TRAINING.batch(cases, settings, number))
        assert losses["judge"] > 0
        assert moved.pop("judges", set()) == (JUDGES if number % 2 else set())


def test_pools_hold_the_translations_of_their_domain(data):
    settings = _settings(loss={"pool": 3})
    state, _ = _stepped(settings, data, 2)
    batch = TRAINING.batch(cases_of("cyclegan3d", data, settings), settings, 0)
    for role, source in zip(ROLES[::-1], ROLES, strict=True):
        pool = state.modules[f"pool_{role}"]
        assert int(pool.count) == 2
        expected = torch.from_numpy(batch[source][0])  # the first translation is the identity
        torch.testing.assert_close(pool.kept[0].float(), expected, atol=2e-3, rtol=1e-2)


def test_structure_of_labels_needs_labels_beside_every_image(data):
    settings = _settings(loss={"keep": "labels"})
    twin = TRAINING.load(data["simulated"][0], "simulated", settings)[1].twin
    assert all(item.labels is None for item in TRAINING.load(data["real"][0], "real", settings))
    twin.unlink()
    refused(
        r"s_1\.tif: expected labels beside this image",
        TRAINING.load,
        data["simulated"][0],
        "simulated",
        settings,
    )
    assert len(TRAINING.load(data["simulated"][0], "simulated", _settings())) == 3


def test_planes_are_learned_both_ways_from_planes_and_stacks_and_validated(tmp_path):
    write(tmp_path / "planes/p.tif", plane := Volume(simulated()[0][5], SPACING[1:], "YX"))
    data = {
        "simulated": [simulated_dataset(tmp_path / "simulated"), tmp_path / "planes"],
        "real": [real_folder(tmp_path / "real")],
    }
    settings = _settings(
        network={"dimensions": 2, "padding": "reflect"},
        crops={"shape": [1, 32, 16]},
        validation={"every": 2, "metric": "W1_by_std", "cases": 1},
        both_ways=True,
    )
    lines = []
    path = train(
        TRAINING, settings, data, tmp_path / "m.json", work=tmp_path / "work", say=lines.append
    )
    cards = [read_card(path), read_card(tmp_path / "m-back.json")]
    for card in cards:
        assert card.describes == {"axes": "YX", "spacing": SPACING[1:]}
        image = predict({"microscopy-image": plane}, open_model(tmp_path, card))["enhanced-image"]
        assert (image.shape, image.array.dtype) == (plane.shape, "uint16")
    assert cards[0].scores
    assert not cards[1].scores
    assert cards[0].sha256 != cards[1].sha256
    assert any("5 of 5 images are smaller than 1 x 32 x 16: up to 25%" in line for line in lines)


@pytest.mark.parametrize("scale", ["style", "light"])
def test_volumes_are_learned_as_the_scale_of_the_target_brings_them_there(scale, data):
    options = _settings(images={"scale": scale}, **({"camera": CAMERA} if scale == "light" else {}))
    cases = cases_of("cyclegan3d", data, options)
    settings = complete(TRAINING, options.with_card(parameters={}), cases, None, print)
    parameters = parse("card", settings.card.parameters, Parameters)
    assert (parameters.scale, parameters.network) == (scale, None)
    for role, items in TRAINING.prepare_cases(cases, settings).items():
        assert len(items) == len(cases[role])
        for before, item in zip(cases[role], items, strict=True):
            volume = read(item.path)
            image = prepared(volume, parameters) if role == "simulated" else volume.array
            if scale == "light":
                assert item.counts == ()  # light has no counts to dither
            if scale == "light" and role == "real":
                image = light_of(image, CameraModel(**CAMERA))
            expected = scaling_of(image, scale, parameters.target)(image)
            assert_allclose(item.image[0], expected.astype(np.float16))
            assert (item.shape, item.spacing) == (before.shape, before.spacing)
    assert TRAINING.prepare_cases(cases, _settings()) is cases


def test_held_out_images_come_with_labels_and_are_compared_with_real_ones(data):
    settings, (image, labels) = _settings(), simulated()
    cases = cases_of("cyclegan3d", data, settings)
    scene = TRAINING.held_out(cases["simulated"][0], 0, settings)
    assert_array_equal(scene.image.array, image)
    assert_array_equal(scene.labels.array, labels)
    for item, volume in zip(cases["real"], TRAINING.real(cases, settings), strict=True):
        assert_array_equal(volume.array, read(item.path).array)


@pytest.mark.parametrize(
    "message, changes",
    {
        r"multiples of \[2, 4, 4\] .*found \[7, 16, 16\]": {"crops": {"shape": [7, 16, 16]}},
        r"at least \[4, 6, 6\] for these judges": {"crops": {"shape": [2, 16, 16]}},
        "hold a batch": {"crops": {"batch": 3}},
        r"loss.window must be odd numbers, found \[5, 8, 9\]": {"loss": {"window": [5, 8, 9]}},
        "card.parameters.scale": {"card": {"parameters": {"scale": "dtype"}}},
        "style is of one channel, found network.channels 2": {
            "images": {"scale": "style"},
            "network": {"channels": 2},
        },
        "images.scale light needs a table camera": {"images": {"scale": "light"}},
        "no other scale has one": {"camera": CAMERA},
    }.items(),
)
def test_impossible_settings_are_refused(changes, message):
    refused(f"train.toml: .*{message}", _settings, **changes)


def _write(path, array):
    write(path, Volume(array, SPACING))


def _load(folder, role="simulated", scale="background", keep="labels"):
    return TRAINING.load(
        folder,
        role,
        short(
            "cyclegan3d", images={"scale": scale}, loss={"keep": keep}, crops={"shape": [8, 8, 8]}
        ),
    )


def test_an_item_holds_the_image_in_units_of_the_network(tmp_path):
    (item,) = _load(simulated_dataset(tmp_path, 1))
    image, labels = simulated()
    expected = scaling_of(image, "background")(image)
    assert item.image.dtype == np.float16
    assert_allclose(item.image[0], expected, atol=2e-3)
    assert_array_equal(item.labels, labels)
    assert (item.labels.dtype, item.shape) == (np.int32, image.shape)
    assert item.spacing == SPACING
    assert item.twin.is_file()


def test_a_grey_count_of_integers_is_known_where_crops_are_dithered(tmp_path):
    _write(tmp_path / "a/a.tif", real())
    _write(tmp_path / "b/b.tif", real().astype(np.float32))
    floats = _load(tmp_path / "b", "real")
    assert floats[0].counts == _load(tmp_path / "a", keep="levels")[0].counts == ()
    (item,) = _load(tmp_path / "a", "real")
    assert item.counts == pytest.approx([1 / 3 / background_of(real()).sd], rel=1e-3)
    (item,) = _load(tmp_path / "a", "real", "dtype")
    assert item.counts == pytest.approx([2 / 65535], rel=0.01)
    # Each count of 16 bits is kept apart.
    assert_array_equal(np.rint((item.image[0] + 1) * (65535 / 2)), real())
    target = Target(mean=100, sd=4, dtype="uint16")
    for image, counts in ((real(), [1 / 12]), (real().astype(np.float32), [])):
        item = in_grey_values_of(item, image, target, (4, 8, 8), "style")
        assert item.counts == pytest.approx(counts, rel=1e-3)
        assert item.scale == "style"


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    image = real().astype(np.float32)
    image[3, 4, 5] = np.nan
    _write(tmp_path / "a.tif", image)
    refused("finite grey values, found NaN", _load, tmp_path, "real")


def test_labels_of_another_shape_are_refused(tmp_path):
    folder = simulated_dataset(tmp_path, 1)
    _write(find_images(folder, ["*"])[0].files["instance-labels"], simulated()[1][:-1])
    refused(r"expected labels of the shape .*found \(9,", _load, folder)
    assert _load(folder, keep="levels")[0].labels is None


CROPS = Crops(shape=(4, 8, 8), batch=2, alike=3)


def _item(image, labels=None):
    array = image[None].astype(np.float16)
    return DomainVolume(Path("a.tif"), None, array, labels, image.shape, (1.0, 1.0, 1.0))


def _places(shape=(6, 12, 10)):
    """Return an item of which every voxel has a number of its own, in image and labels."""
    numbers = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    assert numbers.max() < 2048  # exact in float16
    return _item(numbers, numbers)


def _draw(simulated, real, crops=CROPS, step=0):
    settings = short("cyclegan3d").model_copy(update={"crops": crops})
    return draw_batch({"simulated": simulated, "real": real}, settings, step)


@pytest.mark.parametrize(
    "scale, units, counts",
    [
        ("background", lambda v: 0.5 * np.arcsinh(v / 8), lambda x: np.sinh(2 * x) * 8),
        ("dtype", lambda v: v / 8, lambda x: x * 8),
    ],
)
def test_whole_grey_counts_are_dithered_by_half_a_count(scale, units, counts):
    grey = np.arange(4 * 40 * 40).reshape(4, 40, 40) % 300
    whole = replace(_item(grey), image=units(grey)[None].astype(np.float32), scale=scale)
    counted = replace(whole, counts=(1 / 8,))
    batch = _draw([whole], [counted], Crops(shape=(4, 40, 40), batch=1, alike=1))
    simulated, real = (counts(batch[name].astype(float)) for name in ("simulated", "real"))
    assert np.abs(simulated - simulated.round()).max() < 0.01
    away = np.sort(real.ravel()) - np.sort(simulated.ravel())
    assert 0.45 < np.abs(real - real.round()).max() <= 0.5
    assert abs(away.mean()) < 0.02
    assert np.var(real - real.round()) == pytest.approx(1 / 12, rel=0.05)


def test_crops_are_of_every_place_and_mirrored_along_y_alone():
    shape = (6, 10, 9)
    item = _places((6, 10, 9))
    crops = Crops(shape=(4, 8, 6), batch=1, alike=1)
    drawn = [_draw([item], [item], crops, step=step) for step in range(200)]
    for name in ("simulated", "real"):
        images = [batch[name][0, 0] for batch in drawn]
        corners = np.unravel_index([int(crop.min()) for crop in images], shape)
        assert [len(set(axis)) for axis in corners] == [3, 3, 4]
        steps = {
            tuple(np.sign(crop[1, 1, 1] - crop[[0, 1, 1], [1, 0, 1], [1, 1, 0]])) for crop in images
        }
        assert steps == {(1, 1, 1), (1, -1, 1)}  # along x a camera reads


def test_labels_are_turned_with_their_image():
    item = _places()
    for step in range(30):
        batch = _draw([item], [item], step=step)
        assert_array_equal(batch["labels"], batch["simulated"][:, 0])


@pytest.mark.parametrize("bright", [0.0, 1.0])
def test_the_place_most_alike_the_real_crop_is_taken(bright):
    real = _item(np.full((4, 8, 8), bright))
    halves = np.zeros((40, 8, 8))
    halves[20:] = 1
    simulated = _item(halves)

    def mean(alike):
        crops = Crops(shape=(4, 8, 8), batch=1, alike=alike)
        return np.mean([_draw([simulated], [real], crops, step=s)["simulated"] for s in range(60)])

    assert abs(mean(1) - 0.5) < 0.15
    assert abs(mean(12) - bright) < 0.02


@pytest.fixture
def card(tmp_path):
    """Return the place of a card that does not exist yet."""
    path = tmp_path / "weights/cyclegan3d/theirs.json"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize("dimensions, shape", [(2, (24, 30)), (3, (8, 12, 14))])
def test_a_published_file_becomes_models_of_both_directions_with_its_answers(
    card, tmp_path, dimensions, shape, rng
):
    torch.manual_seed(0)
    theirs = {"B": Generator(WIDTH, dimensions), "A": Generator(WIDTH, dimensions)}
    content = {
        f"netG_{letter}_state_dict": network.state_dict() for letter, network in theirs.items()
    }
    optimiser = torch.optim.Adam(theirs["A"].parameters())
    torch.save({**content, "optimizer_G": optimiser.state_dict()}, tmp_path / "models.pth")
    convert(tmp_path / "models.pth", card)
    image = rng.integers(0, 256, shape).astype(np.uint8)
    side = tuple((0, -n % 4) for n in shape)  # theirs returns multiples of 4
    padded = np.pad(image, side, mode="edge").astype(np.float32)
    for letter, path in (("B", card), ("A", card.with_stem("theirs-back"))):
        converted = read_card(path)
        output = predict(
            {"microscopy-image": Volume(image, (1.0,) * dimensions, "ZYX"[-dimensions:])},
            open_model(path.parent, converted),
        )["enhanced-image"].array
        with torch.no_grad():
            expected = theirs[letter](torch.from_numpy(2 * padded / 255 - 1)[None, None])[0, 0]
        expected = (expected.numpy()[tuple(map(slice, shape))] + 1) / 2 * 65535
        assert (output.dtype, converted.scores) == (np.uint16, {})
        assert expected.std() > 1000
        assert_allclose(output, expected, atol=3)


def test_the_command_adds_the_models_of_both_directions(tmp_path, monkeypatch, converted_here):
    torch.manual_seed(0)
    content = {f"netG_{letter}_state_dict": Generator(WIDTH).state_dict() for letter in "BA"}
    torch.save(content, tmp_path / "models.pth")
    monkeypatch.setattr("cytosuite.benchmark.catalog.places.CHECKOUT", False)
    monkeypatch.setattr(model, "_test", lambda card, *_: tested.append(card.stem))
    monkeypatch.chdir(tmp_path)
    tested = []
    options = model.AddOptions(
        file=Path("models.pth"), like="cyclegan3d", name="theirs", license="MIT"
    )
    model.add_command(options, Console(file=io.StringIO()))
    assert sorted(tested) == ["theirs", "theirs-back"]
    for name in ("theirs", "theirs-back"):
        card = read_card(tmp_path / f"weights/cyclegan3d/{name}.json")
        assert open_model(tmp_path / "weights/cyclegan3d", card).weights
        assert (card.license, card.adopted, card.trained["file"]) == ("MIT", False, "models.pth")


@pytest.mark.parametrize(
    "change, reason",
    [
        (
            lambda w: w.pop("model.26.bias"),
            r"of 9 blocks and width 3 differs .* in 26.bias, found none",
        ),
        (lambda w: w.update({"model.4.gain": torch.ones(3)}), r"in 4.gain, found \(3,\)"),
        (lambda w: w.pop("model.1.weight"), "expected a generator of the published CycleGAN"),
    ],
)
def test_another_layout_is_refused_by_the_name_that_differs(card, tmp_path, change, reason):
    content = Generator(WIDTH).state_dict()
    change(content)
    torch.save({"netG_B_state_dict": content}, tmp_path / "models.pth")
    refused(reason, convert, tmp_path / "models.pth", card)
    assert not list(card.parent.iterdir())
