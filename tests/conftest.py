"""Fixtures for all tests."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest


def _shared(name):
    """Make a module beside this one importable from every test."""
    spec = spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


_situations = _shared("situations")
_shared("house")


@pytest.fixture
def situations():
    """Return the module of named label situations: `situations.merged()` and so on."""
    return _situations


@pytest.fixture(params=_situations.ALL)
def situation(request):
    """Return every named situation in turn."""
    return _situations.ALL[request.param]()
