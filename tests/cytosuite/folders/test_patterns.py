from types import SimpleNamespace

from mistakes import refused

from cytosuite.folders.masks import MaskRules
from cytosuite.folders.splits import ANY, Splits, divide, groups_of

NAME = "a" * 60 + "b"


def test_an_expression_that_never_ends_is_refused(monkeypatch):
    monkeypatch.setattr("cytosuite.folders.splits.LIMIT_S", 1)
    endless = MaskRules(pairs="(a+)+$")
    refused("masks.toml: .* does not match 1 names within 1 s", lambda: [*endless.named([NAME])])
    ended = SimpleNamespace(run=lambda *_, **__: SimpleNamespace(returncode=-9))
    monkeypatch.setattr("cytosuite.folders.splits.subprocess", ended)
    splits = Splits(names="a*b", folds=3)
    line = "splits.toml: .* does not match 1 names within 1 s"
    refused(line, divide, splits, {NAME: {}}, {}, "splits.toml")


def test_groups_are_those_of_the_expression():
    names = ["a1", "b", "a", "\udcff2", "a\n"]
    assert groups_of(r"(?P<letter>.)(?P<number>\d)?", names) == [
        {"letter": "a", "number": "1"}, {"letter": "b"}, {"letter": "a"},
        {"letter": "\udcff", "number": "2"}, None,
    ]  # fmt: skip
    assert groups_of(ANY, names) == [{}] * 4 + [None]
