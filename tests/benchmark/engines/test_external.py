"""Containers of others: their names, labels and sockets, and the cases that they see."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mistakes import refused
from rasters import counted

from cytosuite.benchmark.engines.external import (
    ExternalImage,
    ExternalSession,
    Place,
    SocketMapping,
    api_of,
    external_manifest,
    external_names,
    is_external,
    place_of,
)
from cytosuite.benchmark.engines.outcome import Outcome, StartError
from cytosuite.contract.interface import write_case
from cytosuite.contract.manifest import Name, parse
from cytosuite.contract.tasks import LABELS, POINTS, TASKS, TRACKS
from cytosuite.files import read_json, write_text
from cytosuite.formats import header, read, write
from cytosuite.volume import Volume
from tests.hostile.tally import digests

SEGMENT = TASKS["segment"]
IMAGE = Volume(counted(4, 6, 10), (2.0, 0.5, 0.4), "ZYX", {"channel": "x"})
THEIRS = {
    "inputs": {"microscopy-image": {"slug": "generic-microscopy", "format": "mha"}},
    "outputs": {"instance-labels": {"slug": "cells", "path": "images/Cells-3D"}},
}


@pytest.fixture
def case(tmp_path):
    """Return the input folder of a case as the runner holds it."""
    write(tmp_path / "image.tif", IMAGE)
    sockets = {"microscopy-image": tmp_path / "image.tif", "acquisition-metadata": tmp_path / "a"}
    (tmp_path / "a").write_text('{"channel": "x"}')
    write_case(tmp_path / "case", SEGMENT, "secret_7", sockets)
    return tmp_path / "case"


def external(**changes):
    mapping = SocketMapping.model_validate(changes.pop("mapping", {}))
    fields = {"name": "team", "word": "team:v1", "image": "sha256:" + "0" * 64, "api": "exec"}
    return ExternalImage(task=SEGMENT, mapping=mapping, **{**fields, **changes})


@pytest.fixture
def run(tmp_path, case):
    """Return a function that runs a case with a function in place of a container."""

    def run(behave, status="ok", message="", **changes):
        seen = SimpleNamespace()

        def predict(folder, output, log, shown=lambda _: None):
            seen.listed = read_json(folder / "inputs.json")
            seen.files = [*digests(folder)]
            behave(folder, output)
            return Outcome(status, 1.0, None, 0, message)

        inner = SimpleNamespace(predict=predict, startup_seconds=2.0)
        session = ExternalSession(inner, external(**changes), tmp_path / "given")
        output = tmp_path / "out"
        output.mkdir()
        seen.outcome = session.predict(case, output, tmp_path / "log")
        seen.output = [*digests(output)]
        assert not (tmp_path / "given").exists()
        assert session.startup_seconds == 2.0
        return seen

    return run


def put(place):
    """Return a container that writes a file."""

    def behave(_, output):
        write_text(output / place, "x")

    return behave


@pytest.mark.parametrize(
    "word, name",
    {
        "team:latest": "team",
        "registry:5000/lab/Team-X:1.0": "team_x_1_0",
        "lab/team@sha256:" + "a" * 64: "team",
        "dir/my best.tar.xz": "my_best",
        "Net.TAR.GZ": "net",
        "2net.tar": "image_2net",
    }.items(),
)
def test_a_name_is_made_of_the_last_words_and_is_one_of_an_algorithm(word, name):
    assert is_external(word)
    assert external_names([word], []) == {word: name}
    manifest = external_manifest(external(name=name, word=word), {})
    assert type(manifest).model_fields["name"].annotation is Name.__origin__
    assert parse("x", manifest.model_dump() | {"version": "1.0.0"}, type(manifest)).name == name


def test_names_are_unique_whatever_else_runs():
    words = ["a/net:v1", "b/net:v1", "watershed.tar.gz", "oracle:latest", "net:v2"]
    names = external_names(words, ["watershed", "oracle"])
    assert len(set(names.values())) == 5
    assert not {"watershed", "oracle", "net_v1"} & set(names.values())
    assert names["net:v2"] == "net_v2"
    assert external_names(words[::-1], ["watershed", "oracle"]) == names


@pytest.mark.parametrize(
    "labels, api",
    [
        ({}, "exec"),
        ({" Org.Grand-Challenge.API-method ": " 'Invoke' "}, "invoke"),
        ({"org.grand-challenge.api-method": '"invoke"'}, "invoke"),
    ],
)
def test_the_api_is_read_from_the_label_as_on_the_platform(labels, api):
    assert api_of(labels, "team") == api
    refused(
        "must be exec or invoke, found 'http'; give API=exec or",
        api_of,
        {"org.grand-challenge.api-method": "http"},
        "team",
    )


def test_labels_of_a_stranger_become_short_plain_lines():
    key = "org.opencontainers.image."
    manifest = external_manifest(
        external(word="/home/me/team.tar.gz"),
        {f"{key}version": "1\x1b[31m\n" + "9" * 500, f"{key}authors": "A\u202eB"},
    )
    assert manifest.title == "team.tar.gz"
    assert len(manifest.version) == 100
    assert all(text.isprintable() for text in (manifest.version, *manifest.authors))
    assert external_manifest(external(), {}).version == "sha256:000000000000"


def test_without_a_mapping_a_container_sees_our_sockets_as_the_platform_lists_them(run):
    seen = run(put("images/instance-labels/x.mha"))
    metadata, image = seen.listed
    assert image["interface"] == image["socket"]
    assert image["interface"]["slug"] == "microscopy-image"
    assert image["interface"]["super_kind"] == "Image"
    assert set(image) == {"interface", "socket", "value", "file", "image", "pk"}
    assert image["image"]["name"] == "secret_7.tif"
    assert metadata["value"] == {"channel": "x"}
    assert metadata["image"] is None
    place = f"images/microscopy-image/{image['image']['pk']}.tif"
    assert seen.files == sorted(["acquisition-metadata.json", place, "inputs.json"])
    assert "secret_7" not in "".join(seen.files)
    assert seen.output == ["images/instance-labels/x.mha"]


def test_a_mapping_gives_its_sockets_alone_under_its_names_and_formats(run):
    def behave(folder, output):
        (path,) = (folder / "images/generic-microscopy").iterdir()
        assert path.suffix == ".mha"
        assert header(path).spacing == IMAGE.spacing
        np.testing.assert_array_equal(read(path).array, IMAGE.array)
        assert "channel" not in read(path).metadata  # the platform drops such keys
        put("images/Cells-3D/output.mha")(folder, output)
        put("images/instance-labels/stray.tif")(folder, output)
        put("notes.txt")(folder, output)
        put("record.json")(folder, output)

    seen = run(behave, mapping=THEIRS)
    assert [entry["interface"]["slug"] for entry in seen.listed] == ["generic-microscopy"]
    assert seen.listed[0]["interface"]["relative_path"] == "images/generic-microscopy"
    assert seen.output == ["images/instance-labels/output.mha", "record.json"]


def test_an_output_elsewhere_is_named(run):
    seen = run(put("images/cells/output.mha"))
    assert seen.outcome.status == "missing output"
    assert seen.outcome.message == (
        "expected /output/images/instance-labels, found images/cells/output.mha; "
        "SOCKETS=<file.toml> maps the names"
    )


@pytest.mark.parametrize(
    "message, mapping",
    {
        "outputs.labels is no socket of the task segment; expected instance-labels": {
            "outputs": {"labels": {"slug": "x"}}
        },
        "found '../x'": {"outputs": {"instance-labels": {"slug": "x", "path": "../x"}}},
        "found '/x'": {"outputs": {"instance-labels": {"slug": "x", "path": "/x"}}},
        "'inputs.json'": {"inputs": {"microscopy-image": {"slug": "x", "path": "inputs.json"}}},
        "sockets: inputs need different paths": {
            "inputs": {
                "microscopy-image": {"slug": "x"},
                "acquisition-metadata": {"slug": "m", "path": "images/x"},
            }
        },
    }.items(),
)
def test_a_mistake_in_a_mapping_is_refused(mapping, message):
    refused(message, lambda: parse("sockets.toml", mapping, SocketMapping).fits(SEGMENT))


@pytest.mark.parametrize(
    "user, message, hint",
    [
        ("", "PermissionError: [Errno 13] Permission denied: '/x'", "no USER other than root"),
        ("1000", "OSError: [Errno 30] Read-only file system: '/x'", "only /output and /tmp"),
        ("root", "ValueError: wrong", ""),
    ],
)
def test_failures_that_isolation_causes_come_with_a_hint(run, user, message, hint):
    line = run(lambda *_: None, "non-zero exit", message, user=user).outcome.message
    assert line.startswith(message)
    assert hint in line
    assert (line == message) == (not hint)


def test_a_start_that_fails_in_the_middle_comes_with_a_hint(tmp_path, case):
    def predict(*_):
        raise StartError("team did not start: no server listens on port 4743")

    session = ExternalSession(SimpleNamespace(predict=predict), external(), tmp_path / "given")
    with pytest.raises(StartError, match="4743; API=exec needs none"):
        session.predict(case, tmp_path, tmp_path / "log")


def test_the_identity_holds_image_and_sockets_but_not_the_api():
    first = external().identity
    assert first == external(api="invoke", name="other").identity
    others = [external(image="sha256:1"), external(mapping=THEIRS), external(format="mha")]
    assert len({first, *(other.identity for other in others)}) == 4


def test_a_model_of_ours_is_no_image_of_others_but_a_file_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not is_external("watershed:nuclei-2d")
    assert is_external("lab/watershed:nuclei-2d")
    assert not is_external("net.bz2")
    for name in ("net.bz2", "all"):
        Path(name).touch()
    assert is_external("net.bz2")
    assert not is_external("all")


def test_a_socket_of_another_name_is_a_file_of_its_kind():
    paths = [place_of(socket, Place(slug="cells"))[1] for socket in (TRACKS, POINTS, LABELS)]
    assert paths == ["cells.csv", "cells.json", "images/cells"]
