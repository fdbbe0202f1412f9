"""Profiles of the places where submissions run: memory, processors, time of a case."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.errors import InputError
from cytosuite.manifest import AlgorithmManifest

RESERVED_GIB = 1.0  # of the memory that is asked for: the platform keeps it for itself
MARGIN = 0.8  # of the time limit: machines differ


@dataclass(frozen=True, slots=True)
class Site:
    """A kind of machine on a challenge platform.

    Parameters
    ----------
    name : str
        ``gc-<gpu or cpu>-<memory>gb``.
    memory_gib : float
        Memory that is asked for [GiB].
    cpus : int
        Processors that come with it.
    gpu : str
        Kind of the one GPU; empty without.
    reserved_gib : float
        Memory that the platform keeps for itself [GiB].
    timeout_s : float
        Time limit of a case where the phase sets no other [s].
    """

    name: str
    memory_gib: float
    cpus: int
    gpu: str = ""
    reserved_gib: float = RESERVED_GIB
    timeout_s: float = 3600.0

    @property
    def title(self) -> str:
        """Name for readers."""
        return f"{self.gpu or 'no GPU'}, {self.cpus} processors, {self.memory_gib:g} GB"

    def limits(self, processors: int, timeout_s: float | None = None) -> Limits:
        """Return the limits of a case, on a machine with this many processors."""
        memory = self.memory_gib - self.reserved_gib
        cpus = float(min(self.cpus, processors))
        return Limits(memory_gib=memory, timeout_s=timeout_s or self.timeout_s, cpus=cpus)


# grand-challenge.org, November 2025: the cheapest machine with the memory that is asked for. The
# processors of machines without a GPU are those of the hosting cloud's general-purpose kinds.
_SITES = (
    Site("gc-cpu-4gb", 4, 2),
    Site("gc-cpu-8gb", 8, 2),
    Site("gc-cpu-16gb", 16, 4),
    Site("gc-cpu-32gb", 32, 8),
    Site("gc-t4-16gb", 16, 4, "T4 (16 GB)"),
    Site("gc-t4-32gb", 32, 8, "T4 (16 GB)"),
    Site("gc-a10g-16gb", 16, 4, "A10G (24 GB)"),
    Site("gc-a10g-32gb", 32, 8, "A10G (24 GB)"),
)
SITES: Mapping[str, Site] = MappingProxyType({site.name: site for site in _SITES})


def smallest(manifest: AlgorithmManifest) -> Site:
    """Return the smallest profile with the memory, and the GPU, that an algorithm needs.

    Raises
    ------
    InputError
        If none has so much memory.
    """
    needs = manifest.resources
    for site in _SITES:
        fits = site.memory_gib - site.reserved_gib >= needs.memory_gib
        if fits and bool(site.gpu) >= needs.gpu:
            return site
    most = max(site.memory_gib - site.reserved_gib for site in _SITES)
    raise InputError(
        f"algorithms/{manifest.name}: needs {needs.memory_gib:g} GiB, the platform gives {most:g}; "
        "lower resources.memory_gib, or ask the platform and give a PROFILE"
    )
