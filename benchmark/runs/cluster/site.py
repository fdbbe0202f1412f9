"""Settings of a cluster: a kind with keyword arguments of Dask, or the address of a scheduler."""

from pathlib import Path

from cytosuite.errors import InputError
from cytosuite.files import Json, read_toml

KINDS = {
    "local": "LocalCluster",
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
    "htcondor": "HTCondorCluster",
}
GONE = {
    "workers": "n_workers",
    "gpus": 'job_extra_directives = ["--gres=gpu:1"]',
    "memory_gib": 'memory = "33GiB", of a job',
    "most_memory_gib": 'memory = "129GiB", for the largest case',
    "scratch": "local_directory",
    "engine": "ENGINE=<name> on the command line",
    "prologue": "job_script_prologue",
    "extra": "job_extra_directives",
    "chunk_minutes": "nothing, workers get case by case",
}


def read_cluster(text: str) -> Json:
    """Return the settings in a site file, or of a kind or an address."""
    if text in KINDS:
        return {"kind": text}
    if "://" in text:
        return {"address": text}
    kinds = ", ".join(KINDS)
    if not text.endswith(".toml"):
        raise InputError(f"CLUSTER must be {kinds}, tcp://host:port or site.toml, found {text!r}")
    settings = read_toml(Path(text))
    for key, remedy in GONE.items():
        if key in settings:
            raise InputError(f"{text}: {key} has no meaning any more; write {remedy}")
    if settings.get("kind") not in KINDS and settings.keys() != {"address"}:
        raise InputError(f"{text}: expected address alone, or kind = one of {kinds}")
    return settings
