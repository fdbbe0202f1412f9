"""Pack the models of an algorithm as MONAI bundles, in a process of its own: it needs torch."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

PART = "training.bundle"


def bundle_command(
    algorithm: Annotated[str, typer.Argument(help="Name in algorithms/.")],
    model: Annotated[
        str | None, typer.Option(help="Name of a card, or its path; all with weights without it.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the zip files.")] = Path("dist"),
) -> None:
    """Pack models with weights as MONAI bundles: <algorithm>-<model>.zip."""
    from cytosuite.benchmark.catalog import PACKAGE, ROOT, algorithms, pick
    from cytosuite.benchmark.engines.packages import need_packages
    from cytosuite.places import need_folder

    described = f"{PART.replace('.', '/')}.py"
    known = [name for name in algorithms() if (ROOT / "algorithms" / name / described).is_file()]
    pick("algorithm with networks to bundle", [algorithm], known)
    cards = chosen_cards(algorithm, model)
    need_packages(algorithm, PART)
    need_folder(out)
    words = [str(card.resolve()) for card in cards]
    command = [sys.executable, "-m", f"cytosuite.{PART}", *words, "--out", str(out.resolve())]
    # Its line on a mistake and its exit code are those of this command.
    raise typer.Exit(subprocess.run(command, cwd=PACKAGE.parent, check=False).returncode)


def chosen_cards(algorithm: str, model: str | None) -> list[Path]:
    """Return the card that a user names or, without a name, all that have weights.

    Raises
    ------
    InputError
        If there is no such card, or none with weights.
    """
    from cytosuite.benchmark.catalog import ROOT
    from cytosuite.benchmark.models import named_models
    from cytosuite.errors import InputError
    from cytosuite.weights import read_cards

    if model is not None:
        return list(named_models(model, [algorithm]).values())
    folder = ROOT / "weights" / algorithm
    found = [card for card in read_cards(folder, algorithm) if card.weights is not None]
    if not found:
        raise InputError(f"{folder}: no model card with weights; train a model, or name its card")
    return [folder / f"{card.name}.json" for card in found]
