"""Flags for untrusted containers: pure functions of limits and host."""

import math
import os
import resource
from collections.abc import Collection

from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.errors import InputError
from cytosuite.files import Entries, IntPair, Json, Scalars, TextMap, frozen
from cytosuite.volume.memory import GIB, SCRATCH

RUN_LABEL = "org.cytosuite.run"
FILES, PROCESSES = 16384, 16384  # required by podman; `pids_limit` limits processes
NOBODY = "65534:65534"
LOG_BYTES = 10 * 2**20
# Flags of Docker by the ability of the daemon that enforces them.
DOCKER = {
    "MemoryLimit": "mem_limit",
    "SwapLimit": "memswap_limit",
    "PidsLimit": "pids_limit",
    "CpuCfsQuota": "nano_cpus",
    "CPUSet": "cpuset_cpus",
}


@frozen
class Host:
    """Abilities of the daemon, and the user who runs the benchmark."""

    rootless: bool  # whether the daemon runs as the user: root in a container is then this user
    cpus: frozenset[int]  # processors this process may use
    can: frozenset[str]
    uid: int  # of this process
    gid: int  # of this process
    sudo: IntPair | None = None  # user and group behind ``sudo``

    @classmethod
    def of(cls, info: Entries, environment: TextMap = os.environ) -> "Host":
        """Return the host, from the daemon's ``info`` and this process."""
        security = [str(option) for option in info.get("SecurityOptions") or ()]
        # Podman's service has a key for it in place of an option.
        rootless = bool(info.get("Rootless")) or any("rootless" in option for option in security)
        # It also claims limits that it ignores: version 1 of control groups is not for users.
        idle = rootless and str(info.get("CgroupVersion")) == "1"
        sudo = environment.get("SUDO_UID"), environment.get("SUDO_GID")
        return cls(
            rootless=rootless,
            cpus=frozenset(os.sched_getaffinity(0)),
            can=frozenset(() if idle else (name for name in DOCKER if info.get(name, True))),
            uid=os.getuid(),
            gid=os.getgid(),
            sudo=(int(sudo[0]), int(sudo[1])) if sudo[0] and sudo[1] else None,
        )


def container_user(host: Host, image_user: str) -> str | None:
    """Return ``uid:gid`` of a container, None for the user of the image; never root outside."""
    # Under a rootless daemon root is the user outside.
    if host.rootless:
        return "0:0"
    if host.uid != 0:
        return f"{host.uid}:{host.gid}"
    if host.sudo is not None and host.sudo[0] != 0:
        return f"{host.sudo[0]}:{host.sudo[1]}"
    return NOBODY if image_user.partition(":")[0] in {"", "0", "root"} else None


def pick_cpus(available: Collection[int], cpus: float, offset: int) -> str:
    """Return the processors of a container as Docker's ``cpuset``, ascending."""
    ordered = sorted(available)
    count = max(1, min(len(ordered), math.ceil(cpus)))
    first = offset * count % len(ordered)
    return ",".join(map(str, sorted((ordered * 2)[first : first + count])))


def flags(limits: Limits, host: Host, owner: str, image_user: str) -> Json:
    """Return the flags of a container; InputError if a limit is not a positive number."""
    for name in ("memory_gib", "timeout_s", "cpus", "pids", "output_gib"):
        if not getattr(limits, name) > 0:
            raise InputError(f"limit {name} must be positive, found {getattr(limits, name)!r}")
    memory = int(limits.memory_gib * GIB)
    chosen: Json = {
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
        **{DOCKER[name]: value for name, value in enforceable(limits, host).items()},
    }
    if "nano_cpus" in chosen:
        chosen["nano_cpus"] = int(chosen["nano_cpus"] * 1e9)
    if (user := container_user(host, image_user)) is not None:
        chosen["user"] = user
    return chosen


def at_most(number: int, which: int) -> int:
    """Return a limit of processes, or the one that this process cannot exceed if that is lower."""
    hard = resource.getrlimit(which)[1]
    return number if hard == resource.RLIM_INFINITY else min(number, hard)


def ulimits(limits: Limits) -> list[tuple[str, int]]:
    """Return the limits of each process by name; ``fsize`` [bytes] is of one file."""
    return [
        ("core", 0),
        ("fsize", int(limits.output_gib * GIB)),
        ("nofile", at_most(FILES, resource.RLIMIT_NOFILE)),
        ("nproc", at_most(PROCESSES, resource.RLIMIT_NPROC)),
    ]


def enforceable(limits: Limits, host: Host) -> Scalars:
    """Return the limits that control groups enforce, by the name of the host's ability."""
    memory = int(limits.memory_gib * GIB)
    values: Scalars = {
        "MemoryLimit": memory,
        "SwapLimit": memory,
        "PidsLimit": limits.pids,
        "CpuCfsQuota": min(limits.cpus, len(host.cpus)),
        "CPUSet": pick_cpus(host.cpus, limits.cpus, os.getpid()),
    }
    can = host.can if "MemoryLimit" in host.can else host.can - {"SwapLimit"}
    return {name: value for name, value in values.items() if name in can}
