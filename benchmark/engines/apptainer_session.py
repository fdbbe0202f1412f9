"""Start the container of one case by Apptainer, and watch its memory and time."""

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cytosuite.benchmark.engines.collect import Refused, clear, size
from cytosuite.benchmark.engines.gpu import Gpu
from cytosuite.benchmark.engines.hardening import Host, container_user, pick_cpus, ulimits
from cytosuite.benchmark.engines.memory import CGROUP, family
from cytosuite.benchmark.engines.outcome import Ending, Limits, ending
from cytosuite.errors import plain
from cytosuite.large import SCRATCH

# Variables that Apptainer itself needs. All others would act on it: APPTAINER_BIND adds a folder.
KEPT = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
CONTROLLERS = {
    "memory": ("MemoryLimit", "SwapLimit"),
    "pids": ("PidsLimit",),
    "cpu": ("CpuCfsQuota",),
    "cpuset": ("CPUSet",),
}
WALLS = (
    "--containall",  # own processes and IPC, a small /dev, nothing of the host's /tmp and home
    "--cleanenv",
    "--no-home",
    *("--no-mount", "home,cwd,hostfs,bind-paths"),
    *("--net", "--network", "none"),
    *("--drop-caps", "all"),
    "--no-privs",  # also no new ones
    "--no-eval",  # variables are text, no shell expands them
    *("--hostname", "container"),
    *("--pwd", "/opt/app"),
)  # the root is the read-only image: nothing asks for --writable, --writable-tmpfs or --overlay
ENTRY = ("python3", "-m", "cytosuite.container")
FAILED, KILLED = 255, {137, -9}  # exit codes of Apptainer itself, and of SIGKILL
FULL_SHARE = 0.9  # of a memory limit: a program that the kernel kills above it lacked memory
EACH_S = 1.0  # between two looks at the sizes of folders


@dataclass
class Contained:
    """An algorithm in a container of Apptainer; see `cytosuite.benchmark.engines.process.Launch`.

    Parameters
    ----------
    workspace : Path
        For input, output and ``/tmp``.
    model : Path or None
        Folder of the model that the user names.
    gpu : Gpu or None
        That it gets.
    """

    algorithm: str
    workspace: Path
    limits: Limits
    image: Path
    host: Host
    model: Path | None = None
    gpu: Gpu | None = None
    _mounts: dict[str, Path] = field(default_factory=dict)
    _threads: int = 0
    _peak: int | None = None
    _last: int = 0
    _next: float = EACH_S

    @property
    def scratch(self) -> Path:
        """Folder for ``/tmp``."""
        return self.workspace / "scratch"

    def give(self, case_input: Path, target: Path) -> None:
        """Lay out empty files and folders, over which the case's own are mounted."""
        clear(self.scratch)
        self.scratch.mkdir()
        self._peak, self._last, self._threads, self._next = None, 0, 0, EACH_S
        target.mkdir(mode=0o755)
        self._mounts = {"/input": target, **lay_out(case_input, target)}

    def call(self, command: str) -> tuple[list[str], dict[str, str]]:
        """Return the words of Apptainer, and its own variables."""
        folders = {**self._mounts, "/output": self.workspace / "output"}
        if self.host.uid == 0:  # which runs containers as nobody
            folders["/output"].chmod(0o777)
        if self.model:
            folders["/opt/ml/model"] = self.model
        words = arguments(self.image, folders, self.scratch, self.limits, self.host)
        if self.gpu:
            words.insert(words.index(str(self.image)), "--nv")
        variables = {
            "HOME": "/tmp",
            "CYTOSUITE_ALGORITHM": self.algorithm,
            "CYTOSUITE_RECORD": "/output/record.json",
            "CYTOSUITE_MEMORY_GIB": f"{self.limits.memory_gib:g}",
            SCRATCH: "/output",  # the only disk
            "PYTHONUNBUFFERED": "1",
            **self.limits.environment,
            **(self.gpu.environment if self.gpu else {}),
        }
        # By env(1): Apptainer does not set HOME, and cuts its --env at commas.
        words += ["env", *(f"{name}={value}" for name, value in variables.items())]
        return [*words, *ENTRY, command], clean(os.environ)

    def memory(self, pid: int) -> int | None:
        """Return the largest memory so far of all processes of the container [bytes].

        It counts what two looks in a row have seen: a new process shows its parent's for a moment.
        """
        most = self.limits.pids
        found = family(pid, most)
        if found and found[0] > self.limits.memory_gib * 2**30:
            found = family(pid, most, shares=True)
        if found:
            self._peak = max(self._peak or 0, min(self._last, found[0]))
            self._last, self._threads = found
        return self._peak

    def exceeded(self, pid: int, seconds: float) -> Ending | None:  # noqa: ARG002 - see Launch
        """Return the limit of processes, output or scratch that is exceeded."""
        if self._threads > self.limits.pids:
            return "non-zero exit", f"limit of {self.limits.pids} processes and threads exceeded"
        if seconds < self._next:
            return None
        self._next = seconds + EACH_S
        most, room = (int(n * 2**30) for n in (self.limits.output_gib, self.limits.memory_gib))
        try:
            if size(self.workspace / "output", most) > most:
                return self.limits.output_exceeded
            if size(self.scratch, room) > room:  # elsewhere /tmp is memory
                return self.limits.memory_exceeded
        except Refused as finding:
            return "bad output", str(finding)
        return None

    def ending(self, code: int | None, line: str, peak: int | None) -> Ending:
        """Return status and reason; failures of Apptainer itself are none of the algorithm."""
        if code == FAILED and line.startswith("FATAL"):
            return "engine error", plain(line, 300)
        if code in KILLED and (peak or 0) > FULL_SHARE * self.limits.memory_gib * 2**30:
            return self.limits.memory_exceeded
        return ending(code, line)


def arguments(
    image: Path, folders: Mapping[str, Path], scratch: Path, limits: Limits, host: Host
) -> list[str]:
    """Return the words that start a container: those before the program in it.

    Parameters
    ----------
    image : Path
        A ``.sif`` file.
    folders : mapping of str to Path
        Files and folders of the host by mount point, outer ones first; all but ``/output`` are
        read-only.
    scratch : Path
        For ``/tmp`` and ``/var/tmp``.
    limits : Limits
        Of one case.
    host : Host
        Its abilities: only limits that control groups enforce are asked for, since Apptainer
        refuses others.

    Notes
    -----
    For Apptainer 1.2 and later. ``prlimit`` of util-linux sets the limits of each process.
    """
    words = ["prlimit", *(f"--{name}={value}" for name, value in ulimits(limits))]
    words += ["apptainer", "--silent", "exec", *WALLS, "--workdir", str(scratch.resolve())]
    for point, path in folders.items():
        words += ["--mount", mount(point, path, read_only=point != "/output")]
    if host.uid == 0:  # never root in a container; any other user stays who they are
        uid, gid = (container_user(host, "") or "").split(":")
        words += ["--security", f"uid:{uid}", "--security", f"gid:{gid}"]
    return [*words, *_enforceable(limits, host), str(image.resolve())]


def mount(point: str, path: Path, *, read_only: bool) -> str:
    """Return a value of Apptainer's ``--mount``: fields of CSV, so that any path can stand there.

    Examples
    --------
    >>> mount("/input", Path("/data/a,b"), read_only=True)
    'type=bind,"source=/data/a,b",destination=/input,ro'
    """
    row = ["type=bind", f"source={path.resolve()}", f"destination={point}"]
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([*row, *(["ro"] if read_only else [])])
    return text.getvalue().removesuffix("\r\n")


def lay_out(source: Path, target: Path) -> dict[str, Path]:
    """Make an empty file or folder for each entry of a case's input; return the mounts over them.

    Parameters
    ----------
    source : Path
        Folder of the case. Links in it are the user's own, to files and folders anywhere.
    target : Path
        An empty folder, which is mounted at ``/input``.

    Returns
    -------
    dict of str to Path
        Files and folders by mount point. Volumes of many GB are not copied.
    """
    found: dict[str, Path] = {}
    for folder, names, files in os.walk(source):
        inside = Path(folder).relative_to(source)
        for name in sorted([*names, *files]):
            here, place = Path(folder) / name, target / inside / name
            place.mkdir(mode=0o755) if here.is_dir() else place.touch(mode=0o644)
            if here.is_symlink() or here.is_file():
                found[f"/input/{(inside / name).as_posix()}"] = here
    return found


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Apptainer itself gets: none by which it would open the container.

    Parameters
    ----------
    environment : mapping of str to str
        Of this process.
    """
    return {name: environment[name] for name in KEPT if name in environment}


def abilities(uid: int, environment: Mapping[str, str], root: Path = CGROUP) -> frozenset[str]:
    """Return the limits that Apptainer can set by control groups, as `Host` names them.

    Parameters
    ----------
    uid : int
        Of the user.
    environment : mapping of str to str
        Of this process.
    root : Path
        Mount point of control groups.

    Notes
    -----
    It needs version 2 and, for a user, a session of systemd with delegated controllers. In a job
    of Slurm it is not asked for: the container would leave the job's own group, with its limits.
    """
    own = root
    if uid != 0:
        own = root / f"user.slice/user-{uid}.slice/user@{uid}.service"
        if not {"XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"} <= set(environment):
            return frozenset()
    if "SLURM_JOB_ID" in environment or not (own / "cgroup.controllers").is_file():
        return frozenset()
    there = (own / "cgroup.controllers").read_text(encoding="ascii").split()
    return frozenset(name for found in there for name in CONTROLLERS.get(found, ()))


def _enforceable(limits: Limits, host: Host) -> list[str]:
    """Return the limits of the control groups that can be enforced."""
    memory, cpus = int(limits.memory_gib * 2**30), min(limits.cpus, len(host.cpus))
    asked = {
        "MemoryLimit": ("--memory", str(memory)),
        "SwapLimit": ("--memory-swap", str(memory)),
        "PidsLimit": ("--pids-limit", str(limits.pids)),
        "CpuCfsQuota": ("--cpus", f"{cpus:g}"),
        "CPUSet": ("--cpuset-cpus", pick_cpus(host.cpus, limits.cpus, os.getpid())),
    }
    return [word for name, words in asked.items() if name in host.can for word in words]
