"""Options of ``doctor``."""

from dataclasses import dataclass

from cytosuite.benchmark.terminal.options import JsonOptions


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(JsonOptions):
    """Options of a look at this machine."""
