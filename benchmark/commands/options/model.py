"""Options of ``model``."""

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from cytosuite.benchmark.commands.terminal.console import floats, numbers, pairs, printable
from cytosuite.benchmark.commands.terminal.options import argument, command_options, option
from cytosuite.errors import InputError
from cytosuite.files import FloatTuple, TextDict

if TYPE_CHECKING:
    from cytosuite.contract.select import Value


@command_options
class AddOptions:
    """Options of a model that is made of weights."""

    file: Path = argument(
        "Weights (.pt, .pth, .ckpt, .safetensors), or a model of a tool of others."
    )
    like: str = option("Algorithm, algorithm:model or a card (.json) that it is like.", ...)
    name: str = option("Of the model.", ...)
    describes: list[str] = option(
        "Its images: axes=ZYX,channel=nucleus,sample=embryo; nothing after = leaves one out.",
        (),
        parse=pairs,
        repeatable=True,
    )
    spacing: FloatTuple | None = option("µm per voxel of its images: z,y,x.", parse=numbers)
    diameter: float | None = option("Of the objects in its images, µm.", min=1e-6, max=1e6)
    description: str | None = option("What it is for, in a sentence.", parse=printable)
    authors: str | None = option("Who made it.", parse=printable)
    license: str | None = option("SPDX identifier, like CC-BY-4.0.", parse=printable)
    data: Path | None = option("Folder of annotated images, in no training, to score it on.")
    engine: str = option("Of the scores, and of a tool: auto, docker, process, ...", "auto")

    @property
    def facts(self) -> "dict[str, Value]":
        """The images that the user describes; InputError of a text without a key."""
        facts = dict(fact(text, "--describes", "key=value") for text in self.describes)
        if self.spacing:
            facts["spacing"] = self.spacing
        return facts | ({"diameter_um": self.diameter} if self.diameter else {})

    @property
    def entries(self) -> TextDict:
        """The entries of the card that the user gives."""
        return {
            key: text
            for key in ("description", "authors", "license")
            if (text := getattr(self, key))
        }


def fact(text: str, flag: str, expected: str) -> "tuple[str, Value]":
    """Return key and value of a fact about images: a number, several, or a word."""
    key, sign, value = map(str.strip, text.partition("="))
    if not key or not sign:
        raise InputError(f"{flag} {text}: expected {expected}")
    if not (sizes := floats(value.strip("[]"))):
        return key, value
    if not all(map(isfinite, sizes)):
        raise InputError(f"{flag} {text}: expected a word or finite numbers")
    return key, sizes if len(sizes) > 1 else sizes[0]


@command_options
class UseOptions:
    """Options of a model in use."""

    model: str = argument("Name, or algorithm:name.")
    images: list[str] = option(
        "Only for images in this folder, or with this metadata: study=7.",
        (),
        flag="--for",
        parse=pairs,
        repeatable=True,
    )
    off: bool = option("No longer: the image chooses again.", False)


@command_options
class PackOptions:
    """Options of a packed model."""

    model: str = argument("Name, algorithm:name, or path of the card.")
    out: Path | None = option("File to write; NAME.zip.")


@command_options
class InstallOptions:
    """Options of an installed model."""

    file: Path = argument("Zip of model pack, or bundle of maintain bundle.")
    name: str | None = option("Of the model; the colleague's.")
    overwrite: bool = option("Replace a model of your own of this name.", False)


@command_options
class RemoveOptions:
    """Options of a removed model."""

    model: str = argument("Name, or algorithm:name.")
