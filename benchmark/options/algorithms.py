"""Options of ``new``, ``check`` and ``list``."""

from dataclasses import dataclass

from cytosuite.benchmark.terminal.options import TableOptions, option


@dataclass(frozen=True, kw_only=True)
class NewOptions:
    """Options of a new algorithm."""

    name: str = option(..., "Name of its folder.", argument=True, metavar="ALGORITHM")
    task: str = option("segment", "segment, detect, enhance, synthesise, sample or fuse.")
    torch: bool = option(False, "A network of torch, for the task segment, without weights yet.")


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Options of a check."""

    name: str = option(..., "Name in algorithms/.", argument=True, metavar="ALGORITHM")
    model: str | None = option(None, "Name of a model, or its card: check this one alone.")


@dataclass(frozen=True, kw_only=True)
class ListOptions(TableOptions):
    """Options of the list of all there is."""
