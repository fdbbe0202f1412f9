"""Options of ``maintain``."""

from dataclasses import dataclass
from pathlib import Path

from cytosuite.benchmark.terminal.console import plain_name, printable
from cytosuite.benchmark.terminal.options import option
from cytosuite.errors import InputError
from cytosuite.files import need_file


@dataclass(frozen=True, kw_only=True)
class AcceptOptions:
    """Options of an acceptance."""

    run: Path = option(..., "Folder of a run, or its name in runs/.", argument=True)
    name: str | None = option(None, "Of the scores; the run's.", parse=plain_name)
    title: str | None = option(
        None, "Of the data, in tables (Markdown); the former one.", parse=printable
    )


@dataclass(frozen=True, kw_only=True)
class TablesOptions:
    """Options of written documents."""

    check: bool = option(False, "Change nothing; exit code 1 if one is stale.", flag="--check")


@dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """Options of bundles."""

    algorithm: str = option(..., "Name in algorithms/.", argument=True)
    model: str | None = option(None, "Name of a card, or its path; all with weights without it.")
    out: Path = option(Path("dist"), "Folder for the zip files.")


@dataclass(frozen=True, kw_only=True)
class MigrateOptions:
    """Options of a translation."""

    parameters: Path = option(..., "JSON file of the published simulators.", argument=True)
    out: Path = option(Path("migrated.toml"), "Recipe to write.")

    def __post_init__(self) -> None:
        """Refuse a place that is no other recipe."""
        if self.out.suffix != ".toml" or self.out == self.parameters:
            raise InputError(f"{self.out}: expected a new file that ends with .toml")
        need_file(self.out)


@dataclass(frozen=True, kw_only=True)
class CompileOptions:
    """Options of a compilation."""

    parts: list[str] = option((), "spheroid, cellpose3d, scores, ...; all.", argument=True)
