"""Malicious and broken containers: no harm to the host, and the right status of each case."""

from dataclasses import replace

import pytest
from expected import attacks

pytestmark = [pytest.mark.docker, pytest.mark.slow]

WELL = "open('/output/result', 'w').write('done')"
ENDLESS = {"sleep_for_ever", "compute_for_ever", "stop_itself", "ignore_the_request_to_end"}
BOMBS = {"fork_bomb", "thread_bomb"}
LONG = {"a_million_files", "five_gb_of_words", "a_million_lines"}
# Attacks that end another way where each case has a container, which ends with its program.
APART = {
    *("write_to_the_input", "fork_bomb", "endless_allocation", "endless_allocation_in_a_child"),
    *("fill_the_output_with_files", "zombie_grandchildren", "orphans_that_hold_the_streams"),
    *("kill_itself", "kill_all", "crash", "leave_without_an_output", "ignore_the_request_to_end"),
}
ATTACKS = attacks("confinement", "resources")
TRIED = [(attack, "invoke") for attack in ATTACKS]
TRIED += [(attack, "exec") for attack in ATTACKS if attack.name in APART]
TRIED += [(attack, "invoke") for attack in attacks("servers")]


@pytest.fixture(params=["invoke", "exec"])
def act(request, sandboxed):
    """Return a function that runs a program, by each of the two interfaces."""
    return sandboxed(request.param)


def _limits(attack, tiny):
    """Return limits that an attack reaches soon."""
    if attack.module == "servers":
        return replace(tiny, timeout_s=3.0)
    if attack.name in ENDLESS:
        return replace(tiny, timeout_s=1.0)
    if attack.name in BOMBS:  # their processes live on in the server: a session of their own
        return replace(tiny, timeout_s=5.0)
    return replace(tiny, timeout_s=4.0) if attack.name in LONG else tiny


@pytest.mark.parametrize(("attack", "api"), TRIED, ids=str)
def test_an_attack_costs_its_own_case_alone(puppets, tiny, attack, api):
    limits = _limits(attack, tiny)
    given = "handler" if attack.module == "servers" else ""
    case = puppets(f"from attacks import {attack.module}\n{attack.place}({given})", api, limits)
    assert attack.holds(case.outcome.status, case.outcome.message), case.outcome
    assert case.outcome.message.isprintable()
    assert case.outcome.seconds < limits.timeout_s + 10
    assert case.log.stat().st_size < 2**21
    if attack.name not in BOMBS:  # their threads live on in the server
        following = puppets(WELL, api, limits)
        assert following.outcome.status == "ok", following.outcome


def test_an_obedient_one_is_well(act):
    case = act(f"import time\ntime.sleep(1)\n{WELL}")  # its memory is read while it runs
    assert (case.outcome.status, case.outcome.exit_code) == ("ok", 0)
    assert (case.output / "result").read_text() == "done"
    assert 2**20 < case.outcome.peak_memory < 2**28


def test_nothing_of_a_case_is_left_in_the_output_of_the_next(act):
    act("import os\nos.makedirs('/output/a/b', mode=0o000)\n" + WELL, "first")
    case = act(
        "import os\nassert os.listdir('/output') == [], os.listdir('/output')\n" + WELL, "next"
    )
    assert case.outcome.status == "ok", case.outcome.message


def test_a_container_per_case_keeps_nothing_of_another(sandboxed):
    program = (
        "import os\nfor folder, _, names in os.walk('/'):\n"
        "    if folder.startswith(('/proc', '/sys')): continue\n"
        "    assert 'mark' not in names, folder\n"
        "    try: open(f'{folder}/mark', 'w').close()\n"
        "    except OSError: pass\n"
    )
    act = sandboxed("exec")
    assert act(program, "first").outcome.status == "ok"
    case = act(program, "next")
    assert case.outcome.status == "ok", case.outcome.message


def test_it_sees_the_bounds_it_has(sandboxed):
    program = (
        "import os, threading, tempfile\n"
        "assert len(os.sched_getaffinity(0)) == 1\n"
        "assert os.environ['OMP_NUM_THREADS'] == '1' and os.environ['HOME'] == '/tmp'\n"
        "assert os.getuid() != 0 and os.getppid() == 1\n"
    )
    case = sandboxed()(program + WELL)
    assert case.outcome.status == "ok", case.outcome.message
