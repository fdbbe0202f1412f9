"""Build the containers of algorithms, or list and check the steps of a build."""

from functools import partial
from typing import Annotated

import typer

from cytosuite.benchmark.commands.console import console, names
from cytosuite.benchmark.commands.options import BaseImage, DeviceOption


def build_command(
    algorithm: Annotated[str | None, typer.Argument(help="Names, comma-separated.")] = None,
    device: DeviceOption = "cpu",
    base_image: BaseImage = None,
    engine: Annotated[str, typer.Option(help="docker or podman.")] = "docker",
    dry_run: Annotated[
        bool, typer.Option(help="Say what would be built, check Dockerfiles and wheels; no daemon.")
    ] = False,
) -> None:
    """Build the containers of all or some algorithms."""
    from cytosuite.benchmark.catalog import algorithms, need_checkout, pick
    from cytosuite.benchmark.containers import dry_run as rehearsal
    from cytosuite.benchmark.containers.build import Builder
    from cytosuite.benchmark.containers.daemon import need_docker
    from cytosuite.benchmark.models import need_weights

    chosen = pick("algorithm", names(algorithm), algorithms())
    say = partial(console().print, highlight=False, markup=False, soft_wrap=True)
    root = need_checkout("a build of containers")
    need_weights(chosen, {})
    if dry_run:
        rehearsal.dry_run(root, chosen, device, base_image, say)
        return
    builder = Builder(need_docker(engine), root, device, base_image, say, engine)
    for name in chosen:
        builder.build(name)
