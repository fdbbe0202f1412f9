"""Makes the table of attacks importable from the tests, and keeps sessions for many of them."""

import sys
from contextlib import ExitStack
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest

from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.hardening import RUN_LABEL
from cytosuite.files.working import owner_label

_spec = spec_from_file_location("expected", Path(__file__).with_name("expected.py"))
_expected = module_from_spec(_spec)
sys.modules["expected"] = _expected
_spec.loader.exec_module(_expected)


@pytest.fixture(scope="module")
def puppets(client, puppet, tmp_path_factory):
    """Return a function that runs a program by an interface, within limits.

    Each pair of interface and limits has one session for all tests of a module. Whatever the
    programs do, no container may be left.
    """
    home, sessions, names = tmp_path_factory.mktemp("puppets"), {}, iter(range(10**6))
    engine = DockerEngine(client, image=lambda *_: puppet)
    with ExitStack() as stack:

        def act(program, api, limits):
            if (api, limits) not in sessions:
                place = home / f"session-{len(sessions)}"
                session = engine.session("puppet", place, limits, api)
                sessions[api, limits] = stack.enter_context(session)
            folder = home / str(next(names))
            case = SimpleNamespace(input=folder / "in", output=folder / "out", log=folder / "log")
            case.input.mkdir(parents=True)
            case.output.mkdir()
            (case.input / "act.py").write_text(program)
            session = sessions[api, limits]
            case.outcome = session.predict(case.input, case.output, case.log)
            return case

        yield act
    label = f"{RUN_LABEL}={owner_label()}"
    assert client.containers.list(all=True, filters={"label": label}) == []
    assert not list(home.glob("session-*"))
