"""Profiles of the places where submissions run: memory, processors, time of a case."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.errors import InputError
from cytosuite.files import read_toml

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
        return Limits(
            memory_gib=self.available_gib,
            timeout_s=timeout_s,
            cpus=float(min(self.cpus, processors)),
        )


_KINDS = read_toml(Path(__file__).with_name("profiles.toml"))
PROFILES: Mapping[str, PlatformProfile] = MappingProxyType(
    {name: PlatformProfile(name, **kind) for name, kind in _KINDS.items()}
)


def smallest(manifest: AlgorithmManifest) -> PlatformProfile:
    """Return the smallest profile with an algorithm's memory and GPU; InputError without any."""
    needs = manifest.resources
    for profile in PROFILES.values():
        if profile.available_gib >= needs.memory_gib and bool(profile.gpu) >= needs.gpu:
            return profile
    raise InputError(
        f"algorithms/{manifest.name}: needs {needs.memory_gib:g} GiB, the platform gives "
        f"{max(profile.available_gib for profile in PROFILES.values()):g}; lower "
        "resources.memory_gib, or ask the platform and give a PROFILE"
    )
