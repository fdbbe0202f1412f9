"""Archives of strangers on a real daemon: whatever names they claim, it never reads one."""

import gzip
import json
from contextlib import suppress

import pytest
from archives import Image, sha, tar
from docker.errors import APIError
from rich.console import Console

from cytosuite.benchmark.commands.external import take_in
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.contract.tasks import TASKS

pytestmark = pytest.mark.docker
OURS = "cytosuite/watershed:0.1.0"


@pytest.fixture
def taken(client, tmp_path):
    """Return a function that gives an archive to a run and returns its image's id."""
    loaded = []

    def taken(image, content=None):
        path = tmp_path / "their.tar"
        path.write_bytes(content or tar(image.docker()))
        loaded.append(f"sha256:{sha(image.text())}")
        engine = DockerEngine(client)
        options = BenchmarkOptions(dataset="spheroid")
        take_in([str(path)], [], TASKS["segment"], engine, options, Console(quiet=True))
        return engine.externals["their"].image

    yield taken
    for identity in loaded:
        with suppress(APIError):  # it was refused
            client.images.remove(identity, force=True)


def stranger(*claims):
    """Return an image of others with a content of its own."""
    return Image(tags=claims).configured(Labels={"claims": json.dumps(claims)})


@pytest.mark.parametrize("claim", [OURS, f"docker.io/{OURS}", "python:3.11-slim-bookworm"])
def test_an_archive_takes_no_name_that_it_claims(client, taken, claim):
    image = stranger(claim)
    before = client.api.images(claim, quiet=True)
    identity = taken(image)
    assert identity == f"sha256:{sha(image.text())}"
    assert client.api.images(claim, quiet=True) == before
    assert client.images.get(f"cytosuite-external/archive:{identity[7:19]}").id == identity
    assert taken(image) == identity  # it is there now


def test_an_image_whose_load_was_interrupted_gets_a_name(client, taken):
    image = stranger()
    client.images.load(tar(image.docker()))
    assert not client.images.get(f"sha256:{sha(image.text())}").tags
    assert client.images.get(f"cytosuite-external/archive:{taken(image)[7:19]}").tags


def test_its_layers_are_loaded_in_their_order(client, taken):
    image = stranger("layers")
    image.layers = [*image.layers, {"a": b"1"}, {"a": b"2"}, {"a": b"1"}]
    order = client.images.get(taken(image, tar(image.oci(gzip.compress)))).attrs["RootFS"]["Layers"]
    assert order == [f"sha256:{sha(layer)}" for layer in image.tars()]
