"""Parts of a set of images, by ordered rules or as folds of whole groups: ``splits.toml``."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from cytosuite.contract.manifest import Described, parse
from cytosuite.errors import InputError
from cytosuite.files import read_text, read_toml
from cytosuite.folders.conditions import FILE as CONDITIONS
from cytosuite.folders.conditions import read_conditions
from cytosuite.folders.layouts import annotated
from cytosuite.volume import Scalar

FILE = "splits.toml"
TABLE = "splits.csv"  # parts and rules that were used
OBJECTS = "objects.csv"  # classes of the objects in a folder
MOST_WORDS = 12  # values of a condition that are counted
SplitName = Literal["train", "validate", "test"]
PARTS: tuple[SplitName, ...] = ("train", "validate", "test")
Known = Mapping[str, Mapping[str, Scalar]]  # conditions by name of the image


class SplitRule(Described):
    """Images of a part, by their names, their conditions or both."""

    part: SplitName = Field(description="train, validate or test")
    match: str | None = Field(None, min_length=1, description="pattern of names, like *_C03_*")
    where: dict[str, str | float] = Field({}, description="conditions and their values")

    def takes(self, name: str, known: Mapping[str, Scalar]) -> bool:
        """Return whether the rule fits an image; one without pattern and conditions fits all."""
        fits = all(key in known and _text(known[key]) == _text(v) for key, v in self.where.items())
        return fits and (self.match is None or fnmatchcase(name, self.match))

    def __str__(self) -> str:
        """Return the rule in words."""
        words = [f"{key} = {_text(value)}" for key, value in self.where.items()]
        return ", ".join([*([self.match] if self.match else []), *words]) or "all others"


REST = SplitRule(part="train")


class Splits(Described):
    """Division of images into parts: the first rule that fits, else train; or folds of groups."""

    names: str = Field(".*", description="regular expression; its named groups are conditions")
    group: str = Field("", description="condition of which no value may stand in two parts")
    rules: tuple[SplitRule, ...] = Field((), description="the first that fits counts")
    folds: int = Field(0, ge=0, description="parts of as many groups each, in place of rules")
    seed: int = Field(0, ge=0, description="of the order of the groups")
    test: int = Field(0, ge=0, description="number of the fold, from 0")
    held_out: int = Field(1, ge=0, alias="validate", description="number of the fold")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.rules) == bool(self.folds):
            raise ValueError("expected rules or folds, one of the two")
        if self.folds and not (self.folds > 2 and self.test != self.held_out):
            raise ValueError("expected 3 or more folds, of which test and validate are two")
        if self.folds and max(self.test, self.held_out) >= self.folds:
            raise ValueError(f"expected test and validate below {self.folds}, the number of folds")
        try:
            re.compile(self.names)
        except re.error as error:
            raise ValueError(f"names is no regular expression ({error})") from None
        return self


class Placed(NamedTuple):
    """The part of an image, and the rule that chose it."""

    name: str
    part: SplitName
    rule: str


def read_splits(path: Path) -> Splits:
    """Return the rules in a file."""
    return parse(path, read_toml(path), Splits)


def splits_of(folder: Path) -> Splits | None:
    """Return the rules that lie in a folder, or with a list; None where there are none."""
    path = _beside(folder, FILE)
    return read_splits(path) if path.is_file() else None


def _beside(source: Path, name: str) -> Path:
    """Return the place of a file in a folder, or with a list."""
    return (source if source.is_dir() else source.parent) / name


def conditions_of(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Scalar]]:
    """Return the conditions of images by name, by ``conditions.csv`` and masks of their folder."""
    path = _beside(folder, CONDITIONS)
    own = {name: name for name in names}
    rows = read_conditions(path, own, others=True) if path.is_file() else {}
    facts = {each.name: each.facts for each in annotated(folder).items}
    return {name: {**facts.get(name, {}), **rows.get(name, {})} for name in own}


def classes_of(folder: Path) -> dict[str, Counter[str]]:
    """Return the number of objects of each class by image, by ``objects.csv`` or its masks."""
    found = {own.name: own.labels.classes for own in annotated(folder).items}
    path = _beside(folder, OBJECTS)
    for row in csv.DictReader(StringIO(read_text(path))) if path.is_file() else ():
        if row.get("image") and row.get("class"):
            found.setdefault(row["image"], Counter())[row["class"]] += 1
    return found


def with_names(splits: Splits, known: Known, place: object) -> dict[str, dict[str, Scalar]]:
    """Return conditions, and those that the names of the images give."""
    found: dict[str, dict[str, Scalar]] = {}
    for name, own in known.items():
        fits = re.fullmatch(splits.names, name)
        if fits is None:
            raise InputError(f"{place}: names: {name} does not fit {splits.names}")
        found[name] = {**{key: text for key, text in fits.groupdict().items() if text}, **own}
    return found


def divide(splits: Splits, known: Known, place: object) -> list[Placed]:
    """Return the part of each image; InputError for a rule without images, or a torn group."""
    groups = _groups(splits, known, place)
    if splits.folds:
        return _folded(splits, groups, place)
    rules = [*splits.rules, REST]
    chosen = {
        name: next(number for number, rule in enumerate(rules) if rule.takes(name, own))
        for name, own in known.items()
    }
    found = [Placed(name, rules[n].part, str(rules[n])) for name, n in chosen.items()]
    like, own = next(iter(known.items()), ("", {}))
    for number, rule in enumerate(splits.rules, start=1):
        if number - 1 not in chosen.values():
            raise InputError(
                f"{place}: rule {number} ({rule.part}: {rule}) takes none of {len(found)} images, "
                f"like {like} ({', '.join(own) or 'no conditions'})"
            )
    if all(each.part != "train" for each in found):
        raise InputError(f"{place}: the rules leave none of {len(found)} images for train")
    first: dict[str, Placed] = {}
    for each in found:
        other = first.setdefault(groups[each.name], each)
        if other.part != each.part:
            raise InputError(
                f"{place}: {splits.group} {groups[each.name]} stands in two parts, {other.part} "
                f"({other.name}) and {each.part} ({each.name}); let one rule take all of it"
            )
    return found


def _groups(splits: Splits, known: Known, place: object) -> dict[str, str]:
    """Return the group of each image: its value of the condition, without one itself."""
    if not splits.group:
        return {name: name for name in known}
    for name, own in known.items():
        if splits.group not in own:
            raise InputError(
                f"{place}: {name} has no {splits.group!r}, by which groups are kept together; "
                f"give it in {CONDITIONS}, or by a group of that name in `names`"
            )
    return {name: _text(own[splits.group]) for name, own in known.items()}


def _folded(splits: Splits, groups: Mapping[str, str], place: object) -> list[Placed]:
    """Return the parts of folds, which hold equally many groups, give or take one."""

    def shuffled(group: str) -> bytes:
        return sha256(f"{splits.seed} {group}".encode()).digest()

    order = sorted(set(groups.values()), key=shuffled)
    if len(order) < splits.folds:
        noun = f"different values of {splits.group}" if splits.group else "images"
        raise InputError(f"{place}: {splits.folds} folds need as many {noun}, found {len(order)}")
    folds = {group: number % splits.folds for number, group in enumerate(order)}
    parts: dict[int, SplitName] = {splits.test: "test", splits.held_out: "validate"}
    by = f" by {splits.group}" if splits.group else ""
    return [
        Placed(name, parts.get(folds[group], "train"), f"fold {folds[group]}{by}")
        for name, group in groups.items()
    ]


def _text(value: Scalar) -> str:
    """Return the value of a condition as a user types it."""
    return value if isinstance(value, str) else f"{value:.12g}"


def counts(
    placed: Sequence[Placed], known: Known, classes: Mapping[str, Counter[str]] | None = None
) -> list[str]:
    """Return lines with the number of images in each part, of each condition and each class."""
    parts = {part: [each.name for each in placed if each.part == part] for part in PARTS}
    lines = [", ".join(f"{len(names)} {part}" for part, names in parts.items())]
    tables: dict[str, Mapping[str, Counter[str]]] = {
        key: {name: Counter([_text(own[key])]) for name, own in known.items() if key in own}
        for key in dict.fromkeys(key for own in known.values() for key in own)
    }
    for title, table in (*tables.items(), ("classes of objects", classes or {})):
        found = [
            sum((table.get(n, Counter()) for n in own), Counter[str]()) for own in parts.values()
        ]
        if 0 < len(set().union(*found)) <= MOST_WORDS:
            texts = [", ".join(f"{word} {n}" for word, n in sorted(own.items())) for own in found]
            words = (f"{p} {text or 'none'}" for p, text in zip(PARTS, texts, strict=True))
            lines.append(f"{title}: {'; '.join(words)}")
    return lines


def split_rows(placed: Mapping[str, Iterable[Placed]]) -> list[tuple[str, ...]]:
    """Return the rows of ``splits.csv``, of images by name of their folder; none of no image."""
    rows = [(*each, folder) for folder, own in placed.items() for each in own]
    return [(*Placed._fields, "folder"), *rows] if rows else []
