import os
import tarfile

import pytest

from cytosuite.benchmark.engines.images.blueprints import by_name, pack
from cytosuite.files import visible_files, write_text


@pytest.fixture
def folder(tmp_path):
    """Return a folder like a checkout, with caches and hidden files."""
    for name in ("b.py", "a/c.toml", "a/__pycache__/c.pyc", ".hidden", "a/.cache/x"):
        write_text(tmp_path / "source" / name, name)
    return tmp_path / "source"


def _named(folder):
    return {f"app/{name}": path for name, path in by_name(visible_files(folder), folder).items()}


def _read(files):
    with pack(files) as stream:
        return stream.read()


def test_equal_contents_give_equal_bytes_on_every_host(folder):
    files = _named(folder)
    before = _read(files)
    for path in folder.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert _read(files) == before
    assert set(files) == {"app/b.py", "app/a/c.toml"}  # neither caches nor hidden files
    assert _read(dict(reversed(files.items()))) == before


def test_every_user_may_read_everything(folder):
    files = {**_named(folder), "Dockerfile": b"FROM x\n"}
    with pack(files) as stream, tarfile.open(fileobj=stream) as archive:
        for entry in archive:
            assert entry.mode == (0o755 if entry.isdir() else 0o644)
            assert (entry.uid, entry.gid, entry.mtime) == (0, 0, 0)
        assert archive.extractfile("Dockerfile").read() == b"FROM x\n"
        assert archive.extractfile("app/a/c.toml").read() == b"a/c.toml"
