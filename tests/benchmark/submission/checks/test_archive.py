import gzip
import json
import lzma
import random
from contextlib import suppress

import archives
import pytest
from archives import Image, link, member, sha, tar

from cytosuite.benchmark.submission.checks import archive, stream
from cytosuite.benchmark.submission.checks.archive import read_archive
from cytosuite.benchmark.submission.checks.stream import ArchiveError
from cytosuite.errors import InputError

LAYOUTS = ("docker", "oci", "skopeo")


def passwd(path):
    return path == "/etc/passwd"


def rule(path, keep=passwd):
    """Return the rule that an archive breaks."""
    with pytest.raises(ArchiveError) as caught:
        read_archive(path, keep)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return caught.value.rule


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_every_layout_and_compression_gives_the_same_image(tmp_path, layout, suffix):
    layers = [archives.GOOD, {"etc/passwd": b"new", "opt/app/a.py": b"pass"}]
    image = Image(layers)
    found = read_archive(image.save(tmp_path / f"a{suffix}", layout), passwd)
    assert found.id == f"sha256:{sha(image.text())}"
    assert found.config == json.loads(image.text())
    assert [layer.digest for layer in found.layers] == [f"sha256:{sha(t)}" for t in image.tars()]
    assert [layer.size for layer in found.layers] == [len(t) for t in image.tars()]
    assert [layer.paths for layer in found.layers] == [5, 2]
    assert [layer.kept for layer in found.layers] == [
        {"/etc/passwd": archives.PASSWD},
        {"/etc/passwd": b"new"},
    ]
    assert found.files() == {"/etc/passwd": b"new"}
    assert found.tags == list(image.tags)
    assert found.ended
    assert found.compression == {".tar": "", ".tar.gz": "gzip", ".tar.xz": "xz"}[suffix]
    assert (found.index is not None) == (layout == "oci")


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_layers_may_be_compressed_in_the_archive(tmp_path, pack):
    image = Image()
    path = tmp_path / "a.tar"
    path.write_bytes(tar(image.oci(pack)))
    (layer,) = read_archive(path, passwd).layers
    assert layer.digest == f"sha256:{sha(image.tars()[0])}"
    assert layer.kept == {"/etc/passwd": archives.PASSWD}


def test_a_layer_that_stands_twice_is_two_layers(tmp_path):
    path = Image([archives.GOOD, archives.GOOD]).save(tmp_path / "a.tar", "skopeo")
    first, second = read_archive(path, passwd).layers
    assert first.digest == second.digest


@pytest.mark.parametrize(
    ("upper", "left"),
    [
        ({}, {"/a/b": b"1", "/a/c/d": b"2", "/e": b"3"}),
        ({"a/.wh.b": b""}, {"/a/c/d": b"2", "/e": b"3"}),
        ({".wh.a": b""}, {"/e": b"3"}),
        ({"a/c/.wh..wh..opq": b""}, {"/a/b": b"1", "/e": b"3"}),
        ({".wh..wh..opq": b"", "f": b"4"}, {"/f": b"4"}),
        ({".wh.a": b"", "a/b": b"5"}, {"/a/b": b"5", "/e": b"3"}),
        ({"a/b": b"5", ".wh.a": b""}, {"/a/b": b"5", "/e": b"3"}),
        ({"a": b"a file"}, {"/a": b"a file", "/e": b"3"}),
        ({"e/": None, "e/x": b"6"}, {"/a/b": b"1", "/a/c/d": b"2", "/e/x": b"6"}),
    ],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_upper_layers_hide_and_remove_files_of_lower_ones(tmp_path, layout, upper, left):
    lower = {"a/": None, "a/b": b"1", "a/c/d": b"2", "e": b"3"}
    path = Image([lower, upper]).save(tmp_path / "a.tar", layout)
    assert read_archive(path, lambda _: True).files() == left


def test_names_with_dots_and_slashes_are_the_same_paths(tmp_path):
    layer = tar([member("./etc/passwd", b"1"), member("//x//y", b"2"), member("../z", b"3")])
    found = read_archive(Image([layer]).save(tmp_path / "a.tar"), lambda _: True)
    assert found.files() == {"/etc/passwd": b"1", "/x/y": b"2", "/z": b"3"}


def test_entries_are_listed_with_their_rights(tmp_path):
    layer = tar([member("a/", mode=0o2750, uid=7, gid=8), link("b", "../a"), member("c", b"123")])
    found = read_archive(Image([layer]).save(tmp_path / "a.tar"), passwd, lambda p: p != "/c")
    assert found.view() == {
        "/a": archive.Entry("folder", 0o2750, 7, 8),
        "/b": archive.Entry("link", 0o644, target="../a"),
    }
    assert found.files() == {}


def test_a_large_file_is_listed_without_its_content(tmp_path):
    (layer,) = read_archive(Image().save(tmp_path / "a.tar"), passwd, largest=10).layers
    assert layer.kept == {}
    assert layer.entries["/etc/passwd"].size == len(archives.PASSWD)


def manifest(**changes):
    return json.dumps([{"Config": "c.json", "Layers": [], "RepoTags": None, **changes}]).encode()


@pytest.mark.parametrize(
    ("expected", "changed"),
    [
        ("archive.manifest-missing", {"manifest.json": None}),
        ("archive.manifest-missing", {"manifest.json": b"[{]"}),
        ("archive.manifest-missing", {"manifest.json": b"\xff\xfe"}),
        ("archive.manifest-missing", {"manifest.json": b"[" * 100_000}),
        ("archive.manifest-invalid", {"manifest.json": b"{}"}),
        ("archive.manifest-invalid", {"manifest.json": b"[1]"}),
        ("archive.manifest-invalid", {"manifest.json": manifest(Config=1)}),
        ("archive.manifest-invalid", {"manifest.json": manifest(Layers={})}),
        ("archive.manifest-invalid", {"manifest.json": manifest(Layers=[1])}),
        ("archive.several-images", {"manifest.json": b"[]"}),
        ("archive.several-images", {"manifest.json": b"[{}, {}]"}),
        ("archive.config-missing", {"manifest.json": manifest()}),
        ("archive.config-missing", {"manifest.json": manifest(), "c.json": b"[]"}),
        ("archive.config-missing", {"manifest.json": manifest(), "c.json": b"{"}),
        ("archive.layer-missing", {"manifest.json": manifest(Layers=["x"]), "c.json": b"{}"}),
        (
            "archive.layer-damaged",
            {"manifest.json": manifest(Layers=["x"]), "c.json": b"{}", "x": b"no tar"},
        ),
    ],
)
def test_each_defect_of_the_manifest_has_its_rule(tmp_path, expected, changed):
    assert rule(Image(changed=changed).save(tmp_path / "a.tar")) == expected


@pytest.mark.parametrize("layout", LAYOUTS)
def test_links_in_a_circle_lead_nowhere(tmp_path, layout):
    path = tmp_path / "a.tar"
    path.write_bytes(tar([link("manifest.json", "b"), link("b", "manifest.json")]))
    assert rule(path) == "archive.manifest-missing"


@pytest.mark.parametrize(
    "name",
    [
        *("manifest.json", "MANIFEST.json", "./manifest.json", "a/../manifest.json"),
        *("/manifest.json", "../manifest.json", "a//manifest.json", "man\u0131fest.json"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_second_name_of_a_member_is_refused(tmp_path, name, first):
    """Some readers take it for the manifest, others do not."""
    found = [*Image().docker(), member(name, b"[]")]
    path = tmp_path / "a.tar"
    path.write_bytes(tar(found[-1:] + found[:-1] if first else found))
    assert rule(path) == "archive.twice"


@pytest.mark.parametrize("same", [True, False])
def test_an_index_that_leads_to_another_image_is_refused(tmp_path, same):
    image, other = Image(), Image(tags=("debian:bookworm",)).configured(User="0")
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


def test_more_members_than_any_image_has_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MEMBERS", 20)
    path = tmp_path / "a.tar"
    path.write_bytes(tar([*Image().docker(), *(member(f"{n}/") for n in range(20))]))
    assert rule(path) == "archive.bomb"


def test_a_sparse_file_in_a_layer_is_listed_without_its_content(tmp_path):
    facts = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9999"}
    facts["GNU.sparse.name"] = "holes"
    sparse = member("x", b"1\n0\n4\n".ljust(512, b"\0") + b"abcd", pax_headers=facts)
    path = Image([tar([sparse, member("a", b"1")])]).save(tmp_path / "a.tar")
    found = read_archive(path, lambda _: True)
    assert found.files() == {"/a": b"1"}
    assert found.view()["/holes"] == archive.Entry("file", size=9999)


@pytest.mark.parametrize("content", [b"", b"x", b"hello " * 1000, b"\x1f\x8b", b"\x1f\x8b" * 600])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(content)
    assert rule(path) in ("archive.damaged", "archive.cut")


@pytest.mark.parametrize("mark", [b"\x28\xb5\x2f\xfd", b"BZh91AY"])
def test_other_compressions_are_named(tmp_path, mark):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(mark + bytes(600))
    assert rule(path) == "archive.compression"


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_archive(tmp_path / "a.tar", passwd)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_a_cut_archive_is_refused_wherever_it_is_cut(tmp_path, layout, suffix):
    whole = Image([archives.GOOD, {"a": random.Random(0).randbytes(3000)}]).save(
        tmp_path / f"a{suffix}", layout
    )
    content, path = whole.read_bytes(), tmp_path / f"cut{suffix}"
    end = len(content) - (0 if suffix != ".tar" else 10240 + 512)  # the rest are zeros
    for length in random.Random(1).sample(range(end), min(end, 150)):
        path.write_bytes(content[:length])
        found = rule(path)
        assert found in ("archive.cut", "archive.damaged", "archive.manifest-missing")
        assert suffix == ".tar" or found != "archive.manifest-missing"


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_altered_bytes_never_give_a_traceback(tmp_path, suffix):
    whole = Image().save(tmp_path / f"a{suffix}", "oci")
    content, path, draw = whole.read_bytes(), tmp_path / f"b{suffix}", random.Random(2)
    for _ in range(300):
        altered = bytearray(content)
        for _ in range(draw.choice([1, 2, 20])):
            altered[draw.randrange(len(altered))] = draw.randrange(256)
        path.write_bytes(altered)
        with suppress(ArchiveError):  # where a byte does not matter, or nothing guards it
            found = read_archive(path, passwd)
            assert suffix == ".tar" or found.files() == {"/etc/passwd": archives.PASSWD}


def test_an_altered_layer_has_another_digest(tmp_path):
    image = Image([{"a": b"0" * 600}])
    content = image.save(tmp_path / "a.tar").read_bytes()
    (tmp_path / "b.tar").write_bytes(content.replace(b"0" * 512, b"0" * 511 + b"1"))
    before, after = (read_archive(tmp_path / name, passwd).layers[0] for name in ("a.tar", "b.tar"))
    assert before.digest != after.digest


def bomb(size, pack=lambda data: gzip.compress(data, 9)):
    """Return a compressed tar with a member of zeros."""
    return pack(tar([member("zeros", bytes(size))]))


@pytest.mark.parametrize("outer", [True, False])
def test_an_archive_that_expands_without_measure_is_refused(tmp_path, monkeypatch, outer):
    monkeypatch.setattr(stream, "LEAST_BYTES", 2**20)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(bomb(2**23) if outer else tar([member("x", bomb(2**23))]))
    assert rule(path) == "archive.bomb"


def test_a_bomb_in_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "LEAST_BYTES", 2**22)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(tar([member(f"{n}", bomb(2**20)) for n in range(9)])))
    assert rule(path) == "archive.bomb"


@pytest.mark.parametrize("name", ["n" * 2**21, "a/" * 2**20])
def test_a_header_as_large_as_a_file_is_refused(tmp_path, name):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(tar([member(name, b"")])))
    assert rule(path) == "archive.bomb"


def test_too_many_entries_files_and_texts_are_refused(tmp_path, monkeypatch):
    path = Image([{f"{n}": b"{}" for n in range(60)}]).save(tmp_path / "a.tar")
    monkeypatch.setattr(archive, "LISTED", 50)
    assert rule(path, lambda _: True) == "archive.bomb"
    assert len(read_archive(path, passwd, lambda _: True).view()) == 50
    monkeypatch.undo()
    monkeypatch.setattr(archive, "KEPT_BYTES", 500)
    assert rule(path, lambda _: True) == "archive.bomb"
    monkeypatch.undo()
    monkeypatch.setattr(stream.Budget, "of", lambda size: stream.Budget(2**30, 20))
    assert rule(path) == "archive.bomb"


def test_an_xz_dictionary_of_gibibytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "DICTIONARY_BYTES", 2**20)
    path = tmp_path / "a.tar.xz"
    path.write_bytes(lzma.compress(bytes(9999), preset=9))
    assert rule(path) == "archive.bomb"


def test_several_streams_in_one_file_are_one_archive(tmp_path):
    content = tar(Image().docker())
    for name, pack in ((".gz", gzip.compress), (".xz", lzma.compress)):
        path = tmp_path / f"a.tar{name}"
        path.write_bytes(pack(content[:700]) + pack(content[700:]))
        assert read_archive(path, passwd).files() == {"/etc/passwd": archives.PASSWD}
