import os
import re
from functools import partial

import pytest
from mistakes import refused

from cytosuite.files import need_file, need_folder


def test_new_and_ordinary_places_are_fine(tmp_path):
    (tmp_path / "a.csv").write_text("old")
    for path in ("a.csv", "b.csv", "new/folder/b.csv"):
        need_file(tmp_path / path)
    need_folder(tmp_path)
    for path in (".", "new/folder"):
        need_folder(tmp_path / path)
    (tmp_path / "empty").mkdir()
    need_folder(tmp_path / "empty", new=True)
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "empty"}


def _folder(place):
    """x: expected the name of a file to write, found a folder"""
    place.mkdir()
    return place


def _dangling(place):
    """x: a link to nothing; remove it, or name another place"""
    place.symlink_to("nowhere/there")
    return place


def _below_a_file(place):
    """x: expected a folder, found something else; name another place"""
    place.write_text("mine")
    return place / "y/z.csv"


def test_a_folder_that_cannot_be_written_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda place, _: place != tmp_path)
    for need in (need_file, need_folder):
        refused(f"{tmp_path}: this folder cannot be written", need, tmp_path / "new/x")


def _file(place):
    """x: expected a folder, found a file; name another one"""
    place.write_text("mine")
    return place


def _full(place):
    """x: the folder is not empty; name a new one"""
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    return place


@pytest.mark.parametrize("mistake", [_folder, _dangling, _below_a_file, _file, _full])
def test_no_place_for_a_file_or_a_new_folder(tmp_path, mistake):
    need = partial(need_folder, new=True) if mistake in (_file, _full) else need_file
    refused(re.escape(mistake.__doc__), need, mistake(tmp_path / "x"))
