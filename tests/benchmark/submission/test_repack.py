"""Archives of saved images: the same bytes from the same files, whenever they were built."""

import gzip
import hashlib
import io
import json
import tarfile

import pytest

from cytosuite.benchmark.submission.repack import pack_image, repack
from cytosuite.errors import InputError

NEWEST_S = 1_700_000_000
FILES = {"opt/app/predict.py": b"print(1)\n", "opt/app/model/a.json": b"{}", "etc/passwd": b"root"}


def layer(files, mtime, **more):
    """Return a layer with files, a folder, a link, and an attribute."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folder = tarfile.TarInfo("opt")
        folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, mtime
        tar.addfile(folder)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode, entry.uname = (
                len(content),
                mtime + 0.5,
                0o640,
                "me",
            )
            entry.uid, entry.gid = 1000, 1001
            entry.pax_headers = {"SCHILY.xattr.user.a": "b", "atime": str(mtime), **more}
            tar.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("opt/link")
        link.type, link.linkname, link.mtime = tarfile.SYMTYPE, "app", mtime
        tar.addfile(link)
    return stream.getvalue()


def save(path, layers, images=1, **config):
    """Write an image as ``docker save`` of an old version does."""
    about = {
        "architecture": "amd64",
        "os": "linux",
        "container": "f00",
        "docker_version": "20.10",
        "history": [{"created": "2026-01-01T00:00:00Z"}],
        "config": {"User": "1000", "Cmd": ["exec"], "Image": "x", "Labels": {"a": "1", "b": "2"}},
    }
    members = {f"{n}/layer.tar": content for n, content in enumerate(layers)}
    members["c.json"] = json.dumps(about | config).encode()
    entry = {"Config": "c.json", "Layers": list(members)[: len(layers)], "RepoTags": ["x:1"]}
    members["manifest.json"] = json.dumps([entry] * images).encode()
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            found = tarfile.TarInfo(name)
            found.size = len(content)
            tar.addfile(found, io.BytesIO(content))
    return path


def made(folder, layers, changes=None, without=(), **config):
    """Return the image and the bytes of its archive."""
    folder.mkdir()
    saved = save(folder / "saved.tar", layers, **config)
    image = repack(saved, folder, changes or {}, NEWEST_S, without)
    pack_image(image, folder / "image.tar.gz", "name:1")
    return image, (folder / "image.tar.gz").read_bytes()


def opened(content):
    """Return the configuration and the tars of the layers of an archive."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as tar:
        (entry,) = json.load(tar.extractfile("manifest.json"))
        config = tar.extractfile(entry["Config"]).read()
        assert entry["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
        assert entry["RepoTags"] == ["name:1"]
        return json.loads(config), [tar.extractfile(name).read() for name in entry["Layers"]]


def entries(content):
    """Return the entries of a layer by name."""
    return {entry.name: entry for entry in tarfile.open(fileobj=io.BytesIO(content))}


def test_two_builds_of_the_same_files_give_the_same_bytes(tmp_path):
    first, one = made(tmp_path / "a", [layer(FILES, NEWEST_S + 5)])
    other, two = made(tmp_path / "b", [layer(FILES, NEWEST_S + 9)], container="f11", history=[])
    assert first.id == other.id
    assert one == two


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"layers": [layer({**FILES, "etc/passwd": b"toor"}, 0)]}, id="content"),
        pytest.param({"layers": [layer(FILES, 0)] * 2}, id="layers"),
        pytest.param({"changes": {"User": "7"}}, id="config"),
        pytest.param({"without": ["/opt/app/model"]}, id="folder left out"),
        pytest.param({"layers": [layer(FILES, -9)]}, id="older files"),
    ],
)
def test_another_image_has_another_id(tmp_path, change):
    same = {"layers": [layer(FILES, 0)]}
    assert made(tmp_path / "a", **same)[0].id != made(tmp_path / "b", **same | change)[0].id


def test_digests_are_those_of_the_layers(tmp_path):
    image, content = made(tmp_path / "a", [layer(FILES, 0), layer({"x": b"y"}, 0)])
    config, layers = opened(content)
    digests = [hashlib.sha256(part).hexdigest() for part in layers]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{digest}" for digest in digests]
    assert [each.digest for each in image.layers] == digests
    assert [each.bytes for each in image.layers] == [len(part) for part in layers]


def test_files_keep_all_but_their_late_times(tmp_path):
    _, content = made(tmp_path / "a", [layer(FILES, NEWEST_S + 5), layer(FILES, 12)])
    late, early = (entries(part) for part in opened(content)[1])
    found = late["opt/app/predict.py"]
    assert found.mtime == NEWEST_S
    assert early["opt/app/predict.py"].mtime == 12
    assert (found.mode, found.uid, found.gid, found.uname) == (0o640, 1000, 1001, "")
    assert found.pax_headers == {"SCHILY.xattr.user.a": "b"}
    assert late["opt/link"].linkname == "app"
    assert late["opt"].isdir()
    assert late["opt"].mode == 0o755


def test_contents_of_files_are_kept(tmp_path):
    _, content = made(tmp_path / "a", [layer(FILES, 0)])
    with tarfile.open(fileobj=io.BytesIO(opened(content)[1][0])) as tar:
        assert {name: tar.extractfile(name).read() for name in FILES} == FILES


def test_traces_of_the_build_go(tmp_path):
    config, _ = opened(made(tmp_path / "a", [layer(FILES, 0)])[1])
    assert set(config) == {"architecture", "os", "config", "created", "rootfs"}
    assert set(config["config"]) == {"User", "Cmd", "Labels"}
    assert config["created"] == "2023-11-14T22:13:20Z"


def test_changes_replace_values_and_join_labels(tmp_path):
    changes = {"Cmd": ["invoke"], "Labels": {"b": "3", "c": "4"}}
    config, _ = opened(made(tmp_path / "a", [layer(FILES, 0)], changes)[1])
    assert config["config"]["Cmd"] == ["invoke"]
    assert config["config"]["User"] == "1000"
    assert config["config"]["Labels"] == {"a": "1", "b": "3", "c": "4"}


def test_folders_are_left_out_by_their_whole_name(tmp_path):
    files = FILES | {"opt/app/models.py": b"", "./opt/app/model/b.json": b""}
    _, content = made(tmp_path / "a", [layer(files, 0)], without=["/opt/app/model"])
    left = set(entries(opened(content)[1][0]))
    assert left == {"opt", "opt/link", "opt/app/predict.py", "etc/passwd", "opt/app/models.py"}


def test_equal_layers_are_written_once(tmp_path):
    _, content = made(tmp_path / "a", [layer(FILES, 0)] * 3)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as tar:
        assert sum(name.endswith("layer.tar") for name in tar.getnames()) == 1
    assert len(opened(content)[1]) == 3


def test_progress_ends_at_its_total(tmp_path):
    seen = []
    saved = save(tmp_path / "saved.tar", [layer(FILES, 0)] * 3)
    image = repack(saved, tmp_path, {}, 0, step=lambda *s: seen.append(s))
    assert len(seen) == 3
    assert [s for s, _ in seen] == sorted(s for s, _ in seen)
    packing = []
    pack_image(image, tmp_path / "i.tar.gz", "n:1", lambda *s: packing.append(s))
    assert packing[-1][0] <= packing[-1][1]


def test_two_images_in_one_archive_are_refused(tmp_path):
    """expected one image in the archive"""
    saved = save(tmp_path / "saved.tar", [layer(FILES, 0)], images=2)
    with pytest.raises(InputError, match="expected one image in the archive"):
        repack(saved, tmp_path, {}, 0)


def test_a_tar_of_something_else_is_refused(tmp_path):
    (tmp_path / "saved.tar").write_bytes(layer(FILES, 0))
    with pytest.raises(InputError, match=r"saved\.tar: expected an image as of docker save"):
        repack(tmp_path / "saved.tar", tmp_path, {}, 0)


def test_an_interrupted_archive_leaves_nothing(tmp_path):
    image = repack(save(tmp_path / "saved.tar", [layer(FILES, 0)]), tmp_path, {}, 0)

    def stop(*_):
        raise KeyboardInterrupt

    (tmp_path / "out").mkdir()
    with pytest.raises(KeyboardInterrupt):
        pack_image(image, tmp_path / "out" / "i.tar.gz", "n:1", stop)
    assert not list((tmp_path / "out").iterdir())
