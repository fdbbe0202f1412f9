"""Commands that make data: phantoms from stacks, recipes from real images or published files."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from cytosuite.errors import InputError

Seed = Annotated[int, typer.Option(min=0, help="Of everything drawn.")]
Cases = Annotated[int | None, typer.Option(min=1, help="How many cases to simulate.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Parameters like camera.photons=5, repeatable.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that simulate.")]
Runs = Annotated[Path | None, typer.Option(help="Folder for all results.")]


def simulate_command(
    dataset: Annotated[str, typer.Argument(help="Name in datasets/, name/recipe or recipe.toml.")],
    out: Annotated[Path | None, typer.Option(help="New folder for images/ and labels/.")] = None,
    size: Annotated[str | None, typer.Option(help="mini, default or full.")] = None,
    cases: Cases = None,
    settings: Settings = None,
    seed: Seed = 0,
    workers: Workers = None,
    runs: Runs = None,
) -> None:
    """Simulate annotated images, with a record and a preview of each."""
    from benchmark.catalog import ROOT
    from benchmark.commands.console import console
    from benchmark.commands.console import settings as split
    from benchmark.commands.simulate import Order, simulate

    order = Order(
        dataset,
        size or None,
        cases,
        split(settings),
        seed,
        out,
        workers or os.cpu_count() or 1,
        (runs or ROOT / "runs").resolve(),
    )
    typer.echo(f"written: {simulate(order, console())}")


def phantoms_command(
    image: Annotated[
        Path | None, typer.Argument(help="Stack, or folder of stacks (images/ and labels/).")
    ] = None,
    out: Annotated[Path, typer.Option(help="New folder for the library.")] = Path("phantoms"),
    labels: Annotated[Path | None, typer.Option(help="Labels of the stack, or folder.")] = None,
    drawn: Annotated[int | None, typer.Option(min=1, help="Draw so many instead.")] = None,
    copies: Annotated[int, typer.Option(min=0, help="Altered copies of each.")] = 0,
    spacing: Annotated[str | None, typer.Option(help="µm per voxel: z,y,x.")] = None,
    smooth: Annotated[float, typer.Option(min=0, help="Smoothing against noise, µm.")] = 0.0,
    seed: Seed = 0,
) -> None:
    """Cut nuclei out of annotated stacks, or draw them, as a library to place in simulations."""
    from benchmark.commands.console import numbers
    from datasets.phantoms.build import Cutting, draw_to, extract_to

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


def calibrate_command(
    dataset: Annotated[str, typer.Argument(help="Simulated dataset, like spheroid.")],
    real: Annotated[Path, typer.Argument(help="Folder with images/ and, better, labels/.")],
    out: Annotated[Path, typer.Option(help="Recipe to write.")] = Path("calibrated.toml"),
    pattern: Annotated[str, typer.Option(help="Which images, like 'ix71_*'.")] = "*",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of fitting.")] = 8,
    cases: Annotated[int, typer.Option(min=1, help="Volumes per round.")] = 6,
    seed: Seed = 0,
) -> None:
    """Fit a simulated dataset to real images, and write the recipe with a comparison."""
    from datasets.calibration.calibrate import calibrate

    written = calibrate(
        dataset,
        real,
        out,
        rounds=rounds,
        cases=cases,
        seed=seed,
        pattern=pattern,
        say=typer.echo,
    )
    typer.echo(f"written: {written}")


def migrate_command(
    parameters: Annotated[Path, typer.Argument(help="JSON file of the published simulators.")],
    out: Annotated[Path, typer.Option(help="Recipe to write.")] = Path("migrated.toml"),
) -> None:
    """Translate a parameter file of the published spheroid simulators into a recipe."""
    from datasets.calibration.toml_text import to_toml
    from cytosuite.files import atomic
    from datasets.spheroid.migrate import migrate

    found = migrate(parameters)
    if out.suffix != ".toml":
        raise InputError(f"{out}: a recipe ends with .toml, found {out.suffix!r}")
    lines = [f"not translated: {line}" for line in found.untranslated]
    lines += [f"note: {line}" for line in found.notes]
    with atomic(out) as temporary:
        temporary.write_text(to_toml(found.recipe, None, lines), encoding="utf-8")
    for line in lines:
        typer.echo(line)
    typer.echo(f"written: {out}")


def train_command(
    algorithm: Annotated[str, typer.Argument(help="Name in algorithms/.")],
    data: Annotated[str, typer.Argument(help="Name, name/recipe, recipe.toml, or folder.")],
    name: Annotated[str, typer.Option(help="Of the model.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Batches.")] = None,
    start: Annotated[Path | None, typer.Option("--from", help="Card to start from.")] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file of the algorithm's own.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of the CPU.")] = 1,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to train.")] = "cpu",
    cases: Cases = None,
    seed: Seed = 0,
    workers: Workers = None,
) -> None:
    """Train a model on simulated data, or fine-tune one on your own annotated folder."""
    from benchmark.commands.console import console
    from benchmark.commands.train import train

    options = ["--seed", str(seed), "--threads", str(threads), "--device", device]
    options += ["--steps", str(steps)] if steps else []
    options += ["--from", str(start.resolve())] if start else []
    options += ["--settings", str(settings.resolve())] if settings else []
    card = train(
        algorithm,
        data,
        name,
        options=options,
        cases=cases,
        seed=seed,
        workers=workers or os.cpu_count() or 1,
        console=console(),
    )
    typer.echo(f"written: {card}")


def segment_command(
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the labels.")],
    algorithm: Annotated[str, typer.Option(help="Name in algorithms/.")] = "cellpose3d",
    engine: Annotated[str, typer.Option(help="auto, docker or process.")] = "auto",
    spacing: Annotated[str | None, typer.Option(help="µm per voxel: z,y,x.")] = None,
    diameter: Annotated[float | None, typer.Option(help="Of a nucleus, µm; estimated.")] = None,
    channel: Annotated[str | None, typer.Option(help="What is stained, like nucleus.")] = None,
    memory: Annotated[float | None, typer.Option(min=0.1, help="GiB per image.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds per image.")] = 3600.0,
    preview: Annotated[bool, typer.Option(help="Write a picture with outlines.")] = True,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(envvar="DEVICE")] = "cpu",
    base_image: Annotated[str | None, typer.Option(envvar="BASE_IMAGE")] = None,
) -> None:
    """Segment images: labels as TIFF, with a record and a picture of each."""
    from benchmark.commands.console import console, numbers
    from benchmark.commands.segment import Wish, segment

    wish = Wish(
        algorithm=algorithm,
        engine=engine,
        spacing=numbers(spacing),
        diameter_um=diameter,
        channel=channel,
        memory_gib=memory,
        timeout_s=timeout,
        device=device,
        base_image=base_image,
        preview=preview,
    )
    results = segment(images, out, wish, console())
    raise typer.Exit(1 if any(found.status == "failed" for found in results) else 0)
