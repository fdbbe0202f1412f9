import gzip
import io
import json
import lzma
import random
import tarfile

import pytest
from archives import GOOD, PASSWD, Image, link, member, sha, tar
from mistakes import refused

from cytosuite.benchmark.submission.checks import archive
from cytosuite.benchmark.submission.checks.archive import anew, read_archive
from cytosuite.files import tarball
from cytosuite.files.tarball import ArchiveError

packed = pytest.mark.parametrize(
    "suffix, layout", {".tar": "docker", ".tar.gz": "oci", ".tar.xz": "skopeo"}.items()
)


def passwd(path):
    return path == "/etc/passwd"


def rule(path, keep=passwd):
    """Return the rule that an archive breaks."""
    error = refused("", read_archive, path, keep)
    assert str(error).startswith(f"{path}: ")
    return error.rule


@pytest.fixture
def broken(tmp_path):
    """Return a function that gives the rule which the bytes of an archive break."""

    def broken(content):
        path = tmp_path / "a.tar"
        path.write_bytes(content)
        return rule(path)

    return broken


def files(image):
    return {path: entry.content for path, entry in image.view().items() if entry.content}


@pytest.mark.parametrize("layout", ["docker", "oci", "skopeo"])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_every_layout_and_compression_gives_the_same_image(tmp_path, layout, suffix):
    image = Image([GOOD, {"etc/passwd": b"new", "opt/app/a.py": b"pass"}])
    archive = read_archive(image.save(tmp_path / f"a{suffix}", layout), passwd)
    assert archive.id == f"sha256:{sha(image.text())}"
    assert archive.config == json.loads(image.text())
    assert [layer.digest for layer in archive.layers] == [f"sha256:{sha(t)}" for t in image.tars()]
    assert [layer.size for layer in archive.layers] == [len(t) for t in image.tars()]
    assert [layer.entries["/etc/passwd"].content for layer in archive.layers] == [PASSWD, b"new"]
    assert files(archive) == {"/etc/passwd": b"new"}
    assert archive.tags == list(image.tags)
    assert archive.ended
    assert archive.compression == {".tar": "", ".tar.gz": "gzip", ".tar.xz": "xz"}[suffix]
    assert (archive.index is not None) == (layout == "oci")


@pytest.mark.parametrize(
    "upper, left",
    [
        ({"a/.wh.b": b""}, {"/a/c/d": b"2", "/e": b"3"}),
        ({".wh.a": b""}, {"/e": b"3"}),
        ({"a/c/.wh..wh..opq": b""}, {"/a/b": b"1", "/e": b"3"}),
        ({".wh..wh..opq": b"", "f": b"4"}, {"/f": b"4"}),
        ({".wh.a": b"", "a/b": b"5"}, {"/a/b": b"5", "/e": b"3"}),
        ({"a": b"a file"}, {"/a": b"a file", "/e": b"3"}),
        ({"e/": None, "e/x": b"6"}, {"/a/b": b"1", "/a/c/d": b"2", "/e/x": b"6"}),
    ],
)
def test_upper_layers_hide_and_remove_files_of_lower_ones(tmp_path, upper, left):
    path = Image([{"a/": None, "a/b": b"1", "a/c/d": b"2", "e": b"3"}, upper]).save(
        tmp_path / "a.tar", "docker"
    )
    assert files(read_archive(path, lambda _: True)) == left


def test_names_with_dots_and_slashes_are_the_same_paths(tmp_path):
    layer = tar([member("./etc/passwd", b"1"), member("//x//y", b"2"), member("../z", b"3")])
    archive = read_archive(Image([layer]).save(tmp_path / "a.tar"), lambda _: True)
    assert files(archive) == {"/etc/passwd": b"1", "/x/y": b"2", "/z": b"3"}


def manifest(**changes):
    return json.dumps([{"Config": "c.json", "Layers": [], "RepoTags": None, **changes}]).encode()


@pytest.mark.parametrize(
    "expected, changed",
    [
        ("archive.manifest-missing", {"manifest.json": None}),
        ("archive.manifest-missing", {"manifest.json": b"[" * 100_000}),
        ("archive.manifest-invalid", {"manifest.json": b"{}"}),
        ("archive.manifest-invalid", {"manifest.json": manifest(Config=1)}),
        ("archive.manifest-invalid", {"manifest.json": manifest(Layers=[1])}),
        ("archive.several-images", {"manifest.json": b"[{}, {}]"}),
        ("archive.config-missing", {"manifest.json": manifest()}),
        ("archive.layer-missing", {"manifest.json": manifest(Layers=["x"]), "c.json": b"{}"}),
        (
            "archive.layer-damaged",
            {"manifest.json": manifest(Layers=["x"]), "c.json": b"{}", "x": b"no tar"},
        ),
    ],
)
def test_each_defect_of_the_manifest_has_its_rule(tmp_path, expected, changed):
    assert rule(Image(changed=changed).save(tmp_path / "a.tar")) == expected


def test_links_in_a_circle_lead_nowhere(broken):
    circle = tar([link("manifest.json", "b"), link("b", "manifest.json")])
    assert broken(circle) == "archive.manifest-missing"


@pytest.mark.parametrize(
    "name", ["MANIFEST.json", "a/../manifest.json", "/manifest.json", "../a", "man\u0131fest.json"]
)
def test_a_second_name_of_a_member_is_refused(broken, name):
    """Some readers take it for the manifest, others do not."""
    assert broken(tar([*Image().docker(), member(name, b"[]")])) == "archive.twice"


@pytest.mark.parametrize("same", [True, False])
def test_an_index_that_leads_to_another_image_is_refused(tmp_path, same):
    image = Image()
    other = Image(tags=("debian:bookworm",)).configured(User="0")
    blobs = {}

    def blob(value, **about):
        text = json.dumps(value).encode()
        blobs[f"blobs/sha256/{sha(text)}"] = text
        return {"digest": f"sha256:{sha(text)}", **about}

    theirs = image if same else other
    platform = {"architecture": "unknown", "os": "unknown"}
    told = [
        blob({"config": {"digest": f"sha256:{sha(theirs.text())}"}}),
        blob({"config": {"digest": f"sha256:{sha(b'provenance')}"}}, platform=platform),
    ]
    blobs["index.json"] = json.dumps({"manifests": [blob({"manifests": told})]}).encode()
    image.changed = blobs
    path = image.save(tmp_path / "a.tar", "oci")
    if same:
        assert read_archive(path, passwd).id == f"sha256:{sha(image.text())}"
    else:
        assert rule(path) == "archive.several-images"


def test_more_members_than_any_image_has_are_refused(broken, monkeypatch):
    monkeypatch.setattr(archive, "MEMBERS", 20)
    assert broken(tar([*Image().docker(), *(member(f"{n}/") for n in range(20))])) == "archive.bomb"


def test_other_compressions_are_named(broken):
    assert broken(b"\x28\xb5\x2f\xfd" + bytes(600)) == "archive.compression"


@packed
def test_a_cut_archive_is_refused_wherever_it_is_cut(tmp_path, layout, suffix):
    whole = Image([GOOD, {"a": random.Random(0).randbytes(3000)}]).save(
        tmp_path / f"a{suffix}", layout
    )
    content = whole.read_bytes()
    path = tmp_path / f"cut{suffix}"
    end = len(content) - (0 if suffix != ".tar" else 10240 + 512)  # the rest are zeros
    for length in random.Random(1).sample(range(end), min(end, 100)):
        path.write_bytes(content[:length])
        refusal = rule(path)
        assert refusal in ("archive.cut", "archive.damaged", "archive.manifest-missing")
        assert suffix == ".tar" or refusal != "archive.manifest-missing"


@pytest.mark.parametrize("outer", [True, False])
def test_an_archive_that_expands_without_measure_is_refused(broken, monkeypatch, outer):
    monkeypatch.setattr(tarball, "LEAST_BYTES", 2**20)
    bomb = gzip.compress(tar([member("zeros", bytes(2**23))]), 9)
    assert broken(bomb if outer else tar([member("x", bomb)])) == "archive.bomb"


def test_a_header_as_large_as_a_file_is_refused(broken):
    assert broken(gzip.compress(tar([member("n" * 2**21, b"")]))) == "archive.bomb"


def test_too_many_entries_files_and_texts_are_refused(tmp_path, monkeypatch):
    path = Image([{f"{n}": b"{}" for n in range(60)}]).save(tmp_path / "a.tar")
    monkeypatch.setattr(archive, "LISTED", 50)
    assert rule(path, lambda _: True) == "archive.bomb"
    assert len(read_archive(path, passwd, lambda _: True).view()) == 50
    monkeypatch.undo()
    monkeypatch.setattr(archive, "KEPT_BYTES", 500)
    assert rule(path, lambda _: True) == "archive.bomb"
    monkeypatch.undo()
    monkeypatch.setattr(tarball.Budget, "of", lambda size: tarball.Budget(2**30, 20))
    assert rule(path) == "archive.bomb"


def test_an_xz_dictionary_of_gibibytes_is_refused(broken, monkeypatch):
    monkeypatch.setattr(tarball, "DICTIONARY_BYTES", 2**20)
    assert broken(lzma.compress(bytes(9999), preset=9)) == "archive.bomb"


@packed
def test_config_and_layers_alone_are_left(tmp_path, layout, suffix):
    layers = [GOOD, {"a": b"1" * 600}, {"a": b"2"}, {"a": b"2"}]
    image = Image(layers, tags=("debian:bookworm",), changed={"repositories": b'{"debian": {}}'})
    path = image.save(tmp_path / f"a{suffix}", layout)
    with tarfile.open(
        fileobj=io.BytesIO(b"".join(anew(path, read_archive(path, lambda _: False))))
    ) as new:
        contents = {entry.name: new.extractfile(entry).read() for entry in new}
    config = f"{sha(image.text())}.json"
    layers = image.tars()
    names = [f"{sha(layer)}/layer.tar" for layer in layers]
    listed = json.loads(contents.pop("manifest.json"))
    assert contents == {config: image.text(), **dict(zip(names, layers, strict=True))}
    assert listed == [{"Config": config, "RepoTags": None, "Layers": names}]


@pytest.mark.parametrize("stated", [None, [], [f"sha256:{sha(b'')}"]])
def test_layers_that_are_not_those_of_the_config_are_refused(tmp_path, stated):
    image = Image()
    image.config["rootfs"] = {"type": "layers", "diff_ids": stated}
    path = image.save(tmp_path / "a.tar")
    with pytest.raises(ArchiveError, match=r"a.tar: .*(the config lists|expected sha256)"):
        next(anew(path, read_archive(path, lambda _: False)))


@pytest.mark.parametrize("change", ["longer", "shorter", "other", "missing", "no tar"])
def test_a_file_that_changes_after_it_was_read_is_refused(tmp_path, change):
    """The size in the header never is exceeded: what follows would be read as members."""
    image = Image([{"a": b"1" * 600}])
    path = tmp_path / "a.tar"
    path.write_bytes(tar(image.oci(gzip.compress)))
    read = read_archive(path, lambda _: False)
    name = f"blobs/sha256/{sha(image.tars()[0])}"
    layer = {
        "longer": gzip.compress(tar({"a": b"1" * 600, "b": bytes(2**20)})),
        "shorter": gzip.compress(tar({})),
        "other": gzip.compress(tar({"a": b"2" * 600})),
        "missing": None,
        "no tar": b"text",
    }[change]
    others = [pair for pair in image.oci(gzip.compress) if pair[0].name != name]
    path.write_bytes(tar(others if layer is None else [*others, member(name, layer)]))
    written = io.BytesIO()
    with pytest.raises(ArchiveError, match="layer .* changed while it was read"):
        written.writelines(anew(path, read))
    assert len(written.getvalue()) < 2**16
