"""Weights of torch as safetensors, and refusals of anything else."""

import collections
import os
from hashlib import sha256
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from mistakes import refused
from safetensors.torch import load_file, save_file

from cytosuite.contract.manifest import read_card
from cytosuite.contract.weights import open_model
from cytosuite.files import read_json, write_json
from cytosuite.training.convert import convert
from cytosuite.training.publish import ALGORITHMS

LAYER = {"a": torch.ones(2, 3, dtype=torch.float16), "b": torch.arange(4.0)}


@pytest.fixture
def card(tmp_path):
    """Return the path of a card that names weights of torch."""
    path = tmp_path / "mine.json"
    some = ALGORITHMS.parent / "weights/watershed/nuclei-2d.json"
    write_json(path, read_json(some) | {"name": "mine", "weights": "mine.pt", "sha256": "0" * 64})
    return path


@pytest.mark.parametrize("key", ["", "model_state_dict", "model"])
def test_weights_become_safetensors_that_the_card_names(card, tmp_path, capsys, key):
    shared = LAYER | {"c": LAYER["b"], "d": LAYER["a"].T}
    shared |= {"model": LAYER["b"]}  # a layer of this name is no checkpoint
    torch.save({key: shared, "epoch": 3} if key else shared, tmp_path / "x.pt")
    written = convert(tmp_path / "x.pt", card)
    updated = read_card(card)
    assert open_model(tmp_path, updated).weights == written == tmp_path / "mine.safetensors"
    assert updated.sha256 == sha256(written.read_bytes()).hexdigest()
    assert updated.bytes == written.stat().st_size
    assert all(torch.equal(value, shared[name]) for name, value in load_file(written).items())
    assert (f"its {key} is taken" in capsys.readouterr().out) is bool(key)


def test_safetensors_and_names_of_a_wrapped_network_are_taken_too(card, tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({f"module.{name}": value for name, value in LAYER.items()}, path)
    assert set(load_file(convert(path, card))) == set(LAYER)
    path.write_bytes(b"\xff" * 20)
    refused(r"x.safetensors: cannot be read as weights", convert, path, card)


class _Code:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    "reason, content",
    {
        "holds Python objects, which could run code": _Code(),
        "expected tensors by name, found Tensor": LAYER["a"],
        "found int as 'epoch'": collections.OrderedDict(LAYER, epoch=3),
        "c holds NaN": {"c": torch.tensor(torch.nan)},
        "cannot be safetensors": {"a": torch.eye(2).to_sparse()},
    }.items(),
)
def test_what_is_more_than_tensors_is_refused(card, tmp_path, capsys, content, reason):
    torch.save(content, tmp_path / "x.pt")
    before = card.read_bytes()
    refused(reason, convert, tmp_path / "x.pt", card)
    assert "executed" not in capsys.readouterr().out
    assert card.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.json", "x.pt"]


def _grows(path):
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(2**24))


@pytest.mark.parametrize(
    "reason, make",
    {
        "cannot be read": lambda path: path.write_text("root:x:0:0:root:/root:/bin/bash\n"),
        "found files that grow from": _grows,
        "expected a file, found a folder, a pipe": os.mkfifo,
    }.items(),
)
def test_no_file_of_weights_crashes_fills_or_blocks_the_reader(card, tmp_path, make, reason):
    make(tmp_path / "x.pt")
    refused(reason, convert, tmp_path / "x.pt", card)
