"""Parts of a set of images, by rules, expressions of users or folds of groups: splits.toml."""

import json
import re
import resource
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from cytosuite.contract.manifest import Described, Whole, parse
from cytosuite.contract.words import SPLITS, SplitName
from cytosuite.errors import InputError, at
from cytosuite.files import (
    ScalarMap,
    TextDict,
    TextMap,
    Texts,
    TextSeq,
    read_table,
    read_toml,
)
from cytosuite.folders.conditions import FILE as CONDITIONS
from cytosuite.folders.conditions import cell_of, text_of
from cytosuite.folders.entries import home_of

ANY = ".*"
LONGEST = 500  # characters
LIMIT_S = 10  # of processor time for all names; a million of names need two
Groups = dict[str, str]  # texts of the named groups that are not empty
TABLE = "splits.csv"  # parts and rules that were used
OBJECTS = "objects.csv"  # classes of the objects in a folder
MOST_WORDS = 12  # values of a condition that are counted
PARTS: tuple[SplitName, ...] = ("train", "validate", "test")
PART = "part"  # condition of an image in a folder that is divided
Conditions = Mapping[str, ScalarMap]  # conditions by name of the case
Classes = Mapping[str, Counter[str]]  # objects of each class by name of the case


def expression(text: str) -> str:
    """Return a regular expression; `ValueError` for another text, or a long one."""
    if len(text) > LONGEST:
        raise ValueError(f"should have at most {LONGEST} characters")
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"should be a valid regular expression ({error})") from None
    return text


def groups_of(pattern: str, names: TextSeq) -> list[Groups | None]:
    """Return the named groups of each name that fits as a whole, else None.

    InputError for an expression that needs more time than `LIMIT_S`.
    """
    if pattern == ANY:
        return _matched(pattern, names)
    task = json.dumps([pattern, names, LIMIT_S])
    done = subprocess.run(
        [sys.executable, "-P", __file__], input=task, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InputError(
            f"{pattern!r} does not match {len(names)} names within {LIMIT_S} s; write it "
            "without repeats or alternatives within repeats, like (a+)+"
        )
    matched: list[Groups | None] = json.loads(done.stdout)
    return matched


def _matched(pattern: str, names: TextSeq) -> list[Groups | None]:
    """Return the groups of each name, in this process."""
    matches = map(re.compile(pattern).fullmatch, names)
    return [m and {key: text for key, text in m.groupdict().items() if text} for m in matches]


def main() -> None:
    """Match the names on stdin; the kernel ends the process at the limit."""
    pattern, names, limit = json.load(sys.stdin)
    with suppress(ValueError):  # the limit of the environment is lower
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    json.dump(_matched(pattern, names), sys.stdout)


if __name__ == "__main__":
    main()


class SplitRule(Described):
    """Images of a part, by their names, their conditions or both."""

    part: SplitName = Field(description="train, validate or test")
    match: str | None = Field(None, min_length=1, description="pattern of names, like *_C03_*")
    where: dict[str, str | int | float] = Field({}, description="conditions and their values")

    def takes(self, name: str, conditions: ScalarMap) -> bool:
        """Return whether the rule fits an image; one without pattern and conditions fits all."""
        fits = all(
            key in conditions and text_of(conditions[key]) == text_of(v)
            for key, v in self.where.items()
        )
        return fits and (self.match is None or fnmatchcase(name, self.match))

    def __str__(self) -> str:
        """Return the rule in words."""
        words = [f"{key} = {text_of(value)}" for key, value in self.where.items()]
        return ", ".join([*([self.match] if self.match else []), *words]) or "all others"


REST = SplitRule(part="train")


class Splits(Described):
    """Division of images into parts: the first rule that fits, else train; or folds of groups."""

    names: Annotated[str, AfterValidator(expression)] = Field(
        ANY, description="of names; its named groups are conditions"
    )
    group: str = Field("", description="condition; images with the same value stay in one part")
    rules: tuple[SplitRule, ...] = Field((), description="the first that fits counts")
    folds: Whole = Field(0, description="parts of as many groups each, in place of rules")
    seed: Whole = Field(0, description="of the order of the groups")
    test: Whole = Field(0, description="number of the fold, from 0")
    held_out: Whole = Field(1, alias="validate", description="number of the fold")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.rules) == bool(self.folds):
            raise ValueError("expected rules or folds, one of the two")
        two = self.test != self.held_out and max(self.test, self.held_out) < self.folds
        if self.folds and (self.folds < 3 or not two):
            raise ValueError("expected 3 or more folds, of which test and validate are two")
        return self


class Placed(NamedTuple):
    """The part of an image, and the rule that chose it."""

    name: str
    part: SplitName
    rule: str


class Division(NamedTuple):
    """Parts of images, their conditions, and lines with counts."""

    placed: Sequence[Placed]
    conditions: Conditions
    lines: TextSeq


def read_splits(path: Path) -> Splits:
    """Return the rules in a file."""
    return parse(path, read_toml(path), Splits)


def splits_of(source: Path) -> Splits | None:
    """Return the rules in a folder or next to a list, None without a file."""
    path = home_of(source) / SPLITS
    return read_splits(path) if path.is_file() else None


def parts_of(conditions: Conditions) -> Splits | None:
    """Return rules by the condition `PART` of images in folders like ``test_A``, None without."""
    named = {str(facts.get(PART)) for facts in conditions.values()}
    rules = [SplitRule(part=part, where={PART: part}) for part in PARTS if part in named]
    return Splits(rules=tuple(rules)) if rules else None


def divide(splits: Splits, conditions: Conditions, classes: Classes, place: object) -> Division:
    """Return the part of each image; InputError for a rule without images, or a torn group."""
    with at(place):
        conditions, groups = _grouped(splits, conditions)
        placed = _folded(splits, groups) if splits.folds else _ruled(splits, conditions)
        first: dict[str, Placed] = {}
        for image in placed:
            leader = first.setdefault(groups[image.name], image)
            if leader.part != image.part:
                raise InputError(
                    f"{splits.group} {groups[image.name]} stands in two parts, {leader.part} "
                    f"({leader.name}) and {image.part} ({image.name}); let one rule take all of it"
                )
    return Division(placed, conditions, _counts(placed, conditions, classes))


def _grouped(splits: Splits, conditions: Conditions) -> tuple[Conditions, TextDict]:
    """Return conditions, also from names, and the group of each image; else InputError."""
    by_image = {}
    parts = groups_of(splits.names, [*conditions])
    for (name, stated), facts in zip(conditions.items(), parts, strict=True):
        if facts is None:
            raise InputError(f"names: {name} does not fit {splits.names}")
        by_image[name] = {**facts, **stated}
        if splits.group and splits.group not in by_image[name]:
            raise InputError(
                f"{name} has no {splits.group!r}, by which groups are kept together; "
                f"give it in {CONDITIONS}, or by a group of that name in `names`"
            )
    groups = {
        name: text_of(facts[splits.group]) if splits.group else name
        for name, facts in by_image.items()
    }
    return by_image, groups


def _ruled(splits: Splits, conditions: Conditions) -> list[Placed]:
    """Return the parts by the first rule that fits; InputError where one takes no image."""
    rules = [*splits.rules, REST]
    chosen = {
        name: next(rule for rule in rules if rule.takes(name, facts))
        for name, facts in conditions.items()
    }
    like, facts = next(iter(conditions.items()), ("", {}))
    for number, rule in enumerate(splits.rules, start=1):
        if all(rule is not taken for taken in chosen.values()):
            raise InputError(
                f"rule {number} ({rule.part}: {rule}) takes none of {len(conditions)} "
                f"images, like {like} ({', '.join(facts) or 'no conditions'})"
            )
    if all(rule.part != "train" for rule in chosen.values()):
        raise InputError(f"the rules leave none of {len(conditions)} images for train")
    return [Placed(name, rule.part, str(rule)) for name, rule in chosen.items()]


def _folded(splits: Splits, groups: TextMap) -> list[Placed]:
    """Return parts by folds of as many groups, give or take one: a new image may move others."""
    order = sorted(
        set(groups.values()), key=lambda group: sha256(f"{splits.seed} {group}".encode()).digest()
    )
    if len(order) < splits.folds:
        noun = f"different values of {splits.group}" if splits.group else "images"
        raise InputError(f"{splits.folds} folds need as many {noun}, found {len(order)}")
    folds = {group: number % splits.folds for number, group in enumerate(order)}
    parts: dict[int, SplitName] = {splits.test: "test", splits.held_out: "validate"}
    by = f" by {splits.group}" if splits.group else ""
    return [
        Placed(name, parts.get(folds[group], "train"), f"fold {folds[group]}{by}")
        for name, group in groups.items()
    ]


def listed_classes(source: Path) -> dict[str, Counter[str]]:
    """Return the objects of each class in ``objects.csv``, as `cytosuite labels` writes it."""
    classes = defaultdict[str, Counter[str]](Counter)
    path = home_of(source) / OBJECTS
    rows = read_table(path) if path.is_file() else iter(())
    head = next(rows, [])
    for row in (dict(zip(head, cells, strict=False)) for cells in rows):
        if row.get("image") and row.get("class"):
            classes[row["image"]][cell_of(path, row["class"])] += 1
    return classes


def _counts(placed: Iterable[Placed], conditions: Conditions, classes: Classes) -> list[str]:
    """Return lines with the number of images in each part, of each condition and each class."""
    sizes = Counter(image.part for image in placed)
    tables = defaultdict[str, dict[str, Counter[str]]](lambda: {part: Counter() for part in PARTS})
    for name, part, _ in placed:
        for key, value in conditions[name].items():
            tables[key][part][text_of(value)] += 1
        for word, number in classes.get(name, {}).items():
            tables["classes of objects"][part][word] += number
    lines = [", ".join(f"{sizes[part]} {part}" for part in PARTS)]
    for title, table in tables.items():
        texts = [", ".join(f"{w} {n}" for w, n in sorted(table[part].items())) for part in PARTS]
        words = (f"{part} {text or 'none'}" for part, text in zip(PARTS, texts, strict=True))
        if len(set().union(*table.values())) <= MOST_WORDS:
            lines.append(f"{title}: {'; '.join(words)}")
    return lines


def split_rows(placed: Mapping[str, Iterable[Placed]]) -> list[Texts]:
    """Return the rows of ``splits.csv`` from images by folder, without images none."""
    rows = [(*image, folder) for folder, images in placed.items() for image in images]
    return [(*Placed._fields, "folder"), *rows] if rows else []
