"""Published ``models.pth`` as models: independent networks in their layout, and refusals."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from mistakes import refused
from published_generator import Generator
from rich.console import Console

from cytosuite.algorithms.cyclegan3d.predict import predict
from cytosuite.benchmark.commands import model
from cytosuite.contract.manifest import read_card
from cytosuite.contract.weights import open_model
from cytosuite.training.convert import convert
from cytosuite.volume import Volume

WIDTH = 3


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
        np.testing.assert_allclose(output, expected, atol=3)


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
