"""Options of ``model``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cytosuite.benchmark.terminal.console import numbers, pairs, printable
from cytosuite.benchmark.terminal.options import option
from cytosuite.errors import InputError

if TYPE_CHECKING:
    from cytosuite.contract.select import Value


@dataclass(frozen=True, kw_only=True)
class AddOptions:
    """Options of a model that is made of weights."""

    file: Path = option(
        ...,
        "Weights (.pt, .pth, .ckpt, .safetensors), or a model of a tool of others.",
        argument=True,
    )
    like: str = option(..., "Algorithm, algorithm:model or a card (.json) that it is like.")
    name: str = option(..., "Of the model.")
    describes: list[str] = option(
        (),
        "Its images: axes=ZYX,channel=nucleus,sample=embryo; nothing after = leaves one out.",
        parse=pairs,
        repeatable=True,
    )
    spacing: tuple[float, ...] | None = option(
        None, "µm per voxel of its images: z,y,x.", parse=numbers
    )
    diameter: float | None = option(None, "Of the objects in its images, µm.", min=1e-6, max=1e6)
    description: str | None = option(None, "What it is for, in a sentence.", parse=printable)
    authors: str | None = option(None, "Who made it.", parse=printable)
    license: str | None = option(None, "SPDX identifier, like CC-BY-4.0.", parse=printable)
    data: Path | None = option(None, "Folder of annotated images, in no training, to score it on.")
    engine: str = option("auto", "Of the scores, and of a tool: auto, docker, process, ...")

    @property
    def facts(self) -> "dict[str, Value]":
        """The images that the user describes; InputError of a text without a key."""
        facts = dict(fact(text, "--describes", "key=value") for text in self.describes)
        facts |= {"spacing": self.spacing} if self.spacing else {}
        return facts | ({"diameter_um": self.diameter} if self.diameter else {})

    @property
    def entries(self) -> dict[str, str]:
        """The entries of the card that the user gives."""
        keys = ("description", "authors", "license")
        return {key: text for key in keys if (text := getattr(self, key))}


def fact(text: str, flag: str, expected: str) -> "tuple[str, Value]":
    """Return key and value of a fact about images: a number, several, or a word."""
    key, sign, value = map(str.strip, text.partition("="))
    if not key or not sign:
        raise InputError(f"{flag} {text}: expected {expected}")
    try:
        sizes = tuple(float(part) for part in value.strip("[]").split(","))
    except ValueError:
        return key, value
    return key, sizes if len(sizes) > 1 else sizes[0]


@dataclass(frozen=True, kw_only=True)
class UseOptions:
    """Options of a model in use."""

    model: str = option(..., "Name, or algorithm:name.", argument=True)
    images: list[str] = option(
        (),
        "Only for images in this folder, or with this metadata: study=7.",
        flag="--for",
        parse=pairs,
        repeatable=True,
    )
    off: bool = option(False, "No longer: the image chooses again.")


@dataclass(frozen=True, kw_only=True)
class PackOptions:
    """Options of a packed model."""

    model: str = option(..., "Name, algorithm:name, or path of the card.", argument=True)
    out: Path | None = option(None, "File to write; NAME.zip.")


@dataclass(frozen=True, kw_only=True)
class InstallOptions:
    """Options of an installed model."""

    file: Path = option(..., "Zip of model pack, or bundle of maintain bundle.", argument=True)
    name: str | None = option(None, "Of the model; the colleague's.")
    overwrite: bool = option(False, "Replace a model of your own of this name.")


@dataclass(frozen=True, kw_only=True)
class RemoveOptions:
    """Options of a removed model."""

    model: str = option(..., "Name, or algorithm:name.", argument=True)
