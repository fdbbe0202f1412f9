"""Options of ``new``, ``check`` and ``list``."""

from cytosuite.benchmark.commands.terminal.options import (
    TableOptions,
    argument,
    command_options,
    option,
)


@command_options
class NewOptions:
    """Options of a new algorithm."""

    name: str = argument("Name of its folder.", metavar="ALGORITHM")
    task: str = option("segment, detect, track, enhance, synthesise, sample or fuse.", "segment")
    torch: bool = option("A network of torch, for the task segment, without weights yet.", False)


@command_options
class CheckOptions:
    """Options of a check."""

    name: str = argument("Name in algorithms/.", metavar="ALGORITHM")
    model: str | None = option("Name of a model, or its card: check this one alone.")


@command_options
class ListOptions(TableOptions):
    """Options of the list of all there is."""
