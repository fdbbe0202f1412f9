"""Options of ``maintain``."""

from pathlib import Path

from cytosuite.benchmark.commands.terminal.console import plain_name, printable
from cytosuite.benchmark.commands.terminal.options import argument, command_options, option
from cytosuite.errors import InputError
from cytosuite.files import need_file


@command_options
class AcceptOptions:
    """Options of an acceptance."""

    run: Path = argument("Folder of a run, or its name in runs/.")
    name: str | None = option("Of the scores; the run's.", parse=plain_name)
    title: str | None = option(
        "Of the data, in tables (Markdown); the former one.", parse=printable
    )


@command_options
class TablesOptions:
    """Options of written documents."""

    check: bool = option("Change nothing; exit code 1 if one is stale.", False, flag="--check")


@command_options
class BundleOptions:
    """Options of bundles."""

    algorithm: str = argument("Name in algorithms/.")
    model: str | None = option("Name of a card, or its path; all with weights without it.")
    out: Path = option("Folder for the zip files.", Path("dist"))


@command_options
class MigrateOptions:
    """Options of a translation."""

    parameters: Path = argument("JSON file of the published simulators.")
    out: Path = option("Recipe to write.", Path("migrated.toml"))

    def __post_init__(self) -> None:
        """Refuse a place that is no other recipe."""
        if self.out.suffix != ".toml" or self.out == self.parameters:
            raise InputError(f"{self.out}: expected a new file that ends with .toml")
        need_file(self.out)


@command_options
class CompileOptions:
    """Options of a compilation."""

    parts: list[str] = argument("spheroid, cellpose3d, scores, ...; all.", ())
