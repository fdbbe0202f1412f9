import gzip
import json
import random
import tarfile

import pytest
from archives import link, member, sha, tar
from cards import FACTS

from cytosuite.benchmark.submission.checks.rules import refuses
from cytosuite.benchmark.submission.checks.tarball import check_tarball

WEIGHTS = b"weights" * 100
CARD = FACTS | {"name": "a", "algorithm": "cellpose3d", "describes": {"axes": "ZYX"}}
CARD |= {"weights": "a.safetensors", "sha256": sha(WEIGHTS)}


def card(**changes):
    return json.dumps({**CARD, **changes}).encode()


GOOD = [member("./"), member("./a.json", card()), member("./a.safetensors", WEIGHTS)]


def save(path, members):
    path.write_bytes(gzip.compress(tar(members), mtime=0))
    return path


def rules(path):
    return [rule for rule, *_ in check_tarball(path)]


@pytest.fixture
def breaks(tmp_path):
    """Return a function that gives the rules which a tarball of members breaks."""
    return lambda members: rules(save(tmp_path / "a.tar.gz", members))


def device(name):
    return member(name, type=tarfile.CHRTYPE, size=0)


def hard(name, target):
    return member(name, type=tarfile.LNKTYPE, linkname=target, size=0)


def test_nothing_is_found_in_a_good_tarball(breaks):
    assert breaks(GOOD) == []
    assert breaks([member("truth.tif", b"1"), member("x/y", b"")]) == []
    assert breaks([*GOOD, link("b", "a.json"), link("x/y", "../a.json"), hard("c", "a.json")]) == []


@pytest.mark.parametrize(
    "expected, members",
    [
        ("tarball.empty", [member("model/")]),
        ("tarball.outside", [*GOOD, member("../x", b"")]),
        ("tarball.absolute", [*GOOD, member("/etc/passwd", b"")]),
        ("tarball.link", [*GOOD, link("x", "../y")]),
        ("tarball.link", [*GOOD, hard("x", "../../y")]),
        ("tarball.link", [*GOOD, link("d", "."), member("d/x", b"")]),
        ("tarball.link", [*GOOD, link("x", "y"), member("x", b"")]),
        ("tarball.device", [*GOOD, device("x")]),
        ("tarball.twice", [*GOOD, member("a.safetensors", WEIGHTS)]),
        ("tarball.place", [*GOOD, member("a.json/b", b"")]),
        ("tarball.place", [*GOOD, member("x/" * 2000, b"")]),
        ("tarball.place", [*GOOD, member("ä" * 200, b"")]),
        ("tarball.place", [*GOOD, member(f"{'ä' * 99}/" * 20, b"")]),
        (
            "tarball.parent",
            [member("model/a.json", card()), member("model/a.safetensors", WEIGHTS)],
        ),
        ("tarball.unreadable", [*GOOD, member("x", b"", mode=0o600)]),
        ("tarball.weights-missing", [member("a.json", card())]),
        ("tarball.weights-missing", [member("a.json", card()), member("x/a.safetensors", WEIGHTS)]),
        ("tarball.weights-altered", [member("a.json", card()), member("a.safetensors", b"x")]),
        ("tarball.card", [*GOOD, member("b.json", card(name="b", more=1))]),
        ("tarball.no-choice", [*GOOD, member("b.json", card(name="b"))]),
    ],
)
def test_each_rule_is_caught_and_no_other(breaks, expected, members, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter", raising=False)  # which Python 3.11.2 has not
    assert breaks(members) == [expected]


def test_one_of_several_cards_that_may_be_chosen_is_enough(breaks):
    scored = card(name="b", scores={"kept back": {"SEG": 0.5}}, algorithm="watershed")
    apart = [member("x/b.json", card(name="b")), member("x/a.safetensors", WEIGHTS)]
    use = [member("b.json", card(name="b")), member("use.rules", b'{"use": [{"model": "a"}]}')]
    for more in ([member("b.json", scored)], apart, use):
        assert breaks([*GOOD, *more]) == []
    for bad in (
        b'{"use": [{"model": "c"}]}',
        b"{",
        b"[" * 9999,
        b'{"use": [{"modle": "a"}]}',
        b"\xff",
    ):
        assert breaks([*GOOD, use[0], member("use.rules", bad)]) == ["tarball.no-choice"]


def test_it_is_gzip_by_name_and_content(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(tar(GOOD))
    assert rules(path) == ["tarball.gzip"]
    assert rules(save(tmp_path / "a.zip", GOOD)) == ["tarball.suffix"]
    path.write_bytes(b"BZh91AY" + bytes(600))
    assert rules(path) == ["archive.compression"]


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="needs Python 3.11.4")
def test_it_agrees_with_the_extraction_of_python(tmp_path):
    """What `tarfile` does not extract with its data filter has an error, and little else has."""
    draw = random.Random(3)
    names = ["a", "b/c", "../d", "/e", "b/../../f", "b/../g", "./h", "b"]
    targets = ["a", "..", "/etc", "b/../..", "b/../a", "../x"]
    for number in range(200):
        members = [member("first", b"1")]
        for _ in range(draw.randrange(1, 4)):
            name = f"{draw.choice(names)}{draw.randrange(99)}"
            make = draw.choice([member, link, device])
            members.append(make(name, draw.choice(targets)) if make is link else make(name))
        path = save(tmp_path / "a.tar.gz", members)
        target = tmp_path / f"{number}"
        try:
            with tarfile.open(path) as archive:
                archive.extractall(target, filter="data")
        except (tarfile.FilterError, OSError):  # OSError: of b/../g without b
            refused = True
        else:
            refused = False
        judged = refuses(rules(path))
        doubtful = any(".." in info.name for info, _ in members)  # refused with and without b
        assert judged == refused or (judged and doubtful), [info.name for info, _ in members]


def test_too_many_files_are_refused(breaks, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.submission.checks.tarball.LISTED", 10)
    assert breaks([member(f"{n}", b"") for n in range(11)]) == ["archive.bomb"]


def test_a_tarball_that_may_be_cut_is_doubtful(tmp_path):
    content = tar(GOOD)
    end = -(-len(content.rstrip(b"\0")) // 512) * 512
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(content[:end]))
    assert rules(path) == ["archive.no-end"]
