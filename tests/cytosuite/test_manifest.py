import re

import pytest

from cytosuite.errors import InputError
from cytosuite.files import write_json
from cytosuite.manifest import read_algorithm, read_card, read_dataset

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
CARD = {
    "name": "nuclei",
    "version": "0.1.0",
    "algorithm": "watershed",
    "task": "segment",
    "description": "d",
    "authors": "a",
    "license": "Apache-2.0",
    "describes": {"axes": "ZYX", "spacing": [1.0, 0.5, 0.5]},
}


def _write(folder, text):
    (folder / "watershed").mkdir()
    path = folder / "watershed" / "algorithm.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_valid_manifest_is_read(tmp_path):
    found = read_algorithm(_write(tmp_path, ALGORITHM))
    assert found.name == "watershed"
    assert found.resources.memory_gib == 2.0
    assert found.select.keys == {"axes": "must", "spacing": 1.0}
    assert found.select.missing == 0.0


def _misspelt_key(text):
    """licence is not a known key; did you mean 'license'?"""
    return text.replace("license", "licence")


def _misspelt_nested_key(text):
    """resources.memory_gb is not a known key; did you mean 'memory_gib'?"""
    return text.replace("memory_gib", "memory_gb")


def _far_off_key(text):
    """resources.xyz is not a known key; known keys: memory_gib, gpu"""
    return text.replace("memory_gib", "xyz")


def _missing_key(text):
    """title is missing"""
    return text.replace('title = "Watershed"\n', "")


def _wrong_type(text):
    """resources.memory_gib: input should be a valid number, unable to parse string as a number, found 'much'"""
    return text.replace("memory_gib = 2.0", 'memory_gib = "much"')


def _too_little(text):
    """resources.memory_gib: input should be greater than 0, found 0.0"""
    return text.replace("= 2.0", "= 0.0")


def _endless(text):
    """resources.memory_gib: input should be a finite number, found inf"""
    return text.replace("= 2.0", "= inf")


def _endless_cost(text):
    """select.spacing"""
    return text.replace("spacing = 1.0", "spacing = inf")


def _huge_number(text):
    """preference: input should be less than or equal to 1000, found 999"""
    return f"preference = {'9' * 400}\n{text}"


def _many_levels(text):
    """expected TOML, found too many levels"""
    return f"{text}\nx = {'[' * 3000}{']' * 3000}\n"


def _unknown_task(text):
    """task: must be one of segment, enhance, synthesise, fuse; did you mean 'segment'?, found 'segmnt'"""
    return text.replace('"segment"', '"segmnt"')


def _no_version(text):
    """version: string should match pattern"""
    return text.replace("0.1.0", "one")


def _other_name(text):
    """name must be the folder's, 'watershed', found 'waterfall'"""
    return text.replace('name = "watershed"', 'name = "waterfall"')


def _no_toml(text):
    """expected TOML, found"""
    return text + "= 3"


def _wrong_rule(text):
    """select.axes"""
    return text.replace('"must"', '"shall"')


@pytest.mark.parametrize(
    "mistake",
    [
        _misspelt_key,
        _misspelt_nested_key,
        _far_off_key,
        _missing_key,
        _wrong_type,
        _too_little,
        _endless,
        _endless_cost,
        _huge_number,
        _many_levels,
        _unknown_task,
        _no_version,
        _other_name,
        _no_toml,
        _wrong_rule,
    ],
)
def test_explains(tmp_path, mistake):
    path = _write(tmp_path, mistake(ALGORITHM))
    with pytest.raises(InputError, match=re.escape(f"{path}: {mistake.__doc__}")) as caught:
        read_algorithm(path)
    assert "\n" not in str(caught.value)


def test_a_mark_of_utf8_is_no_mistake(tmp_path):
    assert read_algorithm(_write(tmp_path, f"\ufeff{ALGORITHM}")).name == "watershed"


@pytest.mark.parametrize("name", ["../nuclei", "/etc/passwd", "a\0", "n" * 201, ".", ""])
def test_weights_lie_beside_their_card(tmp_path, name):
    write_json(tmp_path / "nuclei.json", {**CARD, "weights": name})
    with pytest.raises(InputError, match=r"nuclei\.json: weights: string should "):
        read_card(tmp_path / "nuclei.json")


def test_a_dataset_manifest_is_read(tmp_path):
    (tmp_path / "cells").mkdir()
    path = tmp_path / "cells" / "dataset.toml"
    path.write_text(
        'name = "cells"\nversion = "0.1.0"\ntitle = "t"\ndescription = "d"\ntask = "segment"\n'
        'kind = "simulated"\n[sizes.mini]\ncases = 2\n'
    )
    assert read_dataset(path).sizes["mini"].cases == 2


def test_a_card_is_read_and_must_have_its_files_name(tmp_path):
    write_json(tmp_path / "nuclei.json", CARD)
    assert read_card(tmp_path / "nuclei.json").describes["spacing"] == (1.0, 0.5, 0.5)
    write_json(tmp_path / "other.json", CARD)
    with pytest.raises(InputError, match="name must be the file's, 'other', found 'nuclei'"):
        read_card(tmp_path / "other.json")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"algorithm\.toml: no such file"):
        read_algorithm(tmp_path / "algorithm.toml")
