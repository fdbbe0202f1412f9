"""The command line: ``cytosuite``, or ``python -m benchmark``."""

import os
import shlex
import sys
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from cytosuite.errors import CytosuiteError, InputError

app = typer.Typer(
    name="cytosuite",
    help="Benchmark containerized algorithms on synthetic and real microscopy.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
INTERRUPTED = 130
Device = Annotated[Literal["cpu", "cuda"], typer.Option(envvar="DEVICE", help="Which torch.")]
BaseImage = Annotated[
    str | None, typer.Option(envvar="BASE_IMAGE", help="Image with Python 3.11 to build upon.")
]
Cases = Annotated[int | None, typer.Option(min=1, help="How many cases to simulate.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Parameters like camera.photons=5, repeatable.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of the simulation.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that simulate.")]
Runs = Annotated[Path | None, typer.Option(help="Folder for all results.")]


def _words(settings: list[str] | None) -> list[str]:
    """Return single settings, also where several stand in one string."""
    return [word for text in settings or [] for word in shlex.split(text)]


def _numbers(text: str | None) -> tuple[float, ...] | None:
    """Return the numbers of a comma-separated option."""
    if not text:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"spacing must be numbers in µm like 2,0.5,0.5, found {text!r}") from None


def _names(text: str | None) -> list[str]:
    """Return the names of a comma-separated option."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


@app.command("benchmark")
def benchmark_command(
    dataset: Annotated[
        str, typer.Argument(help="Name, name/recipe, recipe.toml, or folder.")
    ],
    size: Annotated[str | None, typer.Option(help="mini, default or full.")] = None,
    algorithm: Annotated[str | None, typer.Option(help="Names, comma-separated.")] = None,
    engine: Annotated[str, typer.Option(help="auto, docker or process.")] = "auto",
    api: Annotated[
        Literal["serve", "exec"], typer.Option(help="Server, or run per case.")
    ] = "serve",
    seed: Seed = 0,
    spacing: Annotated[str | None, typer.Option(help="µm per voxel: z,y,x.")] = None,
    cases: Cases = None,
    settings: Settings = None,
    run: Annotated[str | None, typer.Option(help="Name of the run's folder.")] = None,
    retry: Annotated[bool, typer.Option(help="Run failed cases again.")] = False,
    workers: Workers = None,
    memory: Annotated[float | None, typer.Option(min=0.1, help="GiB per case.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds per case.")] = 3600.0,
    runs: Runs = None,
    device: Device = "cpu",
    base_image: BaseImage = None,
) -> None:
    """Generate or read a dataset, run the algorithms on it, score them and write a report."""
    from benchmark.command import Options, benchmark

    optional = {"workers": workers, "runs": runs and runs.resolve()}
    options = Options(
        dataset=dataset,
        size=size or None,
        algorithms=_names(algorithm),
        engine=engine,
        api=api,
        seed=seed,
        spacing=_numbers(spacing),
        cases=cases,
        settings=_words(settings),
        run=_run_folder(run),
        retry=retry,
        memory_gib=memory,
        timeout_s=timeout,
        device=device,
        base_image=base_image,
        **{key: value for key, value in optional.items() if value is not None},  # type: ignore[arg-type]
    )
    raise typer.Exit(benchmark(options, _console()))


@app.command("simulate")
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
    from benchmark.simulate import Order, simulate

    order = Order(
        dataset,
        size or None,
        cases,
        _words(settings),
        seed,
        out,
        workers or os.cpu_count() or 1,
        (runs or ROOT / "runs").resolve(),
    )
    typer.echo(f"written: {simulate(order, _console())}")


@app.command("build")
def build_command(
    algorithm: Annotated[str | None, typer.Argument(help="Names, comma-separated.")] = None,
    device: Device = "cpu",
    base_image: BaseImage = None,
) -> None:
    """Build the containers of all or some algorithms."""
    from benchmark.build import build_all
    from benchmark.catalog import ROOT, algorithms, pick

    names = pick("algorithm", _names(algorithm), algorithms())
    console = _console()
    say = partial(console.print, highlight=False, markup=False)
    build_all(ROOT, names, device, say, base_image)


@app.command("list")
def list_command() -> None:
    """List the algorithms, datasets and recipes there are."""
    from benchmark.catalog import algorithms, dataset_manifests, recipes
    from cytosuite.manifest import read_recipe

    for title, found in (("algorithms", algorithms()), ("datasets", dataset_manifests())):
        typer.echo(title)
        for name, manifest in found.items():
            typer.echo(f"  {name:14} {manifest.task:10} {manifest.description}")
    typer.echo("recipes")
    for name, path in recipes().items():
        typer.echo(f"  {name:25} {read_recipe(path).title}")


@app.command("score")
def score_command(
    truth: Annotated[Path, typer.Option(help="File, folder, or 01_GT.")],
    prediction: Annotated[Path, typer.Option(help="File, folder, or 01_RES.")],
    metrics: Annotated[str | None, typer.Option(help="Names, comma-separated.")] = None,
    image: Annotated[Path | None, typer.Option(help="Input images, for N_SSIM.")] = None,
    spacing: Annotated[str | None, typer.Option(help="µm per voxel: z,y,x.")] = None,
    data_range: Annotated[float | None, typer.Option(help="For image metrics.")] = None,
    border: Annotated[int, typer.Option(min=0, help="Pixels to leave out at the border.")] = 0,
    truth_labels: Annotated[Path | None, typer.Option(help="Objects in truth images.")] = None,
    prediction_labels: Annotated[Path | None, typer.Option(help="In predicted ones.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the scores here, - for stdout.")] = None,
) -> None:
    """Score predictions on disk: files, folders, or Cell Tracking Challenge layouts."""
    from benchmark.score_files import Wish, score_files, show
    from cytosuite.files import write_json

    wish = Wish(
        truth,
        prediction,
        _names(metrics),
        image,
        _numbers(spacing),
        data_range,
        border,
        truth_labels,
        prediction_labels,
    )
    scores = score_files(wish)
    if json is not None and str(json) == "-":
        typer.echo(dumps(scores.as_json(), indent=2))
    else:
        show(scores, _console())
        if json is not None:
            write_json(json, scores.as_json())
    raise typer.Exit(1 if scores.failed else 0)


def _console() -> Console:
    """Return where to write: as wide as the terminal, wide enough for tables in a log."""
    return Console() if sys.stdout.isatty() else Console(width=120)


def _run_folder(name: str | None) -> str | None:
    """Refuse a run's name that would lead out of the folder for runs."""
    if not name:
        return None
    if Path(name).name != name or name.startswith(".") or name == "datasets":
        raise InputError(f"RUN must be a plain folder name, found {name!r}")
    return name


def main() -> None:
    """Run the command line; a user's mistake is one line and its exit code."""
    try:
        app()
    except CytosuiteError as error:
        sys.stderr.write(f"cytosuite: {' '.join(str(error).split())}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("cytosuite: interrupted; the same command goes on where it stopped\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
