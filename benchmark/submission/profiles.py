"""Profiles of the places where submissions run: memory, processors, time of a case."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.errors import InputError

RESERVED_GIB = 1.0  # of the memory that is asked for: the platform keeps it for itself
MARGIN = 0.8  # of the time limit: machines differ


class PlatformProfile(NamedTuple):
    """A kind of machine on a challenge platform."""

    name: str
    memory_gib: float  # asked for
    cpus: int
    gpu: str = ""  # kind of the one GPU, empty without

    @property
    def available_gib(self) -> float:
        """Memory that is left for the container."""
        return self.memory_gib - RESERVED_GIB

    @property
    def title(self) -> str:
        """Name for readers."""
        return f"{self.gpu or 'no GPU'}, {self.cpus} processors, {self.memory_gib:g} GB"

    def limits(self, processors: int, timeout_s: float) -> Limits:
        """Return the limits of a case, on a machine with this many processors."""
        cpus = float(min(self.cpus, processors))
        return Limits(memory_gib=self.available_gib, timeout_s=timeout_s, cpus=cpus)


# grand-challenge.org, 2026: the cheapest machine with the memory that is asked for, among the
# kinds that a phase allows. One GPU of a machine is used; V100 and A100 are rented by arrangement.
_KINDS = (
    ("gc-cpu-4gb", 4, 2),
    ("gc-cpu-8gb", 8, 2),
    ("gc-cpu-16gb", 16, 2),
    ("gc-cpu-32gb", 32, 4),
    ("gc-t4-16gb", 16, 4, "T4 (16 GB)"),
    ("gc-t4-32gb", 32, 8, "T4 (16 GB)"),
    ("gc-a10g-16gb", 16, 4, "A10G (24 GB)"),
    ("gc-a10g-32gb", 32, 8, "A10G (24 GB)"),
    ("gc-v100-32gb", 32, 8, "V100 (16 GB)"),
    ("gc-a100-32gb", 32, 96, "A100 (40 GB)"),
)
PROFILES: Mapping[str, PlatformProfile] = MappingProxyType(
    {kind[0]: PlatformProfile(*kind) for kind in _KINDS}
)


def smallest(manifest: AlgorithmManifest) -> PlatformProfile:
    """Return the smallest profile with an algorithm's memory and GPU; InputError without any."""
    needs = manifest.resources
    for profile in PROFILES.values():
        if profile.available_gib >= needs.memory_gib and bool(profile.gpu) >= needs.gpu:
            return profile
    most = max(profile.available_gib for profile in PROFILES.values())
    raise InputError(
        f"algorithms/{manifest.name}: needs {needs.memory_gib:g} GiB, the platform gives {most:g}; "
        "lower resources.memory_gib, or ask the platform and give a PROFILE"
    )
