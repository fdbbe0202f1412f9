"""Archives of strangers, written anew: what a daemon reads is ours but for config and layers."""

import gzip
import io
import json
import tarfile

import pytest
from archives import GOOD, Image, member, sha, tar

from cytosuite.benchmark.submission.checks.anew import anew
from cytosuite.benchmark.submission.checks.archive import nothing, read_archive
from cytosuite.benchmark.submission.checks.stream import ArchiveError

LAYERS = [GOOD, {"a": b"1" * 600}, {"a": b"2"}, {"a": b"2"}]


@pytest.mark.parametrize("layout", ["docker", "oci", "skopeo"])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_config_and_layers_alone_are_left(tmp_path, layout, suffix):
    image = Image(LAYERS, tags=("debian:bookworm",), changed={"repositories": b'{"debian": {}}'})
    path = image.save(tmp_path / f"a{suffix}", layout)
    with tarfile.open(fileobj=io.BytesIO(b"".join(anew(path, read_archive(path, nothing))))) as new:
        found = {entry.name: new.extractfile(entry).read() for entry in new}
    config, layers = f"{sha(image.text())}.json", image.tars()
    names = [f"{sha(each)}/layer.tar" for each in layers]
    assert found == {
        "manifest.json": found["manifest.json"],
        config: image.text(),
        **dict(zip(names, layers, strict=True)),
    }
    assert json.loads(found["manifest.json"]) == [
        {"Config": config, "RepoTags": None, "Layers": names}
    ]


def test_keys_of_the_manifest_that_only_a_daemon_reads_are_gone(tmp_path):
    """`Parent` would put the image among the steps that a build takes again."""
    image = Image()
    manifest = json.loads(tar_of(image.docker(), "manifest.json"))
    manifest[0] |= {"Parent": f"sha256:{sha(b'ours')}", "repotags": ["debian:bookworm"]}
    image.changed = {"manifest.json": json.dumps(manifest).encode()}
    path = image.save(tmp_path / "a.tar")
    text = b"".join(anew(path, read_archive(path, nothing)))
    assert b"Parent" not in text
    assert b"debian" not in text


def tar_of(members, name):
    """Return the content of a member."""
    return next(content for info, content in members if info.name == name)


@pytest.mark.parametrize("stated", [None, [], [f"sha256:{sha(b'')}"]])
def test_layers_that_are_not_those_of_the_config_are_refused(tmp_path, stated):
    image = Image()
    image.config["rootfs"] = {"type": "layers", "diff_ids": stated}
    path = image.save(tmp_path / "a.tar")
    with pytest.raises(ArchiveError, match=r"a.tar: .*(the config lists|expected sha256)"):
        next(anew(path, read_archive(path, nothing)))


@pytest.mark.parametrize("change", ["longer", "shorter", "other", "missing", "no tar"])
def test_a_file_that_changes_after_it_was_read_is_refused(tmp_path, change):
    """The size in the header never is exceeded: what follows would be read as members."""
    image = Image([{"a": b"1" * 600}])
    path = tmp_path / "a.tar"
    path.write_bytes(tar(image.oci(gzip.compress)))
    read = read_archive(path, nothing)
    name = f"blobs/sha256/{sha(image.tars()[0])}"
    layer = {
        "longer": gzip.compress(tar({"a": b"1" * 600, "b": bytes(2**20)})),
        "shorter": gzip.compress(tar({})),
        "other": gzip.compress(tar({"a": b"2" * 600})),
        "missing": None,
        "no tar": b"text",
    }[change]
    kept = [pair for pair in image.oci(gzip.compress) if pair[0].name != name]
    path.write_bytes(tar(kept if layer is None else [*kept, member(name, layer)]))
    written = io.BytesIO()
    with pytest.raises(ArchiveError, match="layer .* changed while it was read"):
        written.writelines(anew(path, read))
    assert len(written.getvalue()) < 2**16
