"""Containers of others: their names, labels and sockets, and the cases that they see."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from cytosuite.benchmark.engines.guest import (
    Guest,
    SocketMapping,
    api_of,
    guest_manifest,
    guest_names,
    is_guest,
)
from cytosuite.benchmark.engines.guest_session import GuestSession
from cytosuite.benchmark.engines.outcome import Outcome, StartError
from cytosuite.errors import InputError
from cytosuite.formats import header, read, write
from cytosuite.interface import read_case, write_case
from cytosuite.manifest import Name, parse
from cytosuite.tasks import TASKS
from cytosuite.volume import Volume

SEGMENT = TASKS["segment"]
IMAGE = Volume(
    np.arange(240, dtype=np.uint16).reshape(4, 6, 10), (2.0, 0.5, 0.4), "ZYX", {"channel": "x"}
)
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


def guest(**changes):
    mapping = SocketMapping.model_validate(changes.pop("mapping", {}))
    own = {"name": "team", "word": "team:v1", "image": "sha256:" + "0" * 64, "api": "exec"}
    return Guest(task=SEGMENT, mapping=mapping, **{**own, **changes})


@pytest.fixture
def run(tmp_path, case):
    """Return a function that runs a case with a function in place of a container."""

    def run(behave, status="ok", message="", **changes):
        seen = SimpleNamespace()

        def predict(folder, output, log, shown=lambda _: None):
            seen.listed = json.loads((folder / "inputs.json").read_text())
            paths = [path for path in folder.rglob("*") if path.is_file()]
            seen.files = sorted(path.relative_to(folder).as_posix() for path in paths)
            behave(folder, output)
            return Outcome(status, 1.0, None, 0, message)

        inner = SimpleNamespace(predict=predict, startup_seconds=2.0)
        session = GuestSession(inner, guest(**changes), tmp_path / "given")
        output = tmp_path / "out"
        output.mkdir()
        seen.outcome = session.predict(case, output, tmp_path / "log")
        seen.output = sorted(
            p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file()
        )
        assert not (tmp_path / "given").exists()
        assert session.startup_seconds == 2.0
        return seen

    return run


def put(place):
    """Return a container that writes a file."""

    def behave(_, output):
        (output / place).parent.mkdir(parents=True, exist_ok=True)
        (output / place).write_text("x")

    return behave


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("team:v1", "team_v1"),
        ("team:latest", "team"),
        ("registry:5000/lab/Team-X:1.0", "team_x_1_0"),
        ("lab/team@sha256:" + "a" * 64, "team"),
        ("dir/my best.tar.xz", "my_best"),
        ("2net.tar", "image_2net"),
        ("___.tar.gz", "image"),
    ],
)
def test_a_name_is_made_of_the_last_words_and_is_one_of_an_algorithm(word, name):
    assert is_guest(word)
    assert guest_names([word], []) == {word: name}
    manifest = guest_manifest(guest(name=name, word=word), {})
    assert type(manifest).model_fields["name"].annotation is Name.__origin__
    assert parse("x", manifest.model_dump() | {"version": "1.0.0"}, type(manifest)).name == name


def test_names_are_unique_whatever_else_runs():
    words = ["a/net:v1", "b/net:v1", "watershed.tar.gz", "oracle:latest", "net:v2"]
    names = guest_names(words, ["watershed", "oracle"])
    assert len(set(names.values())) == 5
    assert not {"watershed", "oracle", "net_v1"} & set(names.values())
    assert names["net:v2"] == "net_v2"
    assert guest_names(words[::-1], ["watershed", "oracle"]) == names


@pytest.mark.parametrize(
    ("labels", "api"),
    [
        ({}, "exec"),
        ({"org.grand-challenge.api-method": "exec"}, "exec"),
        ({" Org.Grand-Challenge.API-method ": " 'Invoke' "}, "invoke"),
        ({"org.grand-challenge.api-method": '"invoke"'}, "invoke"),
    ],
)
def test_the_api_is_read_from_the_label_as_on_the_platform(labels, api):
    assert api_of(labels, "team") == api


def test_another_api_is_refused():
    with pytest.raises(InputError, match="must be exec or invoke, found 'http'; give API=exec or"):
        api_of({"org.grand-challenge.api-method": "http"}, "team")


def test_labels_of_a_stranger_become_short_plain_lines():
    key = "org.opencontainers.image."
    labels = {f"{key}version": "1\x1b[31m\n" + "9" * 500, f"{key}authors": "A\u202eB"}
    found = guest_manifest(guest(word="/home/me/team.tar.gz"), labels)
    assert found.title == "team.tar.gz"
    assert len(found.version) == 100
    assert all(text.isprintable() for text in (found.version, *found.authors))
    assert guest_manifest(guest(), {}).version == "sha256:000000000000"


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


def test_what_a_container_sees_is_a_case_that_our_reader_reads(run, tmp_path):
    def behave(folder, output):
        found = read_case(folder, SEGMENT)
        np.testing.assert_array_equal(found.volumes["microscopy-image"].array, IMAGE.array)
        assert found.volumes["microscopy-image"].spacing == IMAGE.spacing
        put("images/instance-labels/x.tif")(folder, output)

    assert run(behave, format="mha").outcome.status == "ok"


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


def test_the_place_of_an_output_may_hold_that_of_ours(run):
    mapping = {"outputs": {"instance-labels": {"slug": "x", "path": "images"}}}
    seen = run(put("images/a.tif"), mapping=mapping)
    assert seen.output == ["images/instance-labels/a.tif"]


def test_an_output_elsewhere_is_named(run):
    seen = run(put("images/cells/output.mha"))
    assert seen.outcome.status == "missing output"
    assert seen.outcome.message == (
        "expected /output/images/instance-labels, found images/cells/output.mha; "
        "SOCKETS=<file.toml> maps the names"
    )


def test_the_name_of_the_image_is_the_same_in_every_run_and_another_for_every_case(run, tmp_path):
    first = run(put("images/instance-labels/x.tif")).listed[1]["image"]["pk"]
    write_case(
        tmp_path / "other", SEGMENT, "secret_8", {"microscopy-image": tmp_path / "image.tif"}
    )
    listed = []

    def predict(folder, *_):
        listed.extend(json.loads((folder / "inputs.json").read_text()))
        return Outcome("time-out", 1.0, None, None, "")

    inner = SimpleNamespace(predict=predict, startup_seconds=0.0)
    GuestSession(inner, guest(), tmp_path / "g").predict(tmp_path / "other", tmp_path, tmp_path)
    assert len(first) == 36
    assert first != listed[-1]["image"]["pk"]


class TestMistakesInAMapping:
    """The docstring of each is the message."""

    def _of_the_socket(self, found):
        """sockets: outputs.labels is no socket of the task segment; expected instance-labels"""
        found["outputs"] = {"labels": {"slug": "x"}}

    def _of_the_path(self, found):
        """must be a path below /input or /output, like images/<name>, found '../x'"""
        found["outputs"]["instance-labels"]["path"] = "../x"

    def _of_an_absolute_path(self, found):
        """must be a path below /input or /output, like images/<name>, found '/output/x'"""
        found["outputs"]["instance-labels"]["path"] = "/output/x"

    def _of_the_list(self, found):
        """must be a path below /input or /output, like images/<name>, found 'inputs.json'"""
        found["inputs"]["acquisition-metadata"] = {"slug": "x", "path": "inputs.json"}

    def _of_the_format(self, found):
        """inputs.microscopy-image.format: input should be 'tif' or 'mha', found 'nii'"""
        found["inputs"]["microscopy-image"]["format"] = "nii"

    def _of_a_key(self, found):
        """inputs.microscopy-image.pfad is not a known key"""
        found["inputs"]["microscopy-image"]["pfad"] = "x"

    def _of_one_place_for_two(self, found):
        """sockets: inputs need different paths"""
        found["inputs"]["acquisition-metadata"] = {"slug": "m", "path": "images/generic-microscopy"}

    @pytest.mark.parametrize(
        "mistake",
        [
            _of_the_socket,
            _of_the_path,
            _of_an_absolute_path,
            _of_the_list,
            _of_the_format,
            _of_a_key,
            _of_one_place_for_two,
        ],
    )
    def test_is_refused_with_its_message(self, mistake):
        found = json.loads(json.dumps(THEIRS))
        mistake(self, found)
        with pytest.raises(InputError) as refusal:
            parse("sockets.toml", found, SocketMapping).fits(SEGMENT)
        assert mistake.__doc__ in str(refusal.value)


@pytest.mark.parametrize(
    ("user", "message", "hint"),
    [
        ("", "PermissionError: [Errno 13] Permission denied: '/x'", "no USER other than root"),
        ("0:0", "mkdir: Operation not permitted", "no USER other than root"),
        ("1000", "PermissionError: [Errno 13] Permission denied: '/x'", ""),
        ("1000", "OSError: [Errno 30] Read-only file system: '/x'", "only /output and /tmp"),
        ("root", "ValueError: wrong", ""),
    ],
)
def test_failures_that_isolation_causes_come_with_a_hint(run, user, message, hint):
    found = run(lambda *_: None, "non-zero exit", message, user=user).outcome.message
    assert found.startswith(message)
    assert hint in found
    assert (found == message) == (not hint)


def test_a_start_that_fails_in_the_middle_comes_with_a_hint(tmp_path, case):
    def predict(*_):
        raise StartError("team did not start: no server listens on port 4743")

    session = GuestSession(SimpleNamespace(predict=predict), guest(), tmp_path / "given")
    with pytest.raises(StartError, match="4743; API=exec needs none"):
        session.predict(case, tmp_path, tmp_path / "log")


def test_the_identity_holds_image_and_sockets_but_not_the_api():
    first = guest().identity
    assert first == guest(api="invoke", name="other").identity
    others = [guest(image="sha256:1"), guest(mapping=THEIRS), guest(format="mha")]
    assert len({first, *(other.identity for other in others)}) == 4
