"""Malicious and broken containers: no harm to the host, and the right status of each case."""

from dataclasses import replace

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]

WELL = "open('/output/result', 'w').write('done')"
CHILD = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', {0!r}])\n"
HOG = "b = bytearray()\nwhile True: b += b'x' * 2**22"


@pytest.fixture(params=["serve", "exec"])
def act(request, sandboxed):
    """Return a function that runs a program, by each of the two interfaces."""
    return sandboxed(request.param)


def test_an_obedient_one_is_well(act):
    case = act(WELL)
    assert (case.outcome.status, case.outcome.exit_code) == ("ok", 0)
    assert (case.output / "result").read_text() == "done"
    assert 2**20 < case.outcome.peak_memory < 2**28


def test_its_words_reach_the_log_as_plain_text(act):
    program = "import sys, os\nos.write(2, b'a\\0b\\xff\\n')\nprint('fertig ü', file=sys.stderr)\nsys.exit(2)"
    case = act(program)
    assert (case.outcome.status, case.outcome.message) == ("non-zero exit", "fertig ü")
    assert case.log.read_text().splitlines()[-2:] == ["ab\ufffd", "fertig ü"]


def test_a_link_is_refused_and_not_followed(act):
    case = act("import os\nos.symlink('/etc/passwd', '/output/result')")
    assert case.outcome.status == "bad output"
    assert case.outcome.message == "result: a link where only files and folders may be"
    assert list(case.output.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "word"),
    [
        ("import os; os.mkfifo('/output/p')", "a pipe"),
        ("import os; open('/output/a', 'w'); os.link('/output/a', '/output/b')", "more than one"),
        ("import os; os.makedirs('/output/' + '/'.join('d' * 40))", "more than 16 folders"),
        ("[open(f'/output/{i}', 'w') for i in range(1001)]", "more than 1000 files"),
    ],
)
def test_anything_but_plain_files_is_refused(sandboxed, program, word):
    case = sandboxed()(program)
    assert case.outcome.status == "bad output"
    assert word in case.outcome.message


def test_nothing_is_not_an_output(act):
    assert act("pass").outcome.status == "missing output"


def test_one_file_is_bounded_by_the_kernel(sandboxed):
    case = sandboxed()("f = open('/output/f', 'wb')\nf.write(bytes(3 * 2**20)); f.flush()")
    assert case.outcome.status == "non-zero exit"
    assert "File too large" in case.outcome.message


def test_all_files_together_are_bounded(sandboxed):
    many = "import time\nfor i in range(9): open(f'/output/{i}', 'wb').write(bytes(2**20))\n"
    act = sandboxed()
    assert act(many).outcome.status == "bad output"
    ended = act(many + "time.sleep(60)", "second").outcome
    assert (ended.status, ended.message) == (
        "bad output",
        "output limit of 0.00195312 GiB exceeded",
    )
    assert ended.seconds < 10


def test_a_fork_bomb_stays_inside(sandboxed):
    bomb = "import os, time\ntry:\n    while True:\n        if os.fork() == 0: time.sleep(60)\n"
    case = sandboxed("exec")(
        bomb + "except BlockingIOError:\n    os.write(2, b'no more\\n'); os._exit(3)"
    )
    assert (case.outcome.status, case.outcome.message) == ("non-zero exit", "no more")


def test_a_hog_is_out_of_memory(act):
    case = act(HOG)
    assert case.outcome.status == "out of memory"
    assert case.outcome.message == "memory limit of 0.2 GiB exceeded"
    assert act(WELL, "next").outcome.status == "ok"


def test_a_hog_among_the_children_is_out_of_memory_in_spite_of_exit_code_0(act):
    case = act(CHILD.format(HOG) + WELL)
    assert case.outcome.status == "out of memory"
    assert act(WELL, "next").outcome.status == "ok"


def test_files_in_memory_count(sandboxed):
    assert sandboxed()("open('/tmp/f', 'wb').write(bytes(2**28))").outcome.status != "ok"


def test_a_sleeper_is_out_of_time(sandboxed, tiny):
    for api in ("serve", "exec"):
        act = sandboxed(api, replace(tiny, timeout_s=0.5))
        outcome = act("import time\ntime.sleep(600)", api).outcome
        assert outcome.status == "time-out"
        assert outcome.message == "time limit of 0.5 s exceeded"
        assert outcome.seconds < 8


def test_one_that_ignores_the_request_to_end_is_ended(sandboxed, tiny):
    program = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    outcome = sandboxed("exec", replace(tiny, timeout_s=0.5))(program).outcome
    assert outcome.status == "time-out"
    assert 5 < outcome.seconds < 10


def test_a_server_that_kills_itself_costs_that_case_only(act):
    case = act("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert (case.outcome.status, case.outcome.message) == ("killed", "ended by SIGKILL")
    assert act(WELL, "next").outcome.status == "ok"


@pytest.mark.parametrize(
    ("attempt", "error"),
    [
        ("open('/opt/app/x', 'w')", "Read-only file system"),
        ("open('/input/x', 'w')", "Read-only file system"),
        ("import os; os.remove('/input/act.py')", "Read-only file system"),
        ("import socket; socket.create_connection(('192.0.2.1', 80), 3)", "unreachable"),
        ("import os; os.setuid(0)", "Operation not permitted"),
        ("import os; os.chown('/output', 0, 0)", "Operation not permitted"),
        ("import os; os.mknod('/output/d', 0o20666, os.makedev(1, 3))", "Operation not permitted"),
    ],
)
def test_what_is_forbidden_fails(sandboxed, attempt, error):
    case = sandboxed()(attempt)
    assert case.outcome.status == "non-zero exit"
    assert error in case.outcome.message


def test_nothing_of_a_case_is_left_for_the_next(act):
    act("import os\nos.makedirs('/output/a/b', mode=0o000)\n" + WELL, "first")
    case = act(
        "import os\nassert os.listdir('/output') == [], os.listdir('/output')\n" + WELL, "next"
    )
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
