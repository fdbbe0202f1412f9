"""Weights of torch as safetensors, in a process of its own, and models let into the choice."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from cytosuite.errors import InputError


def weights_command(
    file: Annotated[Path, typer.Argument(help="Weights that torch has saved: .pt, .pth, .ckpt.")],
    card: Annotated[Path, typer.Argument(help="Model card (.json) that gets them.")],
) -> None:
    """Convert weights to safetensors beside a card, with their name, digest and size in it."""
    from cytosuite.benchmark.catalog import PACKAGE
    from cytosuite.packages import needs

    if absent := [name for name in ("torch", "safetensors") if find_spec(name) is None]:
        raise InputError(needs("weights", absent))
    command = [sys.executable, "-m", "cytosuite.training.convert"]
    command += [str(path.resolve()) for path in (file, card)]
    # Its line on a mistake and its exit code are those of this command.
    raise typer.Exit(subprocess.run(command, cwd=PACKAGE.parent, check=False).returncode)


def adopt_command(
    model: Annotated[str, typer.Argument(help="Name of a model, or path of its card.")],
) -> None:
    """Let a model of your own take part in the choice by the image, not by its name alone."""
    for path in adopt(model):
        typer.echo(f"adopted: {path}")


def adopt(model: str) -> list[Path]:
    """Set `adopted` in the cards of a name or path, and return them; see `ModelCard`."""
    from cytosuite.benchmark.catalog import ROOT, algorithms
    from cytosuite.benchmark.models import named_models
    from cytosuite.files import read_json, write_json
    from cytosuite.manifest import read_card
    from cytosuite.select import PROOF

    cards = list(named_models(model, list(algorithms())).values())
    for path in cards:
        home, card = ROOT / "weights" / read_card(path).algorithm, read_card(path)
        if path.parent.resolve() != home.resolve():
            raise InputError(f"{path}: models are chosen from {home} alone; put it there first")
        if not card.scores:
            raise InputError(f"{path}: it has no {PROOF}, so it runs by its name alone (--model)")
        if not card.adopted:
            write_json(path, {**read_json(path), "adopted": True})
    return cards
