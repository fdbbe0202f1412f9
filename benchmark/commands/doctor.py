"""Command ``doctor``: what of this machine serves the main job, what lacks, and what mends it."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from math import inf
from pathlib import Path
from subprocess import getstatusoutput
from typing import Literal, NamedTuple

from rich.console import Console
from rich.text import Text

from cytosuite import __version__
from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import (
    CACHE,
    CHECKOUT,
    PACKAGE,
    ROOT,
    model_homes,
    workplace,
)
from cytosuite.benchmark.commands.options.doctor import DoctorOptions
from cytosuite.benchmark.commands.terminal.console import say
from cytosuite.benchmark.commands.terminal.options import SEGMENT
from cytosuite.benchmark.engines.choose import engine_name
from cytosuite.benchmark.engines.gpu import gpus, listed, nvml, torch_trouble
from cytosuite.benchmark.engines.images.daemon import daemon_errors, need_docker
from cytosuite.benchmark.runs.data.loops import compiled
from cytosuite.contract.weights import MODELS, open_model, read_cards
from cytosuite.errors import CytosuiteError, InputError, plain
from cytosuite.errors.packages import extras, install
from cytosuite.volume.memory import free_gib
from cytosuite.volume.pieces import cores

State = Literal["ok", "lacks", "FAIL"]  # FAIL: without it the main job does not run
STYLES: dict[State, str] = {"ok": "green", "lacks": "yellow", "FAIL": "bold red"}
RUN_GB = 1.0  # of a run and its dataset
IMAGES_GB = 3.0  # of the images of all algorithms
TRIED = 2**20  # bytes that are written to see whether a disk takes them: a quota has no number
SHOWN = ("numpy", "scipy", "numba", "scikit-image")  # of the packages that come with us
SERVES = {
    "networks": "networks as plain processes, and trainings",
    "formats": "files of microscopes: .czi, .nd2, .lif",
    "cluster": "CLUSTER=slurm, local, or a Dask scheduler",
    "docs": "pages as a site: make docs",
    "napari": "the plugin of napari",
    "platform": "the challenge platform's launcher in a rehearsal, of Python 3.12: docs/hand-in.md",
}


class Sign(NamedTuple):
    """The state of a part of the machine, and its remedy."""

    part: str
    state: State
    found: str
    mend: str = ""


def doctor_command(options: DoctorOptions, console: Console) -> int:
    """Look at the machine; exit code 1 if the main job cannot run."""
    signs = []
    for sign in examine():
        signs.append(sign)
        text = Text.assemble((f"{sign.state:<6}", STYLES[sign.state]), f"{sign.part:<11}")
        console.print(text.append(sign.found), soft_wrap=True)
        if sign.mend:
            say(console, f"{'':<17}mend: {sign.mend}")
    failed = [sign.part for sign in signs if sign.state == "FAIL"]
    options.keep({"runs": not failed, "signs": [sign._asdict() for sign in signs]})
    verdict = f"cannot run: {', '.join(failed)}" if failed else "can run"
    say(console, f"`cytosuite benchmark spheroid` {verdict}")
    return 1 if failed else 0


def examine() -> Iterator[Sign]:
    """Yield the signs of all parts, first the needs of the main job."""
    place = f"the checkout {ROOT}" if CHECKOUT else f"installed in {PACKAGE}"
    yield Sign(
        "cytosuite",
        "ok",
        f"{__version__}, {place}; Python {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}",
    )
    engine, reason = engine_name("auto")
    yield Sign("engine", "ok", reason)
    yield from _packages(plain=engine == "process")
    yield from _models()
    yield _disk("disk", workplace() / "runs", RUN_GB, "make room, or name another disk (--runs)")
    yield _memory()
    yield _loops()
    if CHECKOUT:
        yield from _containers(engine)
    yield _gpu()
    if shutil.which("sbatch"):
        yield _program("slurm", "sbatch", "set SLURM_CONF, or ask who keeps the cluster")


def _packages(*, plain: bool) -> Iterator[Sign]:
    """Yield the packages that come with us, and the packages of each extra."""
    for extra, names in extras().items():
        if extra == "models":  # of a checkout they are in it
            continue
        there = {name: number for name in names if (number := _version(name))}
        lacking = [name for name in names if name not in there]
        needed = extra == "" or (extra == "networks" and plain)
        state: State = "FAIL" if lacking and needed else "lacks" if lacking else "ok"
        shown = there if extra else {name: there[name] for name in SHOWN if name in there}
        text = ", ".join(f"{name} {number}" for name, number in shown.items())
        if lacking:
            use = f" ({SERVES[extra]})" if extra in SERVES else ""
            text = f"not installed: {', '.join(lacking)}{use}"
        yield Sign(extra or "packages", state, text, install(lacking) if lacking else "")


def _version(name: str) -> str:
    """Return the version of an installed package, empty if it is not; nothing is imported."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _models() -> Iterator[Sign]:
    """Yield the number of models, and each with an invalid card or invalid weights."""
    if not CHECKOUT and find_spec(MODELS) is None:
        yield Sign("models", "FAIL", f"not installed: {MODELS}, their weights", install([MODELS]))
        return
    number = 0
    broken = []
    for folder in (home / name for home in model_homes() for name in algorithms()):
        try:
            for card in read_cards(folder, folder.name):
                open_model(folder, card)
                number += 1
        except CytosuiteError as error:
            broken.append(Sign("models", "FAIL", str(error), "restore it, or remove its card"))
    yield from broken or [Sign("models", "ok", f"{number}, weights as their cards say")]


def _disk(part: str, folder: Path, needs: float, mend: str, *, write: bool = True) -> Sign:
    """Return whether the disk of a folder has room [GB], and can be written."""
    free = shutil.disk_usage(_nearest(folder)).free / 1e9
    reason = _refused(folder) if write else ""
    room = reason or f"{free:.1f} GB free for {folder}, which needs about {needs:g}"
    if reason or free < needs:
        return Sign(part, "FAIL" if write else "lacks", room, mend)
    return Sign(part, "ok", room)


def _nearest(folder: Path) -> Path:
    """Return a folder, or the parent in which it would be made."""
    return next(parent for parent in (folder, *folder.parents) if os.path.isdir(parent))  # noqa: PTH112 - never fails


def _refused(folder: Path) -> str:
    """Return why a folder takes no file of a MB, or cannot be made; empty if it does."""
    try:
        with tempfile.TemporaryFile(dir=_nearest(folder)) as stream:
            stream.write(bytes(TRIED))
    except OSError as error:
        return f"{folder}: cannot be written ({error.strerror})"
    return ""


def _memory() -> Sign:
    """Return the cores and the free memory, against the limit of a case."""
    programs = (
        algorithm
        for algorithm in algorithms().values()
        if algorithm.task == SEGMENT and not algorithm.optional
    )
    needs = max(algorithm.resources.memory_gib for algorithm in programs)
    free = free_gib()
    text = f"{cores()} cores, {'?' if free == inf else f'{free:.1f}'} GiB of memory free"
    if free < needs:
        return Sign(
            "machine",
            "lacks",
            f"{text}; a case may take {needs:g}",
            "end other programs, or give large images to a larger machine",
        )
    return Sign("machine", "ok", text)


def _loops() -> Sign:
    """Return whether loops are compiled, or else can be kept."""
    home = PACKAGE if CHECKOUT and os.access(PACKAGE, os.W_OK) else CACHE
    if reason := _refused(home):
        mend = "set XDG_CACHE_HOME to a folder that can be written"
        return Sign("loops", "lacks", f"{reason}: each command compiles its own", mend)
    if not compiled():
        mend = "cytosuite maintain compile, or let first commands do it"
        return Sign("loops", "lacks", "not compiled yet", mend)
    return Sign("loops", "ok", f"compiled, kept below {home}")


def _containers(chosen: str) -> Iterator[Sign]:
    """Yield the engines of containers, each with its version or why it does not answer."""
    for engine in ("docker", "podman"):
        try:
            with closing(need_docker(engine)) as client, daemon_errors(f"ask {engine}"):
                text = f"{client.version().get('Version', '?')} answers"
                home = Path(client.info().get("DockerRootDir") or "/")
        except InputError as error:
            yield _of(engine, error)
            continue
        yield Sign(engine, "ok", text)
        if engine == chosen and home.is_dir():
            yield _disk(
                "images",
                home,
                IMAGES_GB,
                "make room there: docker system df, docker image prune",
                write=False,
            )
    yield _program("apptainer", "apptainer", "install Apptainer 1.2 or later")


def _program(part: str, name: str, mend: str) -> Sign:
    """Return the version of a program, or its error."""
    code, answer = getstatusoutput(f"{name} --version")
    return Sign(part, "lacks" if code else "ok", plain(answer, 100), mend if code else "")


def _gpu() -> Sign:
    """Return the GPUs, and whether torch can compute on the first one, if torch is there."""
    try:
        devices = gpus()
        with nvml() as library:
            said = f"{listed(devices)}, driver {library.nvmlSystemGetDriverVersion()}"
    except InputError as error:
        return _of("gpu", error)
    if not _version("torch"):
        return Sign("gpu", "ok", said)
    reason, mend = torch_trouble(devices[0])
    if reason:
        return Sign("gpu", "lacks", f"{said}; torch cannot use it: {reason}", mend)
    return Sign("gpu", "ok", f"{said}; torch computes on it")


def _of(part: str, error: InputError) -> Sign:
    """Return an error as a missing part; its remedy stands behind a semicolon."""
    reason, _, mend = str(error).removeprefix("DEVICE=cuda: ").partition("; ")
    return Sign(part, "lacks", reason, mend)
