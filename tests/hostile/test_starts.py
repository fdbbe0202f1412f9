"""Servers that do not start are given up soon, with the reason, and leave nothing."""

import json
from dataclasses import replace

import pytest
from puppets import played

from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.outcome import StartError
from tests.hostile.expected import attacks

pytestmark = [pytest.mark.docker, pytest.mark.slow]

CARD = {"name": "start", "version": "0.1.0", "algorithm": "puppet", "task": "segment"}
CARD |= {"authors": "cytosuite developers", "license": "Apache-2.0", "describes": {}}


@pytest.fixture
def start(client, puppet, tiny, tmp_path):
    """Return a function that starts a puppet with a program in its model card."""

    def start(program, **limits):
        card = tmp_path / "start.json"
        card.write_text(json.dumps({**CARD, "description": program}))
        return DockerEngine(client, image=lambda *_: puppet, models={"puppet": card}).session(
            "puppet", tmp_path / "session", replace(tiny, **limits), "invoke"
        )

    return start


@pytest.mark.parametrize("attack", attacks("starts"), ids=str)
def test_a_server_that_is_not_ready_is_given_up(start, tmp_path, attack, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.engines.docker_session.IDLE_S", 3.0)
    monkeypatch.setattr("cytosuite.benchmark.engines.docker_session.PATIENCE_S", 240.0)
    with (
        pytest.raises(StartError, match="puppet did not start: ") as caught,
        start(f"from attacks import starts\nstarts.{attack.name}(Handler)"),
    ):
        pass
    message = str(caught.value)
    assert any(word in message for word in attack.statuses), message
    assert message.isprintable()
    assert " after 240 s" not in message
    assert not (tmp_path / "session").exists()


def test_a_slow_start_is_no_failure(start, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.engines.docker_session.IDLE_S", 3.0)
    work = "import time\nend = time.process_time() + 4\nwhile time.process_time() < end: pass"
    with start(work) as session:
        assert session.startup_seconds > 4


def test_a_server_that_hangs_after_it_was_ready_costs_its_cases_alone(start, tmp_path):
    hang = "import time\nHandler.do_POST = lambda self: time.sleep(600)"
    with start(hang, timeout_s=2.0) as session:
        for name in "ab":
            outcome = played(session, tmp_path / name, "").outcome
            assert (outcome.status, outcome.message) == ("time-out", "time limit of 2 s exceeded")
            assert outcome.seconds < 60


def test_a_server_that_dies_between_cases_is_started_again(start, tmp_path):
    with start("") as session:
        for name in "abc":
            case = played(session, tmp_path / name, "open('/output/result', 'w').write('x')")
            assert case.outcome.status == "ok", case.outcome
            # From outside: a thread of its own would sleep on while the container stands still.
            session._box.thaw()
            session._box.container.kill()
            session._box.container.wait()
