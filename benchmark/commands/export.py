"""Export algorithms as files to upload to a challenge platform."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from cytosuite.benchmark.commands.options import BaseImage, DeviceOption
from cytosuite.benchmark.engines.outcome import Api


def export_command(
    algorithm: Annotated[str, typer.Argument(help="Names in algorithms/, comma-separated.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the files; dist.")] = None,
    api: Annotated[
        Api, typer.Option(help="invoke: started once; exec: a process per case.")
    ] = "invoke",
    models: Annotated[
        Literal["inside", "apart"], typer.Option(help="apart: not in the image, in the tarball.")
    ] = "inside",
    device: DeviceOption = "cpu",
    base_image: BaseImage = None,
    engine: Annotated[str, typer.Option(help="docker or podman.")] = "docker",
) -> None:
    """Export algorithms for a challenge platform: image, models, packages, and their record."""
    from cytosuite.benchmark.catalog import algorithms, need_checkout, pick, workplace
    from cytosuite.benchmark.commands.console import console, names
    from cytosuite.benchmark.commands.progress import progress
    from cytosuite.benchmark.containers.build import Builder
    from cytosuite.benchmark.containers.daemon import need_docker
    from cytosuite.benchmark.containers.images import image_tag
    from cytosuite.benchmark.models import need_weights
    from cytosuite.benchmark.submission.export import Wanted, export
    from cytosuite.places import need_folder

    known, screen = algorithms(), console()
    root, folder = need_checkout("an export"), out or workplace() / "dist"
    need_folder(folder)
    say = partial(screen.print, highlight=False, markup=False)
    chosen = pick("algorithm", names(algorithm), known)
    need_weights(chosen, {})  # before the minutes that an image takes
    client = need_docker(engine)
    builder = Builder(client, root, device, base_image, say, engine)
    for name in chosen:
        builder.ensure([name])
        wanted = Wanted(known[name], image_tag(name, device), api, models)
        with progress(screen, f"exporting {name}") as step:
            found = export(client, wanted, root, folder, step)
        show(found, folder, screen)


def show(record: dict[str, Any], folder: Path, screen: Console) -> None:
    """Print the files of an export with their sizes, and the step that comes next."""
    image, models, listed = record["image"], record["models"], record["contents"]
    sizes = f"{image['bytes'] / 1e6:.0f} MB, {image['unpacked_bytes'] / 1e6:.0f} MB unpacked"
    lines = [f"{folder / image['file']}: {sizes}, {record['api']}, {image['id'][:19]}"]
    if models:
        lines.append(f"{folder / models['file']}: {models['bytes'] / 1e6:.1f} MB, models")
    unknown = listed["licences"].get("not stated", 0)
    lines.append(
        f"{folder / listed['file']}: {listed['packages']} packages under "
        f"{len(listed['licences'])} licences" + (f", {unknown} not stated" if unknown else "")
    )
    if record["rehearsed"]:
        lines.append(f"rehearsed: {record['rehearsed']['site']}")
    else:
        api = " API=exec" if record["api"] == "exec" else ""
        command = f"make rehearse ALGORITHM={record['algorithm']}{api}"
        lines.append(f"not rehearsed as {record['api']}: `{command}`")
    lines.append(f"next: `make preflight FILE={folder / image['file']}`")
    for line in lines:
        screen.print(line, highlight=False, markup=False, soft_wrap=True)
