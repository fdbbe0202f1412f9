"""Images of others on the command line, and their files, without a daemon."""

import hashlib
import io
import json
import tarfile
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from cytosuite.benchmark.commands import guests as module
from cytosuite.benchmark.commands.guests import archive_id, read_sockets, take_in
from cytosuite.benchmark.commands.options import BenchmarkOptions
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.errors import InputError
from cytosuite.tasks import TASKS

SEGMENT = TASKS["segment"]
CONFIG = b'{"architecture": "amd64", "config": {"User": "1000"}}'
DIGEST = hashlib.sha256(CONFIG).hexdigest()


@pytest.fixture
def archive(tmp_path):
    """Return a function that writes an archive with these members."""

    def archive(name="a.tar", mode="w", **members):
        path = tmp_path / name
        with tarfile.open(path, mode) as stream:
            for member, content in members.items():
                entry = tarfile.TarInfo(member)
                entry.size = len(content)
                stream.addfile(entry, io.BytesIO(content))
        return path

    return archive


def manifest(*configs):
    return json.dumps([{"Config": name, "Layers": []} for name in configs]).encode()


@pytest.mark.parametrize("place", [f"{DIGEST}.json", f"blobs/sha256/{DIGEST}", "anything"])
@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tar.xz", "w:xz")]
)
def test_the_id_is_the_digest_of_the_configuration_in_both_layouts(archive, place, name, mode):
    members = {place: CONFIG, "layer/layer.tar": b"0" * 3_000_000}
    first = archive(name, mode, **{"manifest.json": manifest(place)}, **members)
    assert archive_id(first) == f"sha256:{DIGEST}"
    last = archive(f"b{name}", mode, **members, **{"manifest.json": manifest(place)})
    assert archive_id(last) == f"sha256:{DIGEST}"


def _without_manifest(archive):
    """expected 'manifest.json' in it; make it with `docker save`"""
    return archive(**{"x.json": CONFIG})


def _without_configuration(archive):
    """expected 'x.json' in it; make it with `docker save`"""
    return archive(**{"manifest.json": manifest("x.json")})


def _of_two_images(archive):
    """expected one image in manifest.json; make it with `docker save` of one image"""
    return archive(**{"manifest.json": manifest("x.json", "y.json"), "x.json": CONFIG})


def _with_a_strange_manifest(archive):
    """expected one image in manifest.json"""
    return archive(**{"manifest.json": b"[1]"})


def _with_a_deep_manifest(archive):
    """expected one image in manifest.json"""
    return archive(**{"manifest.json": b"[" * 100_000})


def _that_is_no_archive(archive):
    """cannot be read as an archive of an image"""
    path = archive()
    path.write_bytes(b"no tar" * 1000)
    return path


def _that_is_cut(archive):
    """cannot be read as an archive of an image"""
    path = archive("a.tar.gz", "w:gz", **{"layer": b"0" * 10**6, "manifest.json": manifest("x")})
    path.write_bytes(path.read_bytes()[:-200])
    return path


def _that_is_a_folder(archive):
    """cannot be read as an archive of an image"""
    return archive().parent


@pytest.mark.parametrize(
    "mistake",
    [
        _without_manifest,
        _without_configuration,
        _of_two_images,
        _with_a_strange_manifest,
        _with_a_deep_manifest,
        _that_is_no_archive,
        _that_is_cut,
        _that_is_a_folder,
    ],
)
def test_a_file_that_is_no_image_is_one_line(archive, mistake):
    path = mistake(archive)
    with pytest.raises(InputError) as refusal:
        archive_id(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert mistake.__doc__ in str(refusal.value)


def test_a_file_of_sockets_is_read_and_refused_with_its_place(tmp_path):
    path = tmp_path / "sockets.toml"
    path.write_text('[inputs]\n"microscopy-image" = { slug = "x", path = "images/X" }\n')
    assert read_sockets(path, SEGMENT).inputs["microscopy-image"].path == "images/X"
    path.write_text("[input]\n")
    with pytest.raises(InputError, match="sockets.toml: input is not a known key; did you mean"):
        read_sockets(path, SEGMENT)
    with pytest.raises(InputError, match="nothing.toml"):
        read_sockets(tmp_path / "nothing.toml", SEGMENT)
    assert read_sockets(None, SEGMENT).inputs is None


def _options(**given):
    return BenchmarkOptions(dataset="spheroid", **given)


def test_plain_processes_refuse_images_of_others():
    said = Console(file=StringIO())
    with pytest.raises(InputError) as refusal:
        take_in(["team:v1"], [], SEGMENT, ProcessEngine(), _options(), said)
    assert str(refusal.value) == (
        "team:v1: an image of others runs with Docker or podman alone, found the engine process; "
        "start a daemon, or leave the image out"
    )
    assert take_in([], [], SEGMENT, ProcessEngine(), _options(), said) == []


@pytest.fixture
def daemon(monkeypatch):
    """Return a daemon with one image, whatever its name, of which the labels can be set."""
    config = {"User": "", "Entrypoint": ["/run"]}
    image = SimpleNamespace(id="sha256:" + "5" * 64, labels={}, attrs={"Config": config})
    monkeypatch.setattr(module, "find_image", lambda client, tag: image)
    monkeypatch.setattr(module.Builder, "base", lambda builder: "our-base")
    return image


def test_an_image_is_given_to_the_engine_with_its_api(daemon):
    engine = DockerEngine(None)
    said = Console(file=StringIO())
    (found,) = take_in(["lab/net:v2"], [], SEGMENT, engine, _options(), said)
    assert (found.name, found.title, found.task) == ("net_v2", "lab/net:v2", "segment")
    assert (engine.guests["net_v2"].api, engine.voice) == ("exec", "")
    daemon.labels = {"org.grand-challenge.api-method": "invoke"}
    take_in(["lab/net:v2"], [], SEGMENT, engine, _options(), said)
    assert (engine.guests["net_v2"].api, engine.voice) == ("serve", "our-base")
    take_in(["lab/net:v2"], [], SEGMENT, engine, _options(api="exec"), said)
    assert engine.guests["net_v2"].api == "exec"
    assert "net_v2: lab/net:v2\n" in said.file.getvalue()


def test_the_word_of_the_user_stands_for_a_wrong_label(daemon):
    daemon.labels = {"org.grand-challenge.api-method": "rest"}
    engine, said = DockerEngine(None), Console(file=StringIO())
    with pytest.raises(InputError, match="team:v1: its label"):
        take_in(["team:v1"], [], SEGMENT, engine, _options(), said)
    take_in(["team:v1"], [], SEGMENT, engine, _options(api="serve"), said)
    assert engine.guests["team_v1"].api == "serve"


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"^their.tar.gz: no such file; expected an archive of"):
        take_in(["their.tar.gz"], [], SEGMENT, DockerEngine(None), _options(), Console())
