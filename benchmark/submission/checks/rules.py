"""Upload rules of `rules.toml`: refused (error), risky (warning) or worth knowing (note)."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from cytosuite.errors import plain
from cytosuite.files import TextPair

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


Broken = Iterator[TextPair]  # rule, text of the finding
Faults = Iterator[tuple[str, str, str]]  # rule, place in the upload, text of the finding


class Rule(NamedTuple):
    """A rule of an upload."""

    severity: Severity
    title: str  # the state that keeps to it
    fix: str
    source: str


class Finding(NamedTuple):
    """A broken rule."""

    rule: str
    severity: Severity
    where: str
    text: str
    fix: str


_GROUPS = tomllib.loads(Path(__file__).with_name("rules.toml").read_text("utf-8"))
RULES: Mapping[str, Rule] = MappingProxyType(
    {f"{group}.{name}": Rule(**rules[name]) for group, rules in _GROUPS.items() for name in rules}
)
ARCHITECTURE = "amd64"  # of images that platforms run
SAVE = RULES["archive.cut"].fix


def finding(file: str, rule: str, place: str, text: str) -> Finding:
    """Return a fault of an upload as a finding in plain words."""
    entry = RULES[rule]
    where = ": ".join(filter(None, (file, place)))
    return Finding(rule, entry.severity, plain(where, 300), plain(text, 600), entry.fix)


def refuses(rules: Iterable[str]) -> bool:
    """Return whether a platform refuses an upload that breaks these rules."""
    return any(RULES[rule].severity == "error" for rule in rules)
