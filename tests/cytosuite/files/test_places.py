from functools import partial

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


def test_a_folder_that_cannot_be_written_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda place, _: place != tmp_path)
    for need in (need_file, need_folder):
        refused(f"{tmp_path}: this folder cannot be written", need, tmp_path / "new/x")


def test_no_place_for_a_file_or_a_new_folder(tmp_path):
    file, folder, link = (tmp_path / name for name in ("file", "folder", "link"))
    file.write_text("mine")
    folder.mkdir()
    link.symlink_to("nowhere/there")
    new = partial(need_folder, new=True)
    refused(f"{folder}: expected the name of a file to write, found a folder", need_file, folder)
    refused(f"{link}: a link to nothing; remove it, or name another place", need_file, link)
    below = f"{file}: expected a folder, found something else; name another place"
    refused(below, need_file, file / "y/z.csv")
    refused(f"{file}: expected a folder, found a file; name another one", new, file)
    refused(f"{tmp_path}: the folder is not empty; name a new one", new, tmp_path)
