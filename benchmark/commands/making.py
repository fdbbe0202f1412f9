"""Commands that make data: phantoms from stacks, recipes from real images or published files."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cytosuite.benchmark.commands.fields import takes
from cytosuite.benchmark.commands.options import PartOptions, Seed
from cytosuite.errors import InputError


def phantoms_command(
    image: Annotated[
        Path | None, typer.Argument(help="Stack, or folder of stacks (images/ and labels/).")
    ] = None,
    out: Annotated[Path, typer.Option(help="New folder for the library.")] = Path("phantoms"),
    labels: Annotated[Path | None, typer.Option(help="Labels of the stack, or folder.")] = None,
    drawn: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Draw so many instead.")
    ] = None,
    copies: Annotated[int, typer.Option(min=0, max=1000, help="Altered copies of each.")] = 0,
    spacing: Annotated[str | None, typer.Option(help="µm per voxel: z,y,x.")] = None,
    smooth: Annotated[
        float, typer.Option(min=0, max=100, help="Smoothing against noise, µm.")
    ] = 0.0,
    seed: Seed = 0,
) -> None:
    """Cut nuclei out of annotated stacks, or draw them, as a library to place in simulations."""
    from cytosuite.benchmark.commands.console import numbers
    from cytosuite.datasets.phantoms.build import draw_to, extract_to
    from cytosuite.datasets.phantoms.extract import Cutting

    size = numbers(spacing)
    if size is not None and len(size) != 3:
        raise InputError(f"spacing must be three numbers in µm (z,y,x), found {spacing!r}")
    voxel = None if size is None else (size[0], size[1], size[2])
    if (image is None) == (drawn is None):
        raise InputError("phantoms: give either a stack to cut nuclei from, or --drawn NUMBER")
    if drawn is not None:
        found = draw_to(out, drawn, spacing_um=voxel or (0.5, 0.25, 0.25), seed=seed)
    else:
        assert image is not None  # one of both is given
        cutting = Cutting(spacing_um=voxel, smooth_um=smooth)
        found = extract_to(image, labels, out, cutting=cutting, augment_copies=copies, seed=seed)
    skipped = ", ".join(f"{count} {reason}" for reason, count in found.skipped.items())
    typer.echo(
        f"written: {found.folder}, {found.nuclei} nuclei and {found.copies} copies, median volume "
        f"{found.median_volume_um3:.0f} µm³" + (f"; left out: {skipped}" if skipped else "")
    )


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions(PartOptions):
    """Options of a calibration."""

    dataset: Annotated[str, typer.Argument(help="Simulated dataset, like spheroid.")]
    real: Annotated[Path, typer.Argument(help="Folder with images/ and, better, labels/.")]
    out: Annotated[Path, typer.Option(help="Recipe to write.")] = Path("calibrated.toml")
    pattern: Annotated[str, typer.Option(help="Which images, like 'ix71_*'.")] = "*"
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="Rounds of fitting.")] = 12
    cases: Annotated[int, typer.Option(min=1, max=10_000, help="Volumes per round.")] = 12
    seed: Seed = 0


@takes(CalibrateOptions)
def calibrate_command(options: CalibrateOptions) -> None:
    """Fit a simulated dataset to real images, and write the recipe with a comparison."""
    from cytosuite.benchmark.commands.console import console
    from cytosuite.benchmark.commands.progress import progress
    from cytosuite.benchmark.pictures.preview import write_strip
    from cytosuite.datasets.calibration.calibrate import calibrate

    screen = console()
    say = partial(screen.print, highlight=False, markup=False, soft_wrap=True)
    with progress(screen, "calibrating", minor=True) as step:
        written = calibrate(
            options.dataset,
            options.real,
            options.out,
            rounds=options.rounds,
            cases=options.cases,
            seed=options.seed,
            pattern=options.pattern,
            spacing=options.spacing,
            part=options.part,
            recursive=options.recursive,
            say=say,
            step=step,
            draw_strip=write_strip,
        )
    say(f"written: {written}")


def migrate_command(
    parameters: Annotated[Path, typer.Argument(help="JSON file of the published simulators.")],
    out: Annotated[Path, typer.Option(help="Recipe to write.")] = Path("migrated.toml"),
) -> None:
    """Translate a parameter file of the published spheroid simulators into a recipe."""
    from cytosuite.datasets.calibration.toml_text import to_toml
    from cytosuite.datasets.spheroid.migration.migrate import migrate
    from cytosuite.files import atomic
    from cytosuite.places import need_file

    if out.suffix != ".toml" or out == parameters:
        raise InputError(f"{out}: expected another file than the given one that ends with .toml")
    need_file(out)
    found = migrate(parameters)
    lines = [f"not translated: {line}" for line in found.untranslated]
    lines += [f"note: {line}" for line in found.notes]
    with atomic(out) as temporary:
        temporary.write_text(to_toml(found.recipe, None, lines), encoding="utf-8")
    for line in lines:
        typer.echo(line)
    typer.echo(f"written: {out}")
