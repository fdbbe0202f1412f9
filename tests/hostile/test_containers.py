"""Malicious and broken containers: no harm to the host, and the right status of each case."""

import pytest
from puppets import BOMBS, limits_of

from tests.hostile.expected import attacks

pytestmark = [pytest.mark.docker, pytest.mark.slow]

WELL = "open('/output/result', 'w').write('done')"
ATTACKS = attacks("confinement", "resources")
TRIED = [(attack, "invoke") for attack in ATTACKS]
TRIED += [(attack, "exec") for attack in ATTACKS if attack.apart]
TRIED += [(attack, "invoke") for attack in attacks("servers")]


@pytest.mark.parametrize("attack, api", TRIED, ids=str)
def test_an_attack_costs_its_own_case_alone(puppets, attack, api):
    limits = limits_of(attack)
    argument = "handler" if attack.module == "servers" else ""
    case = puppets(f"from attacks import {attack.module}\n{attack.place}({argument})", api, limits)
    assert attack.holds(case.outcome.status, case.outcome.message), case.outcome
    assert case.outcome.message.isprintable()
    assert case.outcome.seconds < limits.timeout_s + 60
    assert case.log.stat().st_size < 2**21
    if attack.name not in BOMBS:  # their threads live on in the server
        following = puppets(WELL, api, limits, timeout_s=60.0)
        assert following.outcome.status == "ok", following.outcome


@pytest.mark.parametrize("api", ["invoke", "exec"])
def test_nothing_of_a_case_is_left_in_the_output_of_the_next(sandboxed, api):
    act = sandboxed(api)
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
    assert act(program, "next").outcome.status == "ok"


def test_it_sees_the_bounds_it_has(sandboxed):
    program = (
        "import os, threading, tempfile\n"
        "assert len(os.sched_getaffinity(0)) == 1\n"
        "assert os.environ['OMP_NUM_THREADS'] == '1' and os.environ['HOME'] == '/tmp'\n"
        "assert os.getuid() != 0 and os.getppid() == 1\n"
    )
    assert sandboxed()(program + WELL).outcome.status == "ok"
