"""Run algorithms in containers of Apptainer 1.2, one per case; `NOTES` has its limits."""

import csv
import io
import os
import re
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import KW_ONLY, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

from cytosuite.benchmark.catalog.models import identity_with
from cytosuite.benchmark.catalog.packages import Device
from cytosuite.benchmark.catalog.places import ROOT, program_of, workplace
from cytosuite.benchmark.engines.collect import clear, overfull
from cytosuite.benchmark.engines.gpu import gpus
from cytosuite.benchmark.engines.hardening import Host, container_user, enforceable, ulimits
from cytosuite.benchmark.engines.images.blueprints import image_digest, image_tag
from cytosuite.benchmark.engines.images.build import SOURCE_LABEL
from cytosuite.benchmark.engines.memory import CGROUP, family
from cytosuite.benchmark.engines.outcome import Ending, Limits, ending
from cytosuite.benchmark.engines.process import ProcessEngine, ProcessSession
from cytosuite.contract.words import Api, Say
from cytosuite.errors import InputError, plain
from cytosuite.files import Paths, TextDict, TextMap, Texts, TextSeq, parse_json
from cytosuite.volume.memory import GIB, SCRATCH

CALL_S = 60.0  # longest answer of Apptainer about itself or an image
LEAST = (1, 2)  # version of Apptainer: earlier ones lack flags
HEAD = 2**15  # bytes of a .sif with its UUID and the list of its parts, and their times
NOTES = (
    "Containers of Apptainer, a new one for each case: its start counts as time of the case.",
    "Apptainer has no system call filter as Docker's; its /tmp is a folder on disk, watched.",
)
WATCHED = (
    "No control groups are delegated: memory and processes are watched 50 times a second, not "
    "limited by the kernel, and processors by the number of threads alone."
)
# Variables that Apptainer gets. Others would open the container: APPTAINER_BIND adds a folder.
KEPT = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
CONTROLLERS = {
    "memory": ("MemoryLimit", "SwapLimit"),
    "pids": ("PidsLimit",),
    "cpu": ("CpuCfsQuota",),
    "cpuset": ("CPUSet",),
}
OPTIONS = {
    "MemoryLimit": "--memory",
    "SwapLimit": "--memory-swap",
    "PidsLimit": "--pids-limit",
    "CpuCfsQuota": "--cpus",
    "CPUSet": "--cpuset-cpus",
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
FAILED = 255  # exit code of Apptainer itself
KILLED = {137, -9}  # of SIGKILL
FULL_SHARE = 0.9  # of a memory limit: a program that the kernel kills above it lacked memory
EACH_S = 1.0  # between two looks at the sizes of folders


@dataclass
class Contained(ProcessSession):
    """An algorithm in containers of Apptainer, one for each case."""

    engine: "ApptainerEngine"
    _mounts: Paths = field(default_factory=dict)
    _threads: int = 0
    _peak: int | None = None
    _last: int = 0
    _next: float = EACH_S

    def give(self, case_input: Path, target: Path) -> None:
        """Lay out empty files and folders, over which the case's own are mounted."""
        clear(scratch := self.workspace / "scratch")  # its /tmp
        scratch.mkdir()
        self._peak, self._last, self._threads, self._next = None, 0, 0, EACH_S
        target.mkdir(mode=0o755)
        self._mounts = {"/input": target, **lay_out(case_input, target)}

    def call(self, command: str) -> tuple[list[str], TextDict]:
        """Return the words of Apptainer, and its own variables; InputError for a server."""
        if command != "exec":
            raise InputError(
                f"ENGINE=apptainer starts a container per case: API=exec, not {command}"
            )
        host = self.engine.host
        gpu = self.meter.gpu if self.meter else None
        image = sif(self.engine.images, program_of(self.algorithm), self.engine.device)
        folders = {**self._mounts, "/output": self.workspace / "output"}
        if host.uid == 0:  # which runs containers as nobody
            folders["/output"].chmod(0o777)
        if self.model:
            folders["/opt/ml/model"] = self.model
        words = arguments(image, folders, self.workspace / "scratch", self.limits, host)
        if gpu:
            words.insert(-1, "--nv")
        variables = {
            "HOME": "/tmp",
            "CYTOSUITE_ALGORITHM": self.algorithm,
            "CYTOSUITE_RECORD": "/output/record.json",
            "CYTOSUITE_MEMORY_GIB": f"{self.limits.memory_gib:g}",
            SCRATCH: "/output",  # the only disk
            "PYTHONUNBUFFERED": "1",
            **self.limits.environment,
            **(gpu.environment if gpu else {}),
        }
        # By env(1): Apptainer does not set HOME, and cuts its --env at commas.
        words += ["env", *(f"{name}={value}" for name, value in variables.items())]
        return [*words, *ENTRY, command], clean(os.environ)

    def memory(self, pid: int) -> int | None:
        """Return the peak memory [bytes] that two looks see: a fork first shows its parent's."""
        most = self.limits.pids
        usage = family(pid, most)
        if usage and usage[0] > self.limits.memory_gib * GIB:
            usage = family(pid, most, shares=True)
        if usage:
            self._peak = max(self._peak or 0, min(self._last, usage[0]))
            self._last, self._threads = usage
        return self._peak

    def exceeded(self, seconds: float) -> Ending | None:
        """Return the limit of processes, output or scratch that is exceeded."""
        if self._threads > self.limits.pids:
            return "non-zero exit", f"limit of {self.limits.pids} processes and threads exceeded"
        if seconds < self._next:
            return None
        self._next = seconds + EACH_S
        limits, output, scratch = self.limits, self.workspace / "output", self.workspace / "scratch"
        return overfull(output, limits.output_gib, limits.output_exceeded) or overfull(
            scratch,
            limits.memory_gib,
            limits.memory_exceeded,  # elsewhere /tmp is memory
        )

    def ending(self, code: int | None, line: str, peak: int | None) -> Ending:
        """Return status and reason; a failure of Apptainer itself is an engine error."""
        if code == FAILED and line.startswith("FATAL"):
            return "engine error", plain(line, 300)
        if code in KILLED and (peak or 0) > FULL_SHARE * self.limits.memory_gib * GIB:
            return self.limits.memory_exceeded
        return ending(code, line)


@dataclass
class ApptainerEngine(ProcessEngine):
    """Algorithms in containers of Apptainer."""

    images: Path  # folder with ``<algorithm>.sif``, see `sif`
    host: Host  # user, processors, and the limits that control groups enforce
    _: KW_ONLY
    name: str = "apptainer"
    kind: ClassVar[type[ProcessSession]] = Contained
    api: Api = "exec"  # a server in a container without network hears nobody

    @property
    def notes(self) -> Texts:
        """Sentences for the reader of the results."""
        return NOTES if "MemoryLimit" in self.host.can else (*NOTES, WATCHED)

    def prepare(self, algorithms: Collection[str], base_image: str | None) -> None:  # noqa: ARG002
        """Refuse algorithms without an image."""
        for name in algorithms:
            self.need(name)

    def check_gpu(self, algorithm: str) -> None:  # noqa: ARG002 - see Engine
        """Look for a GPU on this machine alone."""
        gpus()

    def identity(self, algorithm: str) -> str:
        """Return the digest of an image's beginning, where each build has a UUID, and its model."""
        path = self.need(program_of(algorithm))
        with path.open("rb") as stream:
            head = sha256(stream.read(HEAD)).hexdigest()
        return identity_with(self.models, algorithm, f"{head}, {path.stat().st_size} bytes")

    def need(self, algorithm: str) -> Path:
        """Return the image of the checkout's sources; else InputError with commands to make it."""
        path = sif(self.images, algorithm, self.device)
        device = self.device
        archive = path.with_suffix(".tar")
        option = "" if device == "cpu" else f" DEVICE={device}"
        remedy = (
            f"make it with `make build-{algorithm}{option} && docker save "
            f"{image_tag(algorithm, device)} --output {archive} && apptainer build --force {path} "
            f"docker-archive://{archive}`"
        )
        if not path.is_file():
            raise InputError(f"{path}: no image of {algorithm}; {remedy}")
        if labels(path).get(SOURCE_LABEL) != image_digest(ROOT, algorithm, device):
            raise InputError(f"{path}: made from other sources than the checkout's; {remedy}")
        return path


def start(_name: str, device: Device, say: Say) -> ApptainerEngine:
    """Return this machine's engine, with images in ``SIF`` or ``runs/sif``; else InputError."""
    for name, package in (("apptainer", "Apptainer 1.2 or later"), ("prlimit", "util-linux")):
        if shutil.which(name) is None:
            raise InputError(f"no program {name} on this machine; install {package}")
    answer = _answer(["--version"]).strip()
    version = re.search(r"(\d+)\.(\d+)", answer)
    if version is None or (int(version[1]), int(version[2])) < LEAST:
        raise InputError(
            f"expected Apptainer {LEAST[0]}.{LEAST[1]} or later, found {plain(answer)!r}"
        )
    images = Path(os.environ.get("SIF") or workplace() / "runs/sif")
    can = abilities(os.getuid(), os.environ)
    host = Host(False, frozenset(os.sched_getaffinity(0)), can, os.getuid(), os.getgid())
    return ApptainerEngine(images, host, device=device, say=say)


def sif(folder: Path, algorithm: str, device: Device) -> Path:
    """Return the path of an algorithm's image: ``sif/watershed-cuda.sif``."""
    return folder / f"{algorithm}{'' if device == 'cpu' else f'-{device}'}.sif"


def labels(path: Path) -> TextDict:
    """Return the labels of an image and of the Docker image it was made from."""
    answer = _answer(["inspect", "--json", "--labels", str(path.resolve())])
    try:
        texts = parse_json(answer)["data"]["attributes"]["labels"]
        return {str(name): str(value) for name, value in texts.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(f"{path}: expected labels, found {plain(answer, 200)!r}") from None


def _answer(words: TextSeq) -> str:
    """Return the output of a call of Apptainer."""
    call = ["apptainer", *words]
    environment = clean(os.environ)
    try:
        done = subprocess.run(
            call, capture_output=True, env=environment, timeout=CALL_S, check=True
        )
    except subprocess.CalledProcessError as error:
        raise InputError(
            f"{' '.join(call)}: {plain(error.stderr.decode(errors='replace'), 300)}"
        ) from None
    except (subprocess.TimeoutExpired, OSError) as error:
        raise InputError(f"{' '.join(call)}: {plain(str(error), 300)}") from None
    return done.stdout.decode(errors="replace")


def arguments(image: Path, folders: Paths, scratch: Path, limits: Limits, host: Host) -> list[str]:
    """Return the words that start a container, without the program; outer folders come first."""
    # Apptainer refuses limits that no control group enforces.
    words = ["prlimit", *(f"--{name}={value}" for name, value in ulimits(limits))]
    words += ["apptainer", "--silent", "exec", *WALLS, "--workdir", str(scratch.resolve())]
    for point, path in folders.items():
        words += ["--mount", mount(point, path, read_only=point != "/output")]
    if host.uid == 0:  # never root in a container; any other user stays who they are
        uid, gid = (container_user(host, "") or "").split(":")
        words += ["--security", f"uid:{uid}", "--security", f"gid:{gid}"]
    for name, value in enforceable(limits, host).items():
        words += [OPTIONS[name], f"{value:g}" if isinstance(value, float) else str(value)]
    return [*words, str(image.resolve())]


def mount(point: str, path: Path, *, read_only: bool) -> str:
    """Return a value of Apptainer's ``--mount``: fields of CSV, which can hold any path."""
    row = ["type=bind", f"source={path.resolve()}", f"destination={point}"]
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([*row, *(["ro"] if read_only else [])])
    return text.getvalue().removesuffix("\r\n")


def lay_out(source: Path, target: Path) -> Paths:
    """Make an empty place in `target` for each entry of a case's input; return mounts over them."""
    mounts = {}
    for folder, names, files in os.walk(source):
        inside = Path(folder).relative_to(source)
        for name in sorted([*names, *files]):
            here = Path(folder) / name
            place = target / inside / name
            place.mkdir(mode=0o755) if here.is_dir() else place.touch(mode=0o644)
            if here.is_symlink() or here.is_file():
                mounts[f"/input/{(inside / name).as_posix()}"] = here
    return mounts


def clean(environment: TextMap) -> TextDict:
    """Return the variables of `KEPT`, which Apptainer itself gets."""
    return {name: environment[name] for name in KEPT if name in environment}


def abilities(uid: int, environment: TextMap, root: Path = CGROUP) -> frozenset[str]:
    """Return the limits that Apptainer can set by control groups (version 2)."""
    # A user needs a session of systemd with delegated controllers. In a job of Slurm none is asked
    # for: the container would leave the group of the job, with its limits.
    group = root
    if uid != 0:
        group = root / f"user.slice/user-{uid}.slice/user@{uid}.service"
        if not {"XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"} <= set(environment):
            return frozenset()
    if "SLURM_JOB_ID" in environment or not (group / "cgroup.controllers").is_file():
        return frozenset()
    there = (group / "cgroup.controllers").read_text(encoding="ascii").split()
    return frozenset(name for controller in there for name in CONTROLLERS.get(controller, ()))
