import os
import subprocess
import sys
import time

import pytest

from cytosuite.benchmark.engines.memory import Peak, family, memory_group
from cytosuite.files import write_text

NAME = "ab12"


# Lines of a process, folder and files of a group, memory in use without idle cache, processes killed:
# of a system with a hierarchy for each controller, and of one with the unified hierarchy.
GROUPS = {
    "1": (
        f"5:memory:/docker/{NAME}\n4:pids:/docker/{NAME}\n0::/\n",
        f"cgroup/memory/docker/{NAME}",
        {
            "memory.usage_in_bytes": "1000\n",
            "memory.stat": "cache 300\ninactive_file 1\ntotal_inactive_file 200\n",
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
        },
        (800, 3),
    ),
    "2": (
        f"0::/system.slice/docker-{NAME}.scope\n",
        f"cgroup/system.slice/docker-{NAME}.scope",
        {
            "memory.current": "1000\n",
            "memory.stat": "anon 500\ninactive_file 400\n",
            "memory.events": "low 0\noom 2\noom_kill 1\n",
        },
        (600, 1),
    ),
}


@pytest.mark.parametrize("version", GROUPS)
def test_both_versions_are_read_but_no_process_outside_the_container(tmp_path, version):
    lines, place, files, expected = GROUPS[version]
    write_text(tmp_path / "proc/7/cgroup", lines)
    for name, text in files.items():
        write_text(tmp_path / place / name, text)
    group, stranger, ended = (
        memory_group(pid, name, tmp_path / "cgroup", tmp_path / "proc")
        for pid, name in ((7, NAME), (7, "cd34"), (8, NAME))
    )
    assert (group.used(), group.kills()) == expected
    for name in files:
        (tmp_path / place / name).unlink()
    assert (group.used(), group.kills()) == (None, None)  # it has vanished
    assert stranger is ended is None


def test_the_peak_and_the_mean_are_those_of_all_readings():
    values = iter([3, None, 9, 3])
    with Peak(lambda: next(values, None), poll_s=0.001) as peak:
        time.sleep(0.05)
    assert (peak.value, peak.mean) == (9, 5)
    with Peak(lambda: 5, poll_s=10) as once:
        pass
    assert once.value == 5
    with Peak(lambda: None) as nothing:
        pass
    assert (nothing.value, nothing.mean) == (None, None)


@pytest.fixture
def processes(tmp_path):
    """Return a function that writes a process with its threads, and the children of each."""

    def make(pid, anonymous, shared, *children):
        status = f"Name:\tx\nVmRSS:\t999 kB\nRssAnon:\t{anonymous} kB\nRssFile:\t50 kB\n"
        write_text(tmp_path / f"{pid}/status", f"{status}RssShmem:\t{shared} kB\n")
        for number, pids in enumerate(children):
            write_text(tmp_path / f"{pid}/task/{pid + number}/children", pids)

    return make


def test_a_family_is_all_descendants_of_all_threads(tmp_path, processes):
    processes(10, 100, 0, "20 ", "30 40 ")
    processes(20, 10, 5, "")
    processes(30, 1, 0, "50 ")
    processes(50, 2, 0, "", "", "")
    processes(60, 1000, 0, "")  # of somebody else
    # 40 has ended meanwhile.
    assert family(10, 99, tmp_path) == ((100 + 15 + 1 + 2) * 1024, 2 + 1 + 1 + 3)
    assert family(30, 99, tmp_path) == (3 * 1024, 4)
    assert family(40, 99, tmp_path) is None


def test_a_flood_of_processes_is_not_followed(tmp_path, processes):
    processes(1, 1, 0, " ".join(map(str, range(100, 200))))
    for pid in range(100, 200):
        processes(pid, 1, 0, "")
    memory, threads = family(1, 9, tmp_path)
    assert threads == 10
    assert memory == 10 * 1024


HOARD = "import os, sys; b = bytearray(b'x') * 2**26; child = FORK; print(1, flush=True); "
HOARD += "sys.stdin.read(); child and os.wait()"


@pytest.mark.parametrize("fork, seen", [("0", 1), ("os.fork()", 2)])
def test_the_memory_of_real_children_counts_and_can_be_shared_out(fork, seen):
    with subprocess.Popen(
        [sys.executable, "-c", HOARD.replace("FORK", fork)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        for _ in range(seen):
            child.stdout.readline()
        memory, threads = family(child.pid, 999)
        assert seen * 2**26 < memory < seen * 2**26 + 2**25
        assert threads == seen
        assert 2**26 < family(child.pid, 999, shares=True)[0] < 2**26 + 2**25
        assert family(os.getpid(), 999)[0] > memory
        child.communicate()


def test_a_kernel_that_shares_nothing_out_counts_pages_for_each(tmp_path, processes):
    processes(10, 100, 20, "")
    assert family(10, 9, tmp_path, shares=True) == (120 * 1024, 1)
    write_text(tmp_path / "10/smaps_rollup", "Pss_Anon: 30 kB\nPss_Shmem: 5 kB\n")
    assert family(10, 9, tmp_path, shares=True) == (35 * 1024, 1)
