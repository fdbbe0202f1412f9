"""Flags for untrusted containers: pure functions of limits and host."""

import math
import os
import resource
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.errors import InputError
from cytosuite.large import SCRATCH

RUN_LABEL = "org.cytosuite.run"
FILES, PROCESSES = 16384, 16384  # required by podman; `pids_limit` limits processes
NOBODY = "65534:65534"
LOG_BYTES = 10 * 2**20


@dataclass(frozen=True, slots=True)
class Host:
    """Abilities of the daemon, and the user who runs the benchmark.

    Parameters
    ----------
    rootless : bool
        Whether the daemon runs as the user: root in a container is then this user.
    cpus : frozenset of int
        Processors this process may use.
    can : frozenset of str
        The limits that the daemon can enforce, of ``CpuCfsQuota``, ``CPUSet``, ``MemoryLimit``,
        ``SwapLimit``, ``PidsLimit``. It refuses a container with any other limit.
    uid, gid : int
        Of this process.
    sudo : tuple of int or None
        User and group behind ``sudo``.
    """

    rootless: bool
    cpus: frozenset[int]
    can: frozenset[str]
    uid: int
    gid: int
    sudo: tuple[int, int] | None = None

    @classmethod
    def of(cls, info: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> "Host":
        """Return the host, from the daemon's ``info`` and this process."""
        security = [str(option) for option in info.get("SecurityOptions") or ()]
        # Podman's service has a key of its own for it, and no such option.
        rootless = bool(info.get("Rootless")) or any("rootless" in option for option in security)
        names = ("CpuCfsQuota", "CPUSet", "MemoryLimit", "SwapLimit", "PidsLimit")
        # It also claims limits that it ignores: version 1 of control groups is not for users.
        idle = rootless and str(info.get("CgroupVersion")) == "1"
        sudo = environment.get("SUDO_UID"), environment.get("SUDO_GID")
        return cls(
            rootless=rootless,
            cpus=frozenset(os.sched_getaffinity(0)),
            can=frozenset(() if idle else (name for name in names if info.get(name, True))),
            uid=os.getuid(),
            gid=os.getgid(),
            sudo=(int(sudo[0]), int(sudo[1])) if sudo[0] and sudo[1] else None,
        )


def container_user(host: Host, image_user: str) -> str | None:
    """Return the user of a container as ``uid:gid``, None for the user of the image.

    It is the user who runs the benchmark, also through ``sudo``, who then owns the output; for root
    itself the user of the image, or nobody where that is root. Under a rootless daemon root is the
    user outside.

    Parameters
    ----------
    host : Host
        With the user who runs the benchmark.
    image_user : str
        ``USER`` of the image, empty without.

    Examples
    --------
    >>> container_user(Host(False, frozenset({0}), frozenset(), uid=1001, gid=100), "root")
    '1001:100'
    """
    if host.rootless:
        return "0:0"
    if host.uid != 0:
        return f"{host.uid}:{host.gid}"
    if host.sudo is not None and host.sudo[0] != 0:
        return f"{host.sudo[0]}:{host.sudo[1]}"
    return NOBODY if image_user.partition(":")[0] in {"", "0", "root"} else None


def pick_cpus(available: Collection[int], cpus: float, offset: int) -> str:
    """Return the processors of a container as Docker's ``cpuset``, ascending.

    Parameters
    ----------
    available : collection of int
        Processors this process may use.
    cpus : float
        Number of processors for the container, rounded up; at most all available ones.
    offset : int
        Runners at the same time pass different numbers and so share the machine evenly.

    Examples
    --------
    >>> pick_cpus({0, 1, 2, 3}, 1.5, offset=1)
    '2,3'
    """
    ordered = sorted(available)
    count = max(1, min(len(ordered), math.ceil(cpus)))
    first = offset * count % len(ordered)
    return ",".join(map(str, sorted((ordered * 2)[first : first + count])))


def flags(limits: Limits, host: Host, owner: str, image_user: str) -> dict[str, Any]:
    """Return the arguments of the SDK's ``containers.create`` that limit a container.

    Parameters
    ----------
    limits : Limits
        Of one case.
    host : Host
        Abilities of the daemon, and the user.
    owner : str
        Value of the label by which containers of an ended runner are found; see `owner_label`.
    image_user : str
        ``USER`` of the image, empty without.

    Returns
    -------
    dict
        Without image, command and mounts.

    Raises
    ------
    InputError
        If a limit is not a positive number.
    """
    for name in ("memory_gib", "timeout_s", "cpus", "pids", "output_gib"):
        if not getattr(limits, name) > 0:
            raise InputError(f"limit {name} must be positive, found {getattr(limits, name)!r}")
    memory = int(limits.memory_gib * 2**30)
    chosen: dict[str, Any] = {
        "network_mode": "none",
        "read_only": True,
        "tmpfs": {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={memory}"},
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "init": True,
        "ipc_mode": "private",
        "shm_size": memory // 2,  # as on the platform; its pages count as memory
        "hostname": "container",
        "environment": {
            "HOME": "/tmp",
            "CYTOSUITE_RECORD": "/output/record.json",
            SCRATCH: "/output",  # the only disk: /tmp is memory
            **limits.environment,
        },
        "labels": {RUN_LABEL: owner},
        "stop_signal": "SIGTERM",
        **_enforceable(limits, host, memory),
    }
    if (user := container_user(host, image_user)) is not None:
        chosen["user"] = user
    return chosen


def ulimits(limits: Limits) -> list[tuple[str, int]]:
    """Return the resource limits of each process as name and value; soft and hard are equal.

    Notes
    -----
    ``fsize`` limits the size of one file [bytes]. Podman requires the numbers of files and
    processes; they cannot exceed the hard limits of this process.
    """

    def at_most(wanted: int, which: int) -> int:
        """Return a limit within the hard limit of this process."""
        hard = resource.getrlimit(which)[1]
        return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)

    return [
        ("core", 0),
        ("fsize", int(limits.output_gib * 2**30)),
        ("nofile", at_most(FILES, resource.RLIMIT_NOFILE)),
        ("nproc", at_most(PROCESSES, resource.RLIMIT_NPROC)),
    ]


def owner_label() -> str:
    """Return an identifier of this process, unique on this machine also after its end."""
    return f"{os.uname().nodename}:{os.getpid()}:{_birth(os.getpid())}"


def is_orphan(label: str) -> bool:
    """Return whether the process of an :func:`owner_label` ran on this machine and has ended.

    Examples
    --------
    >>> is_orphan(owner_label())
    False
    """
    node, _, rest = label.partition(":")
    pid, _, birth = rest.partition(":")
    return node == os.uname().nodename and pid.isdigit() and _birth(int(pid)) != birth


def _enforceable(limits: Limits, host: Host, memory: int) -> dict[str, Any]:
    """Return the limits of the control groups that the daemon can enforce."""
    chosen: dict[str, Any] = {}
    if "MemoryLimit" in host.can:
        chosen["mem_limit"] = memory
        if "SwapLimit" in host.can:
            chosen["memswap_limit"] = memory
    if "PidsLimit" in host.can:
        chosen["pids_limit"] = limits.pids
    if "CpuCfsQuota" in host.can:
        chosen["nano_cpus"] = int(min(limits.cpus, len(host.cpus)) * 1e9)
    if "CPUSet" in host.can:
        chosen["cpuset_cpus"] = pick_cpus(host.cpus, limits.cpus, os.getpid())
    return chosen


def _birth(pid: int) -> str:
    """Return the start of a process in ticks since boot; empty without a process of this number."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]
