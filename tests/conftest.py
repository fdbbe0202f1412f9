"""Fixtures for all tests."""
# ruff: noqa: E402

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a run has a worker on each core; before numpy loads

import gc

gc.disable()  # until all tests are collected: a look for garbage among them takes as long as they

import shutil
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace

import jinja2
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.images.daemon import find_docker
from cytosuite.errors import InputError
from cytosuite.volume import memory

# A busy machine fails no property.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
of_the_session = pytest.fixture(scope="session")
_codes = {}
_compiled = jinja2.Environment.compile


def _once(environment, *template):
    """Compile a template of a report once for all tests."""
    if template not in _codes:
        _codes[template] = _compiled(environment, *template)
    return _codes[template]


jinja2.Environment.compile = _once


sys.path.append(str(Path(__file__).parent))  # each module beside this is loaded by what uses it

import puppets as _puppets
import situations as _situations


def pytest_ignore_collect(collection_path):
    """Look for no examples in modules beside the tests, of which some are programs or stand for tools."""
    test = collection_path.name.startswith(("test_", "conftest"))
    return True if collection_path.suffix == ".py" and not test else None


def pytest_collection_modifyitems(items):
    """Run slow tests first: workers share what is left, and none waits for another's last ones."""
    items.sort(key=lambda item: not item.get_closest_marker("slow"))


def pytest_collection_finish(session):
    """Refuse names that differ between workers; look for garbage from here on, among what is new."""
    assert not [item.nodeid for item in session.items if " at 0x" in item.nodeid]
    gc.freeze()
    gc.enable()


@pytest.fixture
def rng():
    """Return a generator of random numbers, the same in each test."""
    return np.random.default_rng(0)


@pytest.fixture
def situations():
    """Return the module of named label situations: `situations.merged()` and so on."""
    return _situations


@pytest.fixture
def converted_here(monkeypatch):
    """Convert weights in this process, which has loaded torch."""
    from cytosuite.benchmark.commands import model
    from cytosuite.training.convert import convert

    def run(words, **_):
        convert(*map(Path, words[-2:]), lambda _: None)
        return SimpleNamespace(stdout="", returncode=0)

    monkeypatch.setattr(model, "subprocess", SimpleNamespace(run=run))


@pytest.fixture
def tight(monkeypatch):
    """Return a function from which on no array fits into memory."""
    return lambda: monkeypatch.setattr(memory, "fits", lambda _: False)


@pytest.fixture
def mapped(monkeypatch):
    """Return a function that moves an array to disk, where it is looked at 50 voxels a slab."""
    monkeypatch.setattr(memory, "SLAB", 50)

    def move(array):
        with monkeypatch.context() as patch:
            patch.setattr(memory, "fits", lambda _: False)
            moved = memory.room(array.shape, array.dtype)
        moved[...] = array
        return moved

    return move


@of_the_session
def dead():
    """Return the number of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


@of_the_session
def client():
    """Return a client of the daemon."""
    daemon = find_docker()
    if isinstance(daemon, str):
        pytest.skip(f"no Docker daemon: {daemon}")
    yield daemon
    daemon.close()


@of_the_session
def slurm():
    """Skip where no Slurm answers."""
    if not shutil.which("sbatch") or not os.environ.get("SLURM_CONF"):
        pytest.skip("no Slurm: sbatch or SLURM_CONF is missing (docker/start_slurm.sh)")
    if subprocess.run(["sinfo", "--noheader"], capture_output=True, timeout=1800).returncode:
        pytest.skip("no Slurm answers (docker/start_slurm.sh)")


@of_the_session
def base(client):
    """Return the tag of the base image, built if it is not there."""
    try:
        return _puppets.base(client)
    except InputError as error:
        pytest.skip(f"no base image: {error}")


@of_the_session
def tiny():
    """Return limits that a hostile program reaches soon."""
    return _puppets.TINY


@of_the_session
def puppet(client, base):
    """Return the id of an image that runs the program ``act.py`` of a case, beside the attacks."""
    return _puppets.image(client, base)


@pytest.fixture
def sandboxed(client, puppet, tiny, tmp_path):
    """Return a function that starts a session and gives a function which runs a program in it.

    Whatever the program does, no container may be left.
    """
    before = _puppets.containers(client)
    with ExitStack() as stack:

        def starter(api="invoke", limits=tiny):
            engine = DockerEngine(client, image=lambda *_: puppet)
            session = stack.enter_context(
                engine.session("puppet", tmp_path / f"session-{api}", limits, api)
            )

            def act(program, name="case"):
                return _puppets.played(session, tmp_path / name, program)

            act.session = session
            return act

        yield starter
    assert _puppets.containers(client) <= before


@of_the_session
def browser(tmp_path_factory):
    """Return a browser, whose start takes longer than most pages."""
    programs = map(shutil.which, ("chromium", "google-chrome", "chrome"))
    if not (program := next(filter(None, programs), None)):
        pytest.skip("no chromium on this machine")
    from chromium import Chromium

    with closing(Chromium(program, tmp_path_factory.mktemp("profile"))) as opened:
        yield opened


@pytest.fixture
def window(browser):
    """Return a new page of the browser."""
    from chromium import Page

    with closing(Page(browser)) as opened:
        yield opened


@pytest.fixture
def browse(window):
    """Return a function that opens a page and returns the data of its root and its complaints."""

    def run(page, last="ready"):
        window.open(page)
        window.wait(f"'{last}' in document.documentElement.dataset")
        window.run("new Promise((done) => setTimeout(done, 200))")  # complaints may come late
        return window.run("({...document.documentElement.dataset})"), window.complaints

    return run
