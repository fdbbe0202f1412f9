"""Files to upload: archive, models and record, from a daemon that is a stand-in."""

import shutil
import tarfile
from types import SimpleNamespace

import pytest
from archives import Image, member, tar
from mistakes import no_model, refused

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.submission.checks.archive import read_archive
from cytosuite.benchmark.submission.checks.preflight import preflight
from cytosuite.benchmark.submission.export import Submission, export
from cytosuite.benchmark.submission.rehearsal import write_record
from cytosuite.files import file_digest, read_json, write_json, write_text
from tests.hostile.tally import digests

LABELS = {
    "org.opencontainers.image.created": "2026-01-02T03:04:05+00:00",
    "org.opencontainers.image.revision": "abc",
    "org.cytosuite.source-digest": "d1",
    "org.grand-challenge.api-method": "exec",
}
FILES = {
    "etc/passwd": b"user:x:1000:1000::/tmp:/bin/sh\n",
    "opt/app/cytosuite/container.py": b"",
    "opt/app/model/card.json": b"{}",
}


def daemon(labels=LABELS, built_s=2 * 10**9):
    """Return a client of a daemon with one image, built at a time after its sources."""
    built = Image([tar(member(*file, mtime=built_s) for file in FILES.items())]).configured(
        Labels=labels
    )
    built.config["created"] = str(built_s)
    saved = tar(built.docker())
    image = SimpleNamespace(labels=labels, attrs={"Size": 5}, save=lambda chunk_size: [saved])
    return SimpleNamespace(images=SimpleNamespace(get=lambda tag: image))


@pytest.fixture
def exported(tmp_path):
    """Return a function that exports an image and gives the record and the folder."""

    def made(client=None, name="watershed", root=ROOT, folder="dist", **options):
        place = tmp_path / folder
        asked = Submission(algorithms()[name], f"cytosuite/{name}:0.1.0", **options)
        return export(client or daemon(), asked, root, place), place

    return made


def test_the_record_is_true(exported):
    record, folder = exported()
    files = {record[part]["file"] for part in ("image", "models")}
    assert {path.name for path in folder.iterdir()} == files | {"export.json"}
    for part in ("image", "models"):
        path = folder / record[part]["file"]
        assert record[part]["sha256"] == file_digest(path)
        assert record[part]["bytes"] == path.stat().st_size
    image = read_archive(folder / record["image"]["file"], lambda path: True)
    assert image.id == record["image"]["id"]
    assert [layer.digest for layer in image.layers] == record["image"]["layers"]
    assert sum(layer.size for layer in image.layers) == record["image"]["unpacked_bytes"]
    assert record["source"] == {"revision": "abc", "digest": "d1"}
    assert record["limits"] == {"memory_gib": 4, "ask_for_gib": 5, "gpu": False}
    assert [place["slug"] for place in record["outputs"]] == ["instance-labels"]
    assert read_json(folder / "export.json")["watershed"]["api"] == "invoke"


def test_the_models_in_use_are_in_the_tarball(exported, tmp_path):
    home = shutil.copytree(ROOT / "weights/watershed", tmp_path / "root/weights/watershed")
    (home / "use.rules").write_text('{"use": [{"model": "nuclei-2d"}]}')
    record, folder = exported(root=tmp_path / "root")
    with tarfile.open(folder / record["models"]["file"]) as archive:
        assert {"use.rules", "nuclei-2d.json"} <= set(archive.getnames())


@pytest.mark.parametrize("api", ["invoke", "exec"])
def test_label_and_command_are_of_one_interface(exported, api):
    record, folder = exported(api=api)
    path = folder / record["image"]["file"]
    config = read_archive(path, lambda path: False).config["config"]
    assert config["Labels"]["org.grand-challenge.api-method"] == api
    assert config["Cmd"] == [api]
    assert config["Labels"]["org.opencontainers.image.revision"] == "abc"
    assert [finding.rule for finding in preflight(path) if finding.severity == "error"] == []


def test_builds_at_other_times_give_the_same_bytes(exported):
    one, first = exported(daemon(), folder="a")
    two, second = exported(daemon(built_s=2 * 10**9 + 77), folder="b")
    assert one == two
    assert digests(first) == digests(second)


def test_models_may_come_apart(exported):
    inside, folder = exported(folder="a")
    apart, other = exported(models="apart", folder="b")
    assert inside["image"]["id"] != apart["image"]["id"]
    for record, place, there in ((inside, folder, True), (apart, other, False)):
        image = read_archive(place / record["image"]["file"], lambda path: True)
        assert ("/opt/app/model/card.json" in image.view()) is there
    assert apart["models"]["place"] == "apart"
    assert apart["models"]["sha256"] == inside["models"]["sha256"]


def test_ids_of_exports_before_are_kept(exported):
    first, _ = exported(api="exec")
    second, _ = exported(api="invoke")
    _, folder = exported(api="exec")
    record = read_json(folder / "export.json")["watershed"]
    assert record["image"]["id"] == first["image"]["id"]
    assert record["earlier"] == [second["image"]["id"]]
    assert "archive.repeated" in [f.rule for f in preflight(folder / second["image"]["file"])]


def test_a_rehearsal_of_the_same_sources_is_named(exported, tmp_path):
    (tmp_path / "weights").symlink_to(ROOT / "weights")
    record = {"api": "invoke", "identity": "d1", "passed": True, "site": "gc-cpu-4gb"}
    write_record(tmp_path / "runs", "watershed", record)
    assert exported(root=tmp_path)[0]["rehearsed"] == record
    assert exported(root=tmp_path, api="exec")[0]["rehearsed"] is None
    write_record(tmp_path / "runs", "watershed", {**record, "passed": False})
    assert exported(root=tmp_path)[0]["rehearsed"] is None
    write_record(tmp_path / "runs", "watershed", record)
    other = daemon({**LABELS, "org.cytosuite.source-digest": "d2"})
    assert exported(other, root=tmp_path)[0]["rehearsed"] is None


def test_an_image_without_the_time_of_its_sources_is_refused(exported):
    refused("expected the time of its sources.*make build-watershed", exported, daemon({}))


def test_altered_models_are_refused(exported, tmp_path):
    name = "weights/cellpose3d/cells-3d"
    for kind in ("json", "safetensors"):
        write_text(tmp_path / f"{name}.{kind}", (ROOT / f"{name}.json").read_text())
    no_model("the file was altered", exported, name="cellpose3d", root=tmp_path)


def test_models_of_which_none_would_be_chosen_are_refused(exported, tmp_path):
    folder = tmp_path / "weights/watershed"
    source = read_json(ROOT / "weights/watershed/nuclei-2d.json")
    for name in ("first", "second"):
        write_json(folder / f"{name}.json", source | {"name": name, "scores": {}})
    no_model("first: no scores .*; second: no scores", exported, root=tmp_path)
    (folder / "second.json").unlink()
    exported(root=tmp_path)
