"""Settings of a site: the workers of a cluster, in one TOML file."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from cytosuite.contract.manifest import Described, parse
from cytosuite.errors import InputError
from cytosuite.files import read_toml

WALLTIME = re.compile(r"(?:(\d+)-)?(\d{1,3}):([0-5]\d):([0-5]\d)")
WORD = re.compile(r"[A-Za-z0-9_.:/@%+=,~-]+")  # goes into a job script as it is


def _walltime(text: str) -> str:
    """Refuse a time that Slurm would read otherwise, or that is too short for a worker."""
    found = WALLTIME.fullmatch(text)
    if found is None:
        raise ValueError("must be hours:minutes:seconds, or days-hours:minutes:seconds")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    if ((days * 24 + hours) * 60 + minutes) * 60 + seconds < 60:
        raise ValueError("must be at least a minute")
    return text


def _word(text: str) -> str:
    """Refuse a text that a shell would take for more than one word."""
    if not WORD.fullmatch(text):
        raise ValueError("must be one word of letters, digits and . _ : / @ % + = , ~ -")
    return text


def _line(text: str) -> str:
    """Refuse a text of several lines."""
    if len(text.splitlines()) != 1:
        raise ValueError("must be one line")
    return text


Word = Annotated[str, AfterValidator(_word)]
Line = Annotated[str, AfterValidator(_line)]
ClusterEngine = Literal["process", "docker", "podman", "apptainer"]


class ClusterSite(Described):
    """Settings of a cluster: the workers, each of which runs one case at a time."""

    workers: int | None = Field(
        None, ge=1, le=10_000, description="How many; two of Slurm, one per core of this machine."
    )
    cores: int = Field(1, ge=1, le=4096, description="Processor cores of a worker.")
    gpus: int = Field(
        0, ge=0, le=1, description="GPUs of a worker, 0 or 1: for four cards take four workers."
    )
    memory_gib: float | None = Field(
        None, gt=0, le=2**20, description="Of a worker; without it, of a case and the runner."
    )
    most_memory_gib: float | None = Field(
        None, gt=0, le=2**20, description="Limit up to which a case gets more when it needs more."
    )
    walltime: Annotated[str, AfterValidator(_walltime)] = Field(
        "04:00:00", description="Of a job; one that ends is submitted again."
    )
    queue: Word | None = Field(None, description="Partition of Slurm.")
    account: Word | None = Field(None, description="Account of Slurm.")
    interface: Word | None = Field(None, description="Network interface of all nodes, like ib0.")
    scratch: Path | None = Field(None, description="Folder on the disk of a node.")
    engine: ClusterEngine | None = Field(None, description="Where the command line says auto.")
    prologue: tuple[Line, ...] = Field((), description="Lines of the job script, like module load.")
    extra: tuple[Line, ...] = Field((), description="Directives of sbatch, like --constraint=avx2.")
    python: Word | None = Field(None, description="Python of the nodes; without it, the runner's.")
    chunk_minutes: float = Field(
        10.0, gt=0, le=1440, description="Longest run of cases without a word of the scheduler."
    )


def read_site(path: Path | None) -> ClusterSite:
    """Return the settings in a file, the usual ones without it."""
    if path is None:
        return ClusterSite()
    found = parse(path, read_toml(path), ClusterSite)
    least, most = found.memory_gib, found.most_memory_gib
    if least is not None and most is not None and most < least:
        raise InputError(
            f"{path}: most_memory_gib: must be at least memory_gib, {least:g}, found {most:g}"
        )
    return found
