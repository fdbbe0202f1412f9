"""Keeps sessions and runs for many tests."""

import json
import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256

import forks
import house
import puppets as _puppets
import pytest

from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.files import read_json


@pytest.fixture(scope="module")
def puppets(client, puppet, tmp_path_factory):
    """Return a function that runs a program by an interface, within limits.

    Each pair of interface and limits has one session for all tests of a module; more limits are of
    this case alone. Whatever the programs do, no container may be left.
    """
    home, sessions, names = tmp_path_factory.mktemp("puppets"), {}, iter(range(10**6))
    engine = DockerEngine(client, image=lambda *_: puppet)
    with ExitStack() as stack:

        def act(program, api, limits, **more):
            if (api, limits) not in sessions:
                sessions[api, limits] = stack.enter_context(
                    engine.session("puppet", home / f"session-{len(sessions)}", limits, api)
                )
            sessions[api, limits].limits = replace(limits, **more)
            return _puppets.played(sessions[api, limits], home / str(next(names)), program)

        yield act
    assert not _puppets.containers(client)
    assert not list(home.glob("session-*"))


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Return what runs commands in a checkout with a toy dataset and a toy algorithm with weights."""
    home = house.build(
        tmp_path_factory.mktemp("faults") / "house",
        algorithms=["toy_limit"],
        datasets=["toy_cells"],
    )
    weights = home / "weights/toy_limit"
    content = b"\0" * 1000
    (weights / "plain.safetensors").write_bytes(content)
    card = read_json(weights / "plain.json")
    card |= {"weights": "plain.safetensors", "sha256": sha256(content).hexdigest()}
    (weights / "plain.json").write_text(json.dumps(card))
    runs = forks.Runs(home)
    yield runs
    runs.base.communicate()


def undisturbed_in(runs, folder, **more):
    """Return the folder of a run without a fault, and its seconds."""
    process = runs.start(folder, **more)  # everything is loaded by now
    begin = time.monotonic()
    runs.well(process)
    return folder, time.monotonic() - begin


@pytest.fixture(scope="session")
def undisturbed(runs, tmp_path_factory):
    """Return the folder of a run without a fault, and its seconds."""
    return undisturbed_in(runs, tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="session")
def contained(base, runs, tmp_path_factory):
    """Return the folder of a run in containers without a fault, and its seconds.

    The base comes first: a checkout that is made before it builds its own.
    """
    runs.well(runs.command("build", forks.ALGORITHMS[0]))
    return undisturbed_in(runs, tmp_path_factory.mktemp("contained"), engine="docker")


@pytest.fixture
def disturbed(undisturbed, tmp_path):
    """Return a copy of the run without a fault."""
    shutil.copytree(undisturbed[0], tmp_path / "runs", symlinks=True)
    return tmp_path / "runs"
