"""Scripts in ``docker/`` as modules."""

import sys
from importlib.util import module_from_spec, spec_from_file_location

import pytest
from house import ROOT

DOCKER = ROOT / "docker"


@pytest.fixture
def script(monkeypatch):
    """Return a function that loads a script, with those that it imports, anew in each test."""

    def load(name):
        spec = spec_from_file_location(name, DOCKER / f"{name}.py")
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    monkeypatch.syspath_prepend(DOCKER)
    yield load
    sys.modules.pop("install", None)
