"""A container that swaps folders for links while the runner works there: nothing outside may change.

``CYTOSUITE_RACE_S`` sets the seconds of each race.
"""

import os
import subprocess
import sys
import time

import pytest

from cytosuite.benchmark.engines.collect import Refused, empty, size, take
from tests.hostile.tally import state

SECONDS = float(os.environ.get("CYTOSUITE_RACE_S", "4"))
# Every name is in turn a filled folder and a link to the canary, and a folder fills all the time, so
# that no removal succeeds at once. Nothing is written through a link.
RACER = """
import os, sys, itertools, time
output, canary, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
targets = [canary, canary + "/file", canary + "/inner", canary + "/inner/file"]
end = time.time() + seconds
def attempt(action, *arguments):
    try: action(*arguments)
    except OSError: pass
def fill():
    while time.time() < end:
        attempt(os.mkdir, output + "/busy")
        try: busy = os.open(output + "/busy", os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError: continue
        for number in range(300):
            attempt(lambda: os.close(os.open(str(number), os.O_CREAT | os.O_NOFOLLOW, dir_fd=busy)))
        os.close(busy)
if os.fork() == 0:
    fill()
    os._exit(0)
for turn in itertools.count():
    if time.time() > end: break
    for number, target in enumerate(targets):
        name, fresh = f"{output}/{number}", f"{output}/fresh{turn}-{number}"
        attempt(os.makedirs, fresh + "/deep/deeper")
        attempt(os.symlink, target, fresh + "/deep/link")
        attempt(os.chmod, fresh + "/deep", turn % 2 * 0o700)
        attempt(os.unlink, name)
        attempt(os.rename, fresh, name)
        attempt(os.symlink, target, fresh)
        attempt(os.rename, name, f"{output}/old{turn % 5}-{number}")
        attempt(os.rename, fresh, name)
"""


@pytest.fixture
def canary(tmp_path):
    """Return a folder outside of the output with modes that any repair would change."""
    folder = tmp_path / "canary"
    (folder / "inner").mkdir(parents=True)
    for path in (folder / "file", folder / "inner/file"):
        path.write_text("secret of the host")
        path.chmod(0o400)
    (folder / "inner").chmod(0o500)
    folder.chmod(0o500)
    yield folder
    folder.chmod(0o700)
    (folder / "inner").chmod(0o700)


def _attempt(action, *arguments):
    try:
        return action(*arguments)
    except (OSError, Refused):
        return None


@pytest.mark.slow
def test_handles_never_lead_outside_even_if_the_container_runs(tmp_path, canary):
    """Without the freezing, which is the first line: the handles alone must hold."""
    output = tmp_path / "output"
    target = tmp_path / "target"
    output.mkdir()
    before = state(canary)
    racer = subprocess.Popen([sys.executable, "-c", RACER, str(output), str(canary), str(SECONDS)])
    rounds = 0
    while racer.poll() is None:
        rounds += 1
        copy = target / str(rounds)
        copy.mkdir(parents=True)
        _attempt(size, output, 10**9)
        _attempt(take, output, copy, 10**6)
        assert not any("secret" in p.read_text() for p in copy.rglob("*") if p.is_file())
        _attempt(empty, copy)
        _attempt(empty, output)
        assert state(canary) == before
    assert rounds > 1
    empty(output)
    assert list(output.iterdir()) == []


@pytest.mark.slow
@pytest.mark.docker
def test_a_racing_container_changes_nothing_on_the_host(sandboxed, tiny, canary):
    """Its second process goes on between the cases, while the runner empties the output."""
    act = sandboxed("invoke")
    start = (
        "import subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', {RACER!r}, '/output', {str(canary)!r}, '600'])\n"
    )
    before = state(canary)
    act(start, "first")
    end, number, seen = time.monotonic() + SECONDS, 0, set()
    while time.monotonic() < end:
        number += 1
        case = act(
            "import time; time.sleep(0.02)\nopen('/output/result', 'w').write('done')", f"{number}"
        )
        seen.add(case.outcome.status)
        assert state(canary) == before
        assert all("secret" not in p.read_text() for p in case.output.rglob("*") if p.is_file())
    assert number > 0
    assert seen <= {"bad output", "ok"}, seen


@pytest.mark.slow
@pytest.mark.docker
def test_nothing_runs_between_two_cases(sandboxed, tmp_path):
    """The output that is checked is that of the answer: a process that would change it stands still."""
    act = sandboxed("invoke")
    writer = "import time\nwhile True: open('/output/result', 'a').write('x'); time.sleep(0.001)"
    act(
        f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {writer!r}])\ntime.sleep(0.5)",
        "first",
    )
    (place,) = tmp_path.glob("session-invoke/exchange/output")
    assert list(place.iterdir()) != []
    sizes = []
    for _ in range(5):
        sizes.append([path.stat().st_size for path in place.iterdir()])
        time.sleep(0.1)
    assert sizes == [sizes[0]] * 5
