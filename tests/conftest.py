"""Fixtures for all tests."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from cytosuite.benchmark.containers.build import Builder
from cytosuite.benchmark.containers.daemon import find_docker
from cytosuite.errors import InputError

ROOT = Path(__file__).parents[1]
BOOTSTRAPPED = "cytosuite/debian:bookworm"


def _shared(name):
    """Make a module beside this one importable from every test."""
    spec = spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


_situations = _shared("situations")
_shared("house")
_shared("forks")


@pytest.fixture
def situations():
    """Return the module of named label situations: `situations.merged()` and so on."""
    return _situations


@pytest.fixture(params=_situations.ALL)
def situation(request):
    """Return every named situation in turn."""
    return _situations.ALL[request.param]()


@pytest.fixture(scope="session")
def client():
    """Return a client of the daemon."""
    found = find_docker()
    if isinstance(found, str):
        pytest.skip(f"no Docker daemon: {found}")
    yield found
    found.close()


@pytest.fixture(scope="session")
def base(client):
    """Return the tag of the base image, built if it is not there."""
    made = any(BOOTSTRAPPED in image.tags for image in client.images.list())
    try:
        return Builder(client, ROOT, base_image=BOOTSTRAPPED if made else None).base()
    except InputError as error:
        pytest.skip(f"no base image: {error}")
