from types import SimpleNamespace

from mistakes import refused

from cytosuite.folders import patterns
from cytosuite.folders.masks import MaskRules
from cytosuite.folders.patterns import ANY, groups_of
from cytosuite.folders.splits import Splits, divide

NAME = "a" * 60 + "b"


def _paired(pattern):
    return [*MaskRules(pairs=pattern).named([NAME])]


def _divided(pattern):
    return divide(Splits(names=pattern, folds=3), {NAME: {}}, {}, "splits.toml")


def test_an_expression_that_never_ends_is_refused(monkeypatch):
    monkeypatch.setattr(patterns, "LIMIT_S", 1)
    refused("masks.toml: .* does not match 1 names within 1 s", _paired, "(a+)+$")
    ended = SimpleNamespace(run=lambda *_, **__: SimpleNamespace(returncode=-9))
    monkeypatch.setattr(patterns, "subprocess", ended)
    refused("splits.toml: .* does not match 1 names within 1 s", _divided, "a*b")


def test_groups_are_those_of_the_expression():
    names = ["a1", "b", "a", "\udcff2", "a\n"]
    assert groups_of(r"(?P<letter>.)(?P<number>\d)?", names) == [
        {"letter": "a", "number": "1"}, {"letter": "b"}, {"letter": "a"},
        {"letter": "\udcff", "number": "2"}, None,
    ]  # fmt: skip
    assert groups_of(ANY, names) == [{}] * 4 + [None]
