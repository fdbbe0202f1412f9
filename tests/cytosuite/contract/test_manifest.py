import re

import cards
import pytest
from mistakes import refused

from cytosuite.contract.manifest import read_algorithm, read_card
from cytosuite.files import write_json

ALGORITHM = """\
name = "watershed"
version = "0.1.0"
title = "Watershed"
description = "Classical."
task = "segment"
authors = ["A. Author"]
license = "Apache-2.0"

[resources]
memory_gib = 2.0

[select]
axes = "must"
spacing = 1.0
"""
CARD = {**cards.FACTS, "name": "nuclei", "describes": {"axes": "ZYX", "spacing": [1.0, 0.5, 0.5]}}


def _write(folder, text):
    (folder / "watershed").mkdir()
    path = folder / "watershed/algorithm.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_valid_manifest_is_read(tmp_path):
    manifest = read_algorithm(_write(tmp_path, ALGORITHM))
    assert manifest.name == "watershed"
    assert manifest.resources.memory_gib == 2.0
    assert manifest.select.keys == {"axes": "must", "spacing": 1.0}
    assert manifest.select.missing == 0.0


@pytest.mark.parametrize(
    "expected, mistake",
    {
        "licence is not a known key; did you mean": lambda t: t.replace("license", "licence"),
        "resources.xyz is not a known key; known keys:": lambda t: t.replace("memory_gib", "xyz"),
        "title is missing": lambda t: t.replace('title = "Watershed"\n', ""),
        "resources.memory_gib:": lambda t: t.replace("memory_gib = 2.0", 'memory_gib = "much"'),
        "resources.memory_gib: input should be a finite": lambda t: t.replace("= 2.0", "= inf"),
        "task: must be one of segment, detect,": lambda t: t.replace('"segment"', '"segmnt"'),
        "name must be the": lambda t: t.replace('name = "watershed"', 'name = "waterfall"'),
        "expected TOML, found": lambda t: t + "= 3",
    }.items(),
)
def test_explains(tmp_path, expected, mistake):
    path = _write(tmp_path, mistake(ALGORITHM))
    refused(re.escape(f"{path}: {expected}"), read_algorithm, path)


@pytest.mark.parametrize("name", ["../nuclei", "/etc/passwd", "a\0", "n" * 201, ".", ""])
def test_weights_lie_beside_their_card(tmp_path, name):
    write_json(tmp_path / "nuclei.json", {**CARD, "weights": name})
    refused(r"nuclei\.json: weights: string should ", read_card, tmp_path / "nuclei.json")


def test_a_card_is_read_and_must_have_its_files_name(tmp_path):
    write_json(tmp_path / "nuclei.json", CARD)
    assert read_card(tmp_path / "nuclei.json").describes["spacing"] == (1.0, 0.5, 0.5)
    write_json(tmp_path / "other.json", CARD)
    refused("name must be the file's, 'other', found 'nuclei'", read_card, tmp_path / "other.json")
