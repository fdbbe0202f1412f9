"""Archives of strangers on a real daemon: whatever names they claim, it never reads one."""

import gzip
import json
from contextlib import suppress
from io import StringIO

import pytest
from archives import Image, member, sha, tar
from docker.errors import APIError
from rich.console import Console

from cytosuite.benchmark.commands.guests import take_in
from cytosuite.benchmark.commands.options import BenchmarkOptions
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.errors import InputError
from cytosuite.tasks import TASKS

pytestmark = pytest.mark.docker
OURS = "cytosuite/watershed:0.1.0"
CLAIMS = [
    *(OURS, f"docker.io/{OURS}", f"index.docker.io/{OURS}", "cytosuite/evaluation:0.1.0"),
    *("python:3.11-slim-bookworm", "debian:bookworm", "cytosuite/base:slim"),
]


def tags(client):
    """Return the ids of a daemon's images by tag, of podman in Docker's short words."""
    found = client.images.list()
    return {tag.removeprefix("docker.io/"): image.id for image in found for tag in image.tags}


@pytest.fixture
def taken(client, tmp_path):
    """Return a function that gives an archive to a run and returns its image's id."""
    loaded = []

    def taken(image, content=None):
        path = tmp_path / "their.tar"
        path.write_bytes(content or tar(image.docker()))
        loaded.append(f"sha256:{sha(image.text())}")
        engine, given = DockerEngine(client), BenchmarkOptions(dataset="spheroid")
        take_in([str(path)], [], TASKS["segment"], engine, given, Console(file=StringIO()))
        return engine.guests["their"].image

    yield taken
    for identity in loaded:
        with suppress(APIError):  # it was refused
            client.images.remove(identity, force=True)


def stranger(*claims):
    """Return an image of others with a content of its own."""
    return Image(tags=claims).configured(Labels={"claims": json.dumps(claims)})


@pytest.mark.parametrize("claim", CLAIMS)
def test_an_archive_takes_no_name_that_it_claims(client, taken, claim):
    image, before = stranger(claim), tags(client)
    identity = taken(image)
    assert identity == f"sha256:{sha(image.text())}"
    assert tags(client) == before | {f"cytosuite-guest/archive:{identity[7:19]}": identity}
    assert taken(image) == identity  # it is there now


def test_three_thousand_tags_cost_nothing(client, taken):
    before = tags(client)
    taken(stranger(*(f"cytosuite/x:{number}" for number in range(3000))))
    assert len(tags(client)) == len(before) + 1


@pytest.mark.parametrize("name", ["./manifest.json", "a/../manifest.json", "manifest.json"])
def test_a_second_manifest_that_docker_reads_is_refused(client, taken, name):
    image, before = stranger(name), tags(client)
    manifest = [{"Config": f"{sha(image.text())}.json", "RepoTags": [OURS], "Layers": []}]
    more = member(name, json.dumps(manifest).encode())
    with pytest.raises(InputError, match="expected a relative path|two members of the name"):
        taken(image, tar([*image.docker(), more]))
    assert tags(client) == before


def test_its_layers_are_loaded_in_their_order(client, taken):
    image = stranger("layers")
    image.layers = [*image.layers, {"a": b"1"}, {"a": b"2"}, {"a": b"1"}]
    found = client.images.get(taken(image, tar(image.oci(gzip.compress)))).attrs["RootFS"]["Layers"]
    assert found == [f"sha256:{sha(each)}" for each in image.tars()]


def test_layers_that_are_not_those_of_the_config_are_refused(client, taken):
    image, before = stranger("altered"), tags(client)
    image.config["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{sha(b'')}"]}
    with pytest.raises(InputError, match=r"their.tar: .*layer.tar: expected sha256:"):
        taken(image)
    assert tags(client) == before


def test_a_tag_of_ours_that_others_took_does_not_run(client, taken):
    """Of a `docker load` by hand, or of a registry: images of ours run by the ids of their builds."""
    identity, tag = taken(stranger("by hand")), "cytosuite/never-built:0.1.0"
    client.images.get(identity).tag(*tag.split(":"))
    engine = DockerEngine(client, image=lambda *_: tag)
    with pytest.raises(InputError, match="is not the one that was built here; build it again"):
        engine.identity("never-built")
