"""Folders and settings of the published programs, in the words of this one.

References
----------
Bruch et al., PLoS ONE 18 (2023), doi:10.1371/journal.pone.0283828, and Communications Biology
(2025), doi:10.1038/s42003-025-07469-2: folders and keys of the two programs, here the first and
the second.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

import hjson
from pydantic import ConfigDict, Field, field_validator

from cytosuite.algorithms.cyclegan3d.training.judges import Judge
from cytosuite.errors import InputError, plain
from cytosuite.files import named_once, read_text
from cytosuite.manifest import Described, parse
from cytosuite.training.images import find_images

Direction = Literal["AtoB", "BtoA"]
Count = Annotated[int, Field(ge=0, le=10**6)]
Weight = Annotated[float, Field(ge=0, le=1e6)]

BLOCKS = 9  # fixed in both programs, for any netG
LARGEST = 2**14  # characters; theirs have 1500
_NO_CLIP = 1e6  # a norm that no gradient reaches


class FirstSettings(Described):
    """Settings of the first program that have a meaning here, with its template's values."""

    model_config = ConfigDict(strict=True)

    direction: Direction = "BtoA"
    direction_inference: Direction | None = None
    save_model_every_x_epochs: Count = 500
    norm: Literal["instance"] = "instance"
    discriminator: Literal["PatchGANDiscriminator"] = "PatchGANDiscriminator"
    ngf: int = Field(64, ge=1, le=1024)
    batch_size: int = Field(1, ge=1, le=1024)
    pool_size: Count = 50
    learning_rate: float = Field(2e-4, gt=0, le=1)
    learning_rate_fix: Count = 3500
    learning_rate_decay: Count = 3500
    train_d_every_x: Count = 2
    lambda_identity: Weight = 0.5
    lambda_cycle_A: Weight = 10.0  # noqa: N815 - a key of the file
    lambda_cycle_B: Weight = 10.0  # noqa: N815
    img_dim: Literal[3] = 3
    A_nc: int = Field(1, ge=1, le=16)
    B_nc: int = Field(1, ge=1, le=16)
    crop_size: list[int] = Field([32, 256, 256], min_length=3, max_length=3)
    preprocess: Literal["crop"] = "crop"
    virtual_dataset_multiplicator: Annotated[float, Field(gt=0, le=1e4)] | None = None

    @field_validator("crop_size")
    @classmethod
    def _fits(cls, crop: list[int]) -> list[int]:
        """Refuse crops that the networks cannot take, and planes."""
        least, most = _judge(1).least, 2**14
        if any(n % 4 or not few <= n <= most for n, few in zip(crop, least, strict=True)):
            raise ValueError(f"must be multiples of 4 voxels, from {list(least)} z y x to {most}")
        return crop


class SecondSettings(FirstSettings):
    """Settings of the second program."""

    train_d_every_x: Count = 1
    lambda_identity: Weight = 10.0
    learning_rate_fix: Count = 3000
    learning_rate_decay: Count = 3000
    virtual_dataset_multiplicator: Annotated[float, Field(gt=0, le=1e4)] | None = 2.0


# Settings without a counterpart: the value that means nothing, and the reason.
_LEFT: dict[str, tuple[object, str]] = {
    "experiment": (None, "the name of the model is given with --name"),
    "dataset_folder": ("", "images are those of --data, in place of a folder in the file"),
    "mode": ("train", "these are settings of a training"),
    "resume_training": (0, "models.pth is not read; a training here resumes by itself"),
    "epoch_count": (0, "a training here begins with its first step, or resumes by itself"),
    "netG": (f"resnet_{BLOCKS}blocks", f"no program reads it: generators have {BLOCKS} blocks"),
    "inf_patch_size": (None, "networks with this norm translate volumes whole, without windows"),
    "inf_patch_overlap": (None, "networks with this norm translate volumes whole"),
    "settings": (None, "written by the program, the place of the file"),
    "device": (None, "the device is given with --device"),
    "output_folder": (None, "the folder of the model is given with --out"),
    "no_timestamp": (None, "names are never extended here"),
    "time_limit": (0, "an interrupted training resumes; shorten it with --steps"),
    "time_start": (None, "written by the program, a time"),
}
_OF_SECOND = {
    "virtual_dataset_multiplicator",
    "output_folder",
    "no_timestamp",
    "time_limit",
    "time_start",
}  # the first does not have them


def divide(folder: Path, direction: Direction = "BtoA") -> dict[str, Path]:
    """Return the training folders of a published data set by role.

    Parameters
    ----------
    folder : Path
        With ``trainA`` and ``trainB``, each with images at any depth; ``inferenceA`` and
        ``inferenceB`` beside them are images to be translated, and not looked at.
    direction : {"BtoA", "AtoB"}
        From the simulated to the real domain: with ``BtoA``, as published, A is real.

    Returns
    -------
    dict
        ``simulated`` and ``real``; empty where the folder is of another kind.

    Raises
    ------
    InputError
        If one of the two is missing.
    """
    halves = {letter: folder / f"train{letter}" for letter in "AB"}
    there = [half.name for half in halves.values() if half.is_dir()]
    if not there:
        return {}
    if len(there) < len(halves):
        raise InputError(
            f"{folder}: expected the folders trainA and trainB, found only {there[0]}; add the "
            "other, or give each by role: --data simulated=FOLDER --data real=FOLDER"
        )
    return {"simulated": halves[direction[0]], "real": halves[direction[-1]]}


def translate(path: Path, data: Mapping[str, Sequence[Path]]) -> tuple[dict[str, Any], list[str]]:
    """Return the settings in a file of the published programs, and notes about differences.

    Parameters
    ----------
    path : Path
        HJSON like ``settings_template.hjson`` or the ``settings.hjson`` of a checkpoint. Nothing
        that it names is opened.
    data : mapping of str to sequence of Path
        Folders by role: their images are counted, for the steps of an epoch.

    Returns
    -------
    settings : dict
        As in the TOML of a training, see `Settings`.
    notes : list of str
        One line for each key that has no counterpart, each value that changes and each flaw of
        the programs that is not repeated.

    Raises
    ------
    InputError
        If it is not HJSON, not of these programs or of an inference, or a value has the wrong
        type, is out of bounds or asks for a network that does not exist here.
    """
    given = _read(path)
    model = SecondSettings if given.keys() & _OF_SECOND else FirstSettings
    if not given.keys() & model.model_fields.keys():
        shown = ", ".join(list(given)[:4]) or "none"
        raise InputError(
            f"{path}: expected keys of the published CycleGAN, like crop_size and lambda_cycle_A, "
            f"found {shown}; give its settings file, or one in TOML"
        )
    asked = parse(path, {key: given[key] for key in given if key in model.model_fields}, model)
    if asked.A_nc != asked.B_nc:
        raise InputError(
            f"{path}: A_nc and B_nc must be equal, as the networks map images of one kind into "
            f"each other, found {asked.A_nc} and {asked.B_nc}"
        )
    if not asked.learning_rate_fix + asked.learning_rate_decay:
        raise InputError(
            f"{path}: learning_rate_fix + learning_rate_decay must be 1 or more epochs"
        )
    if given.get("mode") == "inference":
        raise InputError(
            f"{path}: mode inference translates images and trains nothing; give cytosuite apply "
            f"{_inferred(asked, data)} --algorithm cyclegan3d --model NAME"
        )
    notes = [*_left(path, given, model), *_mended(asked)]
    schedule = _schedule(asked, data, notes)
    found = {**_networks(asked), "loss": _loss(asked, notes), "schedule": schedule}
    return found, [plain(note) for note in notes]


def _source(asked: FirstSettings) -> str:
    """Return the letter of the domain that is translated: the simulated one."""
    return (asked.direction_inference or asked.direction)[0]


def _inferred(asked: FirstSettings, data: Mapping[str, Sequence[Path]]) -> Path:
    """Return the folder of the images to translate: in a folder of the data, or beside one."""
    name = f"inference{_source(asked)}"
    homes = [home for folders in data.values() for each in folders for home in (each, each.parent)]
    return next((home / name for home in homes if (home / name).is_dir()), Path(name))


def _read(path: Path) -> dict[str, Any]:
    """Return the keys and values of an HJSON file."""
    try:
        found = _decode(read_text(path))
    except RecursionError:
        raise InputError(f"{path}: expected HJSON, found too many levels") from None
    except (ValueError, IndexError, OverflowError) as error:  # its parser lets the last two out
        raise InputError(f"{path}: expected HJSON, found {error}") from None
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise InputError(f"{path}: expected keys and values in HJSON, found a single {kind}")
    return found


def _decode(text: str) -> object:
    """Return the value of a short HJSON text."""
    if len(text) > LARGEST:  # its parser takes the square of the length
        raise ValueError(f"{len(text)} characters; settings have at most {LARGEST}")
    return hjson.loads(text, object_pairs_hook=named_once)


def _left(path: Path, given: dict[str, Any], model: type[FirstSettings]) -> list[str]:
    """Return notes about keys that are not translated or not given; refuse one that is misspelt."""
    fields, notes = model.model_fields, []
    for key, value in given.items():
        near = get_close_matches(key, [*fields, *_LEFT], n=1, cutoff=0.85)
        if key in _LEFT and value != _LEFT[key][0]:
            notes.append(f"{key}: not translated; {_LEFT[key][1]}")
        elif near and near[0] not in given:
            raise InputError(f"{path}: {key} is not a known key; did you mean {near[0]!r}?")
        elif key not in fields and key not in _LEFT:
            notes.append(f"{key}: not translated; the published programs do not read it either")
    missing = [key for key in fields.keys() - given.keys() if fields[key].default not in ("", None)]
    if missing:
        notes.append(f"not given, taken from the program's template: {', '.join(sorted(missing))}")
    return notes


def _mended(asked: FirstSettings) -> list[str]:
    """Return notes about domains, and flaws of the programs that are not repeated."""
    notes, first = [], not isinstance(asked, SecondSettings)
    if _source(asked) == "A":
        notes.append(
            "AtoB: A is the simulated domain, B the real one; give the folders by "
            "role: --data simulated=FOLDER/trainA --data real=FOLDER/trainB"
        )
    if first:
        notes.append(
            "mended: grey values are scaled by the range of their dtype; the program divides all "
            "by 255, also those of 16 bits"
        )
    if first and asked.A_nc > 1:
        notes.append("mended: images of several channels, which the program cannot read")
    if first and not asked.lambda_identity:
        notes.append("mended: a training without lambda_identity, at which the program fails")
    if asked.train_d_every_x > 1:
        notes.append(
            f"train_d_every_x: the judges learn in one of {asked.train_d_every_x} steps, not in "
            f"one of {asked.train_d_every_x} epochs, and so never rest for an epoch"
        )
    return notes


def _judge(width: int) -> Judge:
    """Return the published judge."""
    return Judge(
        widths=(width, 2 * width, 4 * width, 8 * width),
        first=(2, 2, 2),
        later=(1, 2, 2),
        norm="instance",
    )


def _networks(asked: FirstSettings) -> dict[str, Any]:
    """Return the networks, and the units and crops that they see."""
    return {
        "network": {
            "widths": [asked.ngf, 2 * asked.ngf, 4 * asked.ngf],
            "blocks": BLOCKS,
            "kernel": 7,
            "fold": 1,
            "norm": asked.norm,
            "padding": "replicate",
            "residual": False,
            "bounded": True,
            "channels": asked.A_nc,
        },
        "judge": _judge(asked.ngf).model_dump(mode="json"),
        "images": {"scale": "dtype"},
        "crops": {"shape": asked.crop_size, "batch": asked.batch_size, "alike": 1},
    }


def _loss(asked: FirstSettings, notes: list[str]) -> dict[str, Any]:
    """Return the weights of the losses, and add notes."""
    cycle = (asked.lambda_cycle_A + asked.lambda_cycle_B) / 2
    if asked.lambda_cycle_A != asked.lambda_cycle_B:
        notes.append(f"lambda_cycle_A, lambda_cycle_B: their mean, {cycle:g}, serves both domains")
    pool = max(asked.pool_size, asked.batch_size) if asked.pool_size else 0
    if pool != asked.pool_size:
        notes.append(f"pool_size: {pool}, as a pool holds a batch")
    return {
        "cycle": cycle,
        "identity": asked.lambda_identity,
        "soft": 0.0,
        "structure": 0.0,
        "pool": pool,
        "judge_rate": 1.0,
        "judge_every": max(1, asked.train_d_every_x),
    }


def _schedule(
    asked: FirstSettings, data: Mapping[str, Sequence[Path]], notes: list[str]
) -> dict[str, Any]:
    """Return the schedule, in steps in place of epochs, and add a note.

    An epoch passes the images of the domain that `direction` starts from.
    """
    fixed, falling = asked.learning_rate_fix, asked.learning_rate_decay
    epochs, role = fixed + falling, "simulated" if asked.direction[0] == _source(asked) else "real"
    images = sum(len(find_images(folder, ["*"])) for folder in data.get(role, ()))
    passes = round(images * (asked.virtual_dataset_multiplicator or 1)) or 1
    steps = ceil(passes / asked.batch_size)
    notes.append(f"schedule.steps: {epochs} epochs of {steps} steps, from {images} {role} images")
    return {
        "steps": epochs * steps,
        "learning_rate": asked.learning_rate,
        "warm_up": 0.0,
        "hold": fixed / epochs if falling else 0.0,
        "fall": "linear" if falling else "none",
        "weight_decay": 0.0,
        "clip": _NO_CLIP,
        "average": 0.0,
        "checkpoint": steps * (asked.save_model_every_x_epochs or epochs),
    }
