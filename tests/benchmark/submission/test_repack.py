"""Archives of saved images: the same bytes from the same files, whenever they were built."""

import io
import json
import tarfile

from archives import Image, link, member, sha, tar
from mistakes import refused

from cytosuite.benchmark.submission.repack import pack_image, repack

NEWEST_S = 1_700_000_000
FILES = {"opt/app/predict.py": b"print(1)\n", "opt/app/model/a.json": b"{}", "etc/passwd": b"root"}


def layer(files, mtime):
    """Return a layer with files, a folder, a link, and an attribute."""
    facts = {"mtime": mtime + 0.5, "mode": 0o640, "uname": "me", "uid": 1000, "gid": 1001}
    facts["pax_headers"] = {"SCHILY.xattr.user.a": "b", "atime": str(mtime)}
    members = [member(name, content, **facts) for name, content in files.items()]
    return tar([member("opt/", mtime=mtime), *members, link("opt/link", "app")])


ABOUT = {
    "architecture": "amd64",
    "os": "linux",
    "container": "f00",
    "docker_version": "20.10",
    "history": [{"created": "2026-01-01T00:00:00Z"}],
    "config": {"User": "1000", "Cmd": ["exec"], "Image": "x", "Labels": {"a": "1", "b": "2"}},
}


def opened(folder, layers, changes=None, without=()):
    """Return the configuration and the tars of the layers of an image that was packed anew."""
    image = repack(
        Image(layers, ABOUT).save(folder / "saved.tar"), folder, changes or {}, NEWEST_S, without
    )
    pack_image(image, folder / "image.tar.gz", "name:1")
    with tarfile.open(folder / "image.tar.gz") as archive:
        (entry,) = json.load(archive.extractfile("manifest.json"))
        config = archive.extractfile(entry["Config"]).read()
        assert entry["Config"] == f"{sha(config)}.json"
        assert entry["RepoTags"] == ["name:1"]
        return json.loads(config), [archive.extractfile(name).read() for name in entry["Layers"]]


def entries(content):
    """Return the entries of a layer by name."""
    return {entry.name: entry for entry in tarfile.open(fileobj=io.BytesIO(content))}


def test_files_keep_all_but_their_late_times(tmp_path):
    _, layers = opened(tmp_path, [layer(FILES, NEWEST_S + 5), layer(FILES, 12)])
    late, early = map(entries, layers)
    program = late["opt/app/predict.py"]
    assert program.mtime == NEWEST_S
    assert early["opt/app/predict.py"].mtime == 12
    assert (program.mode, program.uid, program.gid, program.uname) == (0o640, 1000, 1001, "")
    assert program.pax_headers == {"SCHILY.xattr.user.a": "b"}
    assert late["opt/link"].linkname == "app"
    assert late["opt"].isdir()
    assert late["opt"].mode == 0o755


def test_traces_of_the_build_go_and_labels_join(tmp_path):
    config, _ = opened(
        tmp_path, [layer(FILES, 0)], {"Cmd": ["invoke"], "Labels": {"b": "3", "c": "4"}}
    )
    assert set(config) == {"architecture", "os", "config", "created", "rootfs"}
    assert config["config"] == {
        "User": "1000",
        "Cmd": ["invoke"],
        "Labels": {"a": "1", "b": "3", "c": "4"},
    }
    assert config["created"] == "2023-11-14T22:13:20Z"


def test_folders_are_left_out_by_their_whole_name(tmp_path):
    files = FILES | {"opt/app/models.py": b"", "./opt/app/model/b.json": b""}
    _, (left,) = opened(tmp_path, [layer(files, 0)], without=["/opt/app/model"])
    left = set(entries(left))
    assert left == {"opt", "opt/link", "opt/app/predict.py", "etc/passwd", "opt/app/models.py"}


def test_two_images_in_one_archive_are_refused(tmp_path):
    saved = Image(changed={"manifest.json": b"[{}, {}]"}).save(tmp_path / "saved.tar")
    refused("expected one image in the archive", repack, saved, tmp_path, {}, 0)
