"""The command line: ``cytosuite``, or ``python -m benchmark``."""

import sys
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.commands import making
from benchmark.commands.console import console, names, numbers
from benchmark.commands.console import settings as split
from benchmark.commands.making import Cases, Runs, Seed, Settings, Workers
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


@app.command("benchmark")
def benchmark_command(
    dataset: Annotated[str, typer.Argument(help="Name, name/recipe, recipe.toml, or folder.")],
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
    from benchmark.commands.benchmark import Options, benchmark

    optional = {"workers": workers, "runs": runs and runs.resolve()}
    options = Options(
        dataset=dataset,
        size=size or None,
        algorithms=names(algorithm),
        engine=engine,
        api=api,
        seed=seed,
        spacing=numbers(spacing),
        cases=cases,
        settings=split(settings),
        run=_run_folder(run),
        retry=retry,
        memory_gib=memory,
        timeout_s=timeout,
        device=device,
        base_image=base_image,
        **{key: value for key, value in optional.items() if value is not None},  # type: ignore[arg-type]
    )
    raise typer.Exit(benchmark(options, console()))


@app.command("build")
def build_command(
    algorithm: Annotated[str | None, typer.Argument(help="Names, comma-separated.")] = None,
    device: Device = "cpu",
    base_image: BaseImage = None,
) -> None:
    """Build the containers of all or some algorithms."""
    from benchmark.containers.build import build_all
    from benchmark.catalog import ROOT, algorithms, pick

    chosen = pick("algorithm", names(algorithm), algorithms())
    say = partial(console().print, highlight=False, markup=False)
    build_all(ROOT, chosen, device, say, base_image)


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
    from benchmark.results.score_files import Wish, score_files, show
    from cytosuite.files import write_json

    wish = Wish(
        truth,
        prediction,
        names(metrics),
        image,
        numbers(spacing),
        data_range,
        border,
        truth_labels,
        prediction_labels,
    )
    scores = score_files(wish)
    if json is not None and str(json) == "-":
        typer.echo(dumps(scores.as_json(), indent=2))
    else:
        show(scores, console())
        if json is not None:
            write_json(json, scores.as_json())
    raise typer.Exit(1 if scores.failed else 0)


for name, command in (
    ("simulate", making.simulate_command),
    ("phantoms", making.phantoms_command),
    ("calibrate", making.calibrate_command),
    ("migrate", making.migrate_command),
    ("train", making.train_command),
    ("segment", making.segment_command),
):
    app.command(name)(command)


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
