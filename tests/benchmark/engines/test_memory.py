import time

import pytest

from cytosuite.benchmark.engines.memory import MemoryGroup, Peak

NAME = "ab12"


@pytest.fixture
def version_1(tmp_path):
    """Return the folders of a system with one hierarchy per controller."""
    _write(tmp_path / "proc/7/cgroup", f"5:memory:/docker/{NAME}\n4:pids:/docker/{NAME}\n0::/\n")
    group = tmp_path / "cgroup/memory/docker" / NAME
    _write(group / "memory.usage_in_bytes", "1000\n")
    _write(group / "memory.stat", "cache 300\ninactive_file 1\ntotal_inactive_file 200\n")
    _write(group / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    return tmp_path


@pytest.fixture
def version_2(tmp_path):
    """Return the folders of a system with the unified hierarchy."""
    _write(tmp_path / "proc/7/cgroup", f"0::/system.slice/docker-{NAME}.scope\n")
    group = tmp_path / f"cgroup/system.slice/docker-{NAME}.scope"
    _write(group / "memory.current", "1000\n")
    _write(group / "memory.stat", "anon 500\ninactive_file 400\n")
    _write(group / "memory.events", "low 0\noom 2\noom_kill 1\n")
    return tmp_path


def test_idle_cache_does_not_count(version_1):
    group = MemoryGroup(7, NAME, version_1 / "cgroup", version_1 / "proc")
    assert (group.used(), group.kills()) == (800, 3)


def test_both_versions_of_control_groups_are_read(version_2):
    group = MemoryGroup(7, NAME, version_2 / "cgroup", version_2 / "proc")
    assert (group.used(), group.kills()) == (600, 1)


def test_a_process_of_that_number_outside_the_container_is_not_read(version_2):
    group = MemoryGroup(7, "cd34", version_2 / "cgroup", version_2 / "proc")
    assert (group.used(), group.kills()) == (None, None)


def test_what_has_vanished_is_not_known(version_1):
    group = MemoryGroup(7, NAME, version_1 / "cgroup", version_1 / "proc")
    for path in (version_1 / "cgroup/memory/docker" / NAME).iterdir():
        path.unlink()
    assert (group.used(), group.kills()) == (None, None)
    assert MemoryGroup(8, NAME, version_1 / "cgroup", version_1 / "proc").used() is None


def test_the_peak_is_the_largest_of_all_readings():
    values = iter([3, None, 9, 4])
    with Peak(lambda: next(values, None), poll_s=0.001) as peak:
        time.sleep(0.05)
    assert peak.value == 9


def test_the_mean_is_that_of_all_readings():
    values = iter([2, None, 4])
    with Peak(lambda: next(values, None), poll_s=0.001) as peak:
        time.sleep(0.05)
    assert peak.mean == 3
    with Peak(lambda: None) as nothing:
        pass
    assert nothing.mean is None


def test_there_is_one_reading_at_least():
    with Peak(lambda: 5, poll_s=10) as peak:
        pass
    assert peak.value == 5


def test_the_peak_of_nothing_is_not_known():
    with Peak(lambda: None) as peak:
        pass
    assert peak.value is None


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
