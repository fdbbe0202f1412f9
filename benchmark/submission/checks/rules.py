"""Upload rules of `rules.toml`: refused (error), risky (warning) or worth knowing (note)."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from cytosuite.errors import plain

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


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


def finding(rule: str, where: object, text: str) -> Finding:
    """Return a finding in plain words."""
    entry = RULES[rule]
    return Finding(rule, entry.severity, plain(str(where), 300), plain(text, 600), entry.fix)
