"""The start of the program: where compiled loops are kept."""

import shutil

from cytosuite.benchmark.__main__ import writable


def test_loops_are_kept_in_a_folder_or_for_this_process_where_none_can_be_made(tmp_path):
    assert writable(tmp_path / "a/b") == tmp_path / "a/b"
    (tmp_path / "file").touch()
    folder = writable(tmp_path / "file/loops")
    assert folder.is_dir()
    assert tmp_path not in folder.parents
    shutil.rmtree(folder)
