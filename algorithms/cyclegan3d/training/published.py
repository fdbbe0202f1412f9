"""Folders and settings of the published programs, in the words of this one.

The first: Bruch et al., PLoS ONE 18 (2023), doi:10.1371/journal.pone.0283828; the second:
Communications Biology (2025), doi:10.1038/s42003-025-07469-2.
"""

from difflib import get_close_matches
from math import ceil
from pathlib import Path
from typing import Annotated, Literal

import hjson
from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from cytosuite.contract.manifest import Described, parse
from cytosuite.errors import InputError, plain
from cytosuite.files import Json, Paths, named_once, read_text, read_toml
from cytosuite.training.images import find_images
from cytosuite.training.judges import Judge
from cytosuite.training.parts import Data

Direction = Literal["AtoB", "BtoA"]
Count = Annotated[int, Field(ge=0, le=10**6)]
Weight = Annotated[float, Field(ge=0, le=1e6)]

TEMPLATE = read_toml(Path(__file__).with_name("published.toml"))  # settings that no key changes
LEFT = read_toml(Path(__file__).parents[1] / "left.toml")  # those without a counterpart
LARGEST = 2**14  # characters; theirs have 1500


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
    img_dim: Literal[2, 3] = 3
    A_nc: int = Field(1, ge=1, le=16)
    B_nc: int = Field(1, ge=1, le=16)
    crop_size: list[int] = Field([32, 256, 256], min_length=2, max_length=3, validate_default=True)
    preprocess: Literal["crop"] = "crop"
    virtual_dataset_multiplicator: Annotated[float, Field(gt=0, le=1e4)] | None = None

    @field_validator("crop_size")
    @classmethod
    def _fits(cls, crop: list[int], info: ValidationInfo) -> list[int]:
        """Return the sides z, y, x; refuse those that the networks cannot take."""
        dimensions = info.data.get("img_dim", 3)
        least = Judge(**TEMPLATE["judge"]).least(dimensions)
        most = 2**14
        sides = [1, *crop] if dimensions == len(crop) == 2 else crop
        if dimensions == 2 and sides[0] != 1:
            raise ValueError("must be y x or 1 y x for networks of planes, which are cut across z")
        lengths = sides[-dimensions:]
        few = list(least[-dimensions:])
        if len(sides) < 3 or any(
            n % 4 or not low <= n <= most for n, low in zip(lengths, few, strict=True)
        ):
            raise ValueError(f"must be multiples of 4 voxels, from {few} to {most}")
        return sides


class SecondSettings(FirstSettings):
    """Settings of the second program."""

    train_d_every_x: Count = 1
    lambda_identity: Weight = 10.0
    learning_rate_fix: Count = 3000
    learning_rate_decay: Count = 3000
    virtual_dataset_multiplicator: Annotated[float, Field(gt=0, le=1e4)] | None = 2.0


_OF_SECOND = {"virtual_dataset_multiplicator", "output_folder", "no_timestamp"}  # not the first's
_OF_SECOND |= {"time_limit", "time_start"}


def divide(folder: Path) -> Paths:
    """Return a published data set's folders by role, or none; InputError with one of two."""
    halves = {letter: folder / f"train{letter}" for letter in "AB"}
    there = [half.name for half in halves.values() if half.is_dir()]
    if not there:
        return {}
    if len(there) < len(halves):
        raise InputError(
            f"{folder}: expected the folders trainA and trainB, found only {there[0]}; add the "
            "other, or give each by role: --data simulated=FOLDER --data real=FOLDER"
        )
    return {"simulated": halves["B"], "real": halves["A"]}


def generator(dimensions: int) -> Json:
    """Return the generators' arguments; planes are mirrored at their borders."""
    planes = {"dimensions": 2, "padding": "reflect"} if dimensions == 2 else {}
    return {**TEMPLATE["network"], **planes}


def translate(path: Path, data: Data) -> tuple[Json, list[str]]:
    """Return the settings (as in TOML) of a published program's file, and notes; or InputError."""
    entries = _read(path)
    model = SecondSettings if entries.keys() & _OF_SECOND else FirstSettings
    if not entries.keys() & model.model_fields.keys():
        shown = ", ".join(list(entries)[:4]) or "none"
        raise InputError(
            f"{path}: expected keys of the published CycleGAN, like crop_size and lambda_cycle_A, "
            f"found {shown}; give its settings file, or one in TOML"
        )
    asked = parse(path, {key: entries[key] for key in entries if key in model.model_fields}, model)
    if asked.A_nc != asked.B_nc:
        raise InputError(
            f"{path}: A_nc and B_nc must be equal, as the networks map images of one kind into "
            f"each other, found {asked.A_nc} and {asked.B_nc}"
        )
    if not asked.learning_rate_fix + asked.learning_rate_decay:
        raise InputError(
            f"{path}: learning_rate_fix + learning_rate_decay must be 1 or more epochs"
        )
    if entries.get("mode") == "inference":
        raise InputError(
            f"{path}: mode inference translates images and trains nothing; give "
            f"{_inference(asked, data)}"
        )
    notes = [*_left(path, entries, model), *_mended(asked)]
    schedule = _schedule(asked, data, notes)
    widths = [asked.ngf * times for times in (1, 2, 4, 8)]
    crops = {"shape": asked.crop_size, "batch": asked.batch_size}
    return {
        **TEMPLATE,
        "network": generator(asked.img_dim) | {"channels": asked.A_nc, "widths": widths[:3]},
        "judge": {**TEMPLATE["judge"], "widths": widths},
        "crops": {**TEMPLATE["crops"], **crops},
        "loss": _loss(asked, notes),
        "schedule": schedule,
    }, [plain(note) for note in notes]


def _inference(asked: FirstSettings, data: Data) -> str:
    """Return the command that translates the images of an inference."""
    letter = (asked.direction_inference or asked.direction)[0]
    name = f"inference{letter}"  # in a folder of the data, or next to it
    folders = [folder for several in data.values() for folder in several]
    homes = [home for folder in folders for home in (folder, folder.parent)]
    images = next((home / name for home in homes if (home / name).is_dir()), Path(name))
    model = "NAME-back" if letter == "A" else "NAME"
    return f"cytosuite apply {images} --algorithm cyclegan3d --model {model}"


def _read(path: Path) -> Json:
    try:
        text = read_text(path)
        # The parser takes the square of the length.
        entries = hjson.loads(text, object_pairs_hook=named_once) if len(text) <= LARGEST else None
    except RecursionError:
        raise InputError(f"{path}: expected HJSON, found too many levels") from None
    except IndexError:
        raise InputError(f"{path}: expected HJSON, found a comment or text without end") from None
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path}: expected HJSON, found {error}") from None
    if len(text) > LARGEST:
        raise InputError(
            f"{path}: expected HJSON, found {len(text)} characters; settings have at most {LARGEST}"
        )
    if not isinstance(entries, dict):
        raise InputError(
            f"{path}: expected keys and values in HJSON, found a single {type(entries).__name__}"
        )
    return entries


def _left(path: Path, entries: Json, model: type[FirstSettings]) -> list[str]:
    """Return notes about keys that are not translated or not given; refuse one that is misspelt."""
    fields = model.model_fields
    notes = []
    for key, value in entries.items():
        near = get_close_matches(key, [*fields, *LEFT], n=1, cutoff=0.85)
        if key in LEFT and value != LEFT[key].get("means"):
            notes.append(f"{key}: not translated; {LEFT[key]['why']}")
        elif near and near[0] not in entries:
            raise InputError(f"{path}: {key} is not a known key; did you mean {near[0]!r}?")
        elif key not in fields and key not in LEFT:
            notes.append(f"{key}: not translated; the published programs do not read it either")
    missing = [
        key for key in fields.keys() - entries.keys() if fields[key].default not in ("", None)
    ]
    if missing:
        notes.append(f"not given, taken from the program's template: {', '.join(sorted(missing))}")
    return notes


def _mended(asked: FirstSettings) -> list[str]:
    """Return notes about domains, and flaws of the programs that are not repeated."""
    first = not isinstance(asked, SecondSettings)
    notes = [
        "guard: off, as the programs have none; a card with guard replace keeps the structure",
        "directions: NAME translates B (simulated) to A (real), NAME-back A to B",
    ]
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


def _loss(asked: FirstSettings, notes: list[str]) -> Json:
    cycle = (asked.lambda_cycle_A + asked.lambda_cycle_B) / 2
    if asked.lambda_cycle_A != asked.lambda_cycle_B:
        notes.append(f"lambda_cycle_A, lambda_cycle_B: their mean, {cycle:g}, serves both domains")
    pool = max(asked.pool_size, asked.batch_size) if asked.pool_size else 0
    if pool != asked.pool_size:
        notes.append(f"pool_size: {pool}, as a pool holds a batch")
    return {
        **TEMPLATE["loss"],
        "cycle": cycle,
        "identity": asked.lambda_identity,
        "pool": pool,
        "judge_every": max(1, asked.train_d_every_x),
    }


def _schedule(asked: FirstSettings, data: Data, notes: list[str]) -> Json:
    """Return the schedule in steps; an epoch passes the images that `direction` starts from."""
    falling = asked.learning_rate_decay
    epochs = asked.learning_rate_fix + falling
    role = "simulated" if asked.direction == "BtoA" else "real"
    images = sum(len(find_images(folder, ["*"])) for folder in data.get(role, ()))
    passes = round(images * (asked.virtual_dataset_multiplicator or 1)) or 1
    steps = ceil(passes / asked.batch_size)
    notes.append(f"schedule.steps: {epochs} epochs of {steps} steps, from {images} {role} images")
    return {
        **TEMPLATE["schedule"],
        "steps": epochs * steps,
        "learning_rate": asked.learning_rate,
        "hold": asked.learning_rate_fix / epochs if falling else 0.0,
        "fall": "linear" if falling else "none",
        "checkpoint": steps * (asked.save_model_every_x_epochs or epochs),
    }
