import os
from dataclasses import replace

import pytest
from mistakes import refused
from toys import ALL, HOST, LIMITS

from cytosuite.benchmark.engines.hardening import (
    RUN_LABEL,
    Host,
    container_user,
    flags,
    pick_cpus,
    ulimits,
)


@pytest.mark.parametrize(
    "changes, image_user, expected",
    [
        ({}, "", "1001:100"),
        ({"uid": 0, "gid": 0}, "1000", None),  # that of the image
        ({"uid": 0, "gid": 0}, "root:root", "65534:65534"),
        ({"uid": 0, "gid": 0}, "", "65534:65534"),
        ({"uid": 0, "gid": 0, "sudo": (1001, 100)}, "", "1001:100"),
        ({"uid": 0, "gid": 0, "sudo": (0, 0)}, "app", None),
        ({"rootless": True}, "", "0:0"),
    ],
)
def test_the_user_of_a_container_is_never_root_of_the_machine(changes, image_user, expected):
    assert container_user(replace(HOST, **changes), image_user) == expected


@pytest.mark.parametrize("security", [["name=seccomp,profile=default", "name=rootless"], None])
def test_the_host_is_read_from_the_daemon(security):
    host = Host.of(
        {"SecurityOptions": security, "CPUSet": False}, {"SUDO_UID": "7", "SUDO_GID": "8"}
    )
    assert host.rootless == bool(security)
    assert host.can == ALL - {"CPUSet"}
    assert host.sudo == (7, 8)
    assert host.cpus == os.sched_getaffinity(0)


def test_rootless_podman_says_so_in_its_own_words():
    """As podman 4.3 answers; under version 1 of control groups it ignores limits of users."""
    said = {"SecurityOptions": ["name=seccomp,profile=default"], "Rootless": True}
    host = Host.of(said | {"MemoryLimit": True, "CgroupVersion": "2"}, {})
    assert host.rootless
    assert host.can == ALL
    assert Host.of(said | {"MemoryLimit": True, "CgroupVersion": "1"}, {}).can == frozenset()
    assert not Host.of(said | {"Rootless": False, "CgroupVersion": "1"}, {}).rootless
    assert Host.of({"CgroupVersion": "1"}, {}).can == ALL  # Docker says what it can


def test_every_wall_is_up():
    chosen = flags(LIMITS, HOST, "owner", "")
    assert chosen["read_only"] is chosen["init"] is True
    walls = {
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "pids_limit": 99,
        "security_opt": ["no-new-privileges"],
        "labels": {RUN_LABEL: "owner"},
    }
    walls |= dict.fromkeys(("mem_limit", "memswap_limit"), 2 * 2**30)
    assert chosen.items() >= walls.items()
    # Programs in /tmp may run: compilers cache there.
    assert {"exec", "mode=1777", f"size={2 * 2**30}"} <= set(chosen["tmpfs"]["/tmp"].split(","))
    assert chosen["environment"]["OMP_NUM_THREADS"] == "2"
    assert len(chosen["cpuset_cpus"].split(",")) == 2
    limits = dict(ulimits(LIMITS))
    assert (limits["fsize"], limits["core"]) == (2**29, 0)
    assert not chosen.keys() & {"privileged", "cap_add", "devices", "pid_mode", "ports"}


def test_what_the_daemon_cannot_enforce_is_not_asked_for():
    for ability, flag in {
        "CpuCfsQuota": "nano_cpus",
        "CPUSet": "cpuset_cpus",
        "MemoryLimit": "mem_limit",
        "SwapLimit": "memswap_limit",
        "PidsLimit": "pids_limit",
    }.items():
        assert flag in flags(LIMITS, HOST, "", "")
        assert flag not in flags(LIMITS, replace(HOST, can=ALL - {ability}), "", "")


def test_a_limit_must_be_positive():
    for name in ("memory_gib", "timeout_s", "cpus", "pids", "output_gib"):
        for value in (0, float("nan")):
            refused(
                f"limit {name} must be positive, found {value!r}",
                flags,
                replace(LIMITS, **{name: value}),
                HOST,
                "",
                "",
            )


def test_processors_are_distinct_available_and_enough():
    assert pick_cpus({0, 1, 2, 3}, 1.5, offset=1) == "2,3"
    available = {2, 3, 5, 7}
    for offset in range(5):
        for cpus in (0.5, 2.5, 64):
            chosen = [int(cpu) for cpu in pick_cpus(available, cpus, offset).split(",")]
            assert len(set(chosen)) == len(chosen) == min(4, -(-cpus // 1))
            assert set(chosen) <= available
