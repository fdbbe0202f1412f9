"""Images of others on the command line, and their files, without a daemon."""

from types import SimpleNamespace

import pytest
from mistakes import refused

from cytosuite.benchmark.commands import external as module
from cytosuite.benchmark.commands.external import read_sockets, take_in
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.contract.tasks import TASKS

SEGMENT = TASKS["segment"]


def test_a_file_of_sockets_is_read_and_refused_with_its_place(tmp_path):
    path = tmp_path / "sockets.toml"
    path.write_text('[inputs]\n"microscopy-image" = { slug = "x", path = "images/X" }\n')
    assert read_sockets(path, SEGMENT).inputs["microscopy-image"].path == "images/X"
    path.write_text("[input]\n")
    refused("sockets.toml: input is not a known key; did you mean", read_sockets, path, SEGMENT)
    refused("nothing.toml", read_sockets, tmp_path / "nothing.toml", SEGMENT)
    assert read_sockets(None, SEGMENT).inputs is None


def _options(**options):
    return BenchmarkOptions(dataset="spheroid", **options)


def test_plain_processes_refuse_images_of_others(quiet):
    refusal = refused("", take_in, ["team:v1"], [], SEGMENT, ProcessEngine(), _options(), quiet)
    assert str(refusal) == (
        "team:v1: an image of others runs with Docker or podman alone, found the engine process; "
        "start a daemon, or leave the image out"
    )
    assert take_in([], [], SEGMENT, ProcessEngine(), _options(), quiet) == []


@pytest.fixture
def daemon(monkeypatch):
    """Return a daemon with one image, whatever its name, of which the labels can be set."""
    config = {"User": "", "Entrypoint": ["/run"]}
    image = SimpleNamespace(
        id="sha256:" + "5" * 64, labels={}, attrs={"Config": config, "Architecture": "arm64"}
    )
    monkeypatch.setattr(module, "find_image", lambda client, tag: image)
    monkeypatch.setattr(module.Builder, "base", lambda builder: "our-base")
    return image


def test_an_image_is_given_to_the_engine_with_its_api(daemon, quiet):
    engine = DockerEngine(object())
    (manifest,) = take_in(["lab/net:v2"], [], SEGMENT, engine, _options(), quiet)
    assert (manifest.name, manifest.title, manifest.task) == ("net_v2", "lab/net:v2", "segment")
    assert (engine.externals["net_v2"].api, engine.voice) == ("exec", "")
    daemon.labels = {"org.grand-challenge.api-method": "invoke"}
    take_in(["lab/net:v2"], [], SEGMENT, engine, _options(), quiet)
    assert (engine.externals["net_v2"].api, engine.voice) == ("invoke", "our-base")
    daemon.labels = {"org.grand-challenge.api-method": "rest"}  # for which the user's word stands
    take_in(["lab/net:v2"], [], SEGMENT, engine, _options(api="exec"), quiet)
    assert engine.externals["net_v2"].api == "exec"
    said = quiet.export_text()
    assert "net_v2: lab/net:v2\n" in said
    assert "lab/net:v2: for arm64; uploads: build with --platform linux/amd64" in said
