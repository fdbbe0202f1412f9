import os
import tarfile

import pytest

from cytosuite.benchmark.containers.context import by_name, pack
from cytosuite.files import visible_files


@pytest.fixture
def folder(tmp_path):
    """Return a folder like a checkout, with caches and hidden files."""
    for name in ("b.py", "a/c.toml", "a/__pycache__/c.pyc", ".hidden", "a/.cache/x"):
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "source"


def _named(folder, prefix):
    return {
        f"{prefix}/{name}": path for name, path in by_name(visible_files(folder), folder).items()
    }


def _read(files):
    with pack(files) as stream:
        return stream.read()


def test_equal_contents_give_equal_bytes_on_every_host(folder):
    files = _named(folder, "app")
    before = _read(files)
    for path in folder.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert _read(files) == before
    assert _read(dict(reversed(files.items()))) == before


@pytest.mark.parametrize("change", ["content", "name"])
def test_other_contents_and_names_give_other_bytes(folder, change):
    before = _read(_named(folder, "app"))
    if change == "content":
        (folder / "b.py").write_text("b.pY")
    else:
        (folder / "b.py").rename(folder / "d.py")
    assert _read(_named(folder, "app")) != before


def test_caches_and_hidden_files_stay_out(folder):
    assert set(_named(folder, "app")) == {"app/b.py", "app/a/c.toml"}


def test_an_empty_folder_is_a_folder_in_the_context(tmp_path):
    with pack({"weights/x": None}) as stream, tarfile.open(fileobj=stream) as archive:
        assert archive.getnames() == ["weights", "weights/x"]
        assert all(entry.isdir() for entry in archive)


def test_every_user_may_read_everything(folder):
    files = {**_named(folder, "app"), "Dockerfile": b"FROM x\n"}
    with pack(files) as stream, tarfile.open(fileobj=stream) as archive:
        for entry in archive:
            assert entry.mode == (0o755 if entry.isdir() else 0o644)
            assert (entry.uid, entry.gid, entry.mtime) == (0, 0, 0)
        assert archive.extractfile("Dockerfile").read() == b"FROM x\n"
        assert archive.extractfile("app/a/c.toml").read() == b"a/c.toml"


def test_folders_come_before_their_files(folder):
    with pack(_named(folder, "deep/app")) as stream, tarfile.open(fileobj=stream) as archive:
        names = archive.getnames()
    assert names.index("deep") < names.index("deep/app") < names.index("deep/app/a")
    assert len(names) == len(set(names))
