"""Properties of the gates: whatever bytes, names and JSON go in, what comes out is harmless."""

import json
import os
import socket
import stat
from contextlib import suppress
from html.parser import HTMLParser
from math import inf, nan
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cytosuite.benchmark.engines.collect import Refused, add_log, empty, take
from cytosuite.benchmark.report import write_report
from cytosuite.benchmark.runs.record import (
    LIMIT_LINE,
    LIMIT_LINES,
    ModelChoice,
    Record,
    container_report,
    read_record,
    warnings_in,
)
from cytosuite.benchmark.scores.results import CaseFiles, Results
from cytosuite.benchmark.scores.standings import COLUMNS
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.contract.progress import latest
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import LINE, InputError, plain
from cytosuite.files import parse_json, read_json, write_json
from cytosuite.folders.entries import case_name

often = settings(max_examples=100)
seldom = settings(max_examples=25)  # with files or a whole report
EVIL = ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "javascript:alert(1)"]
EVIL += [
    "</script><script>",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[2J",
    "\u202e",
    "a|b\n# c",
    "\ud800",
    "\0",
]
texts = st.text(st.characters(codec=None), max_size=60) | st.sampled_from([*EVIL, "\ud800"])
# Bytes that are no UTF-8 are lone surrogates in a name.
names = (
    st.binary(min_size=1, max_size=40).map(lambda name: os.fsdecode(name.replace(b"\0", b"_")))
    | texts
)
numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([10**400, -(2**64), 2**64 - 1, nan, inf, -inf, 1e308, 5e-324])
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
KEYS = ["model", "cost", "terms", "by", "fallback", "broken", "sources", "others", "warnings"]
KEYS += ["status"]
reports = values | st.dictionaries(st.sampled_from(KEYS) | texts, values, max_size=9)
FIELDS = {"algorithm": "a", "version": "1.0.0", "case": "c", "key": "k", "status": "bad output"}


@often
@given(names | st.text(max_size=3 * LINE), st.integers(3, LINE))
def test_every_message_is_one_printable_line(text, limit):
    line = plain(text, limit)
    assert len(line) <= limit
    assert line.isprintable()
    assert line == line.encode("utf-8").decode("utf-8")
    assert plain(line, limit) == line
    assert str(InputError(text)).isprintable()


@often
@given(names)
def test_every_case_can_be_a_file(name):
    case = case_name(name)
    assert case.isprintable()
    assert Path(case).name == case
    assert 0 < len(case.encode("utf-8")) <= 180
    assert case_name(case) == case


@often
@given(values, st.booleans())
@example({"a": "\ud800"}, True)
@example([10**400], True)
def test_json_that_is_accepted_can_be_written_and_read(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    try:
        parsed = parse_json(text)
    except ValueError:
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "value.json"
        try:
            write_json(path, parsed)
        except UnicodeEncodeError:
            assert not ascii_only  # a text with surrogates was never bytes
            return
        assert read_json(path) == parsed


@often
@given(st.text('[]{}":,\\u0d8 eE+-.19ntf', max_size=60) | st.binary(max_size=60))
@example("[1e999]")
@example('["\\ud800"]')
@example("[" * 10**5)
@example('{"a": 1, "a": 2}')
@example("[" + "9" * 400 + "]")
@example('"' + '\\"' * 500_000)  # both would take hours in quadratic time
@example("{" + ",".join(f'"{n}":0' for n in (*range(200_000), 199_999)) + "}")
def test_text_is_json_or_a_value_error(text):
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="replace")
    try:
        parsed = parse_json(text)
    except ValueError:
        return
    json.dumps(parsed, ensure_ascii=False, allow_nan=False).encode("utf-8")


def recorded(report, folder):
    """Return the record of a case with a report of its container, as the runner makes it."""
    path = folder / "report.json"
    text = report if isinstance(report, str) else json.dumps(report)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    content = container_report(path)
    model = content.get("model")
    return Record(
        **FIELDS,
        message=str(content)[:3000],
        model=model if isinstance(model, str) else "",
        selection=ModelChoice.of(content),
        warnings=warnings_in(content),
    )


@often
@given(reports)
@example("\ud800")
@example({"cost": nan})
@example({"broken": EVIL, "sources": dict.fromkeys(EVIL, "\x1b[2J"), "terms": {EVIL[0]: 1.5}})
@example({"terms": {"a": 10**400}})
@example({"others": [{"model": line, "left_out": line, "broken": [line]} for line in EVIL]})
@example({"warnings": ["\x1b[31m", "\ud800", 3, None, "x" * 10**4] * 30})
def test_every_report_of_a_container_can_be_kept(report):
    with TemporaryDirectory() as name:
        folder = Path(name)
        record = recorded(report, folder)
        assert len(record.warnings) <= LIMIT_LINES
        chosen = record.selection
        lines = [record.message, record.model, *record.warnings, *chosen.broken, *chosen.terms]
        lines += [*chosen.sources, *chosen.sources.values()]
        for other in chosen.others:
            lines += [other.model, other.left_out, *other.broken, *other.terms]
        assert all(line.isprintable() for line in lines)
        assert all(len(line) <= LIMIT_LINE for line in record.warnings)
        record.write(folder)
        assert read_record(folder) == record


@often
@given(st.text(max_size=300) | st.binary(max_size=300))
def test_a_log_acts_on_no_terminal(text):
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="replace")
    share = latest(text)
    assert share is None or 0 <= share <= 1
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log.txt"
        add_log(log, text)
        assert all(line.isprintable() for line in log.read_text(encoding="utf-8").split("\n"))


LINKS = ("#", "data:image/png", "https://doi.org/", "report.", "leaderboard.", "scores.", "cases.")
LINKS += ("metrics.", "objects.", "by_condition.")


class Page(HTMLParser):
    """Collects what a browser could run."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.scripts, self.active, self.text = 0, [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.scripts += tag in ("script", "iframe", "object", "embed", "link", "base")
        for name, value in attributes:
            outside = name in ("href", "src") and not (value or "").startswith(LINKS)
            if name.startswith("on") or outside:
                self.active.append((tag, name, value))

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        self.text.append(data)


def page_of(report, log, case, folder):
    """Return the report of a run with one failed case, as a page that was parsed."""
    record = recorded(report, folder).model_copy(update={"case": case})
    task = TASKS["segment"]
    manifest = AlgorithmManifest.model_construct(
        name="a", version="1.0.0", title="A", description="", task=task.name, authors=(),
        license="MIT", references=(),
    )  # fmt: skip
    results = Results(
        "A run", "set", task, "2026-02-03T10:11:12+00:00", "", {}, [manifest], [], [], [],
        pd.DataFrame(columns=list(COLUMNS)), {("a", case): record}, {("a", case): log},
        [CaseFiles(case)],
    )  # fmt: skip
    return Page(write_report(results, folder / "report"))


@seldom
@given(reports | st.just({"warnings": EVIL, "model": EVIL[0], "broken": EVIL}), texts, names)
@example({"warnings": EVIL, "model": EVIL[0], "broken": EVIL, "fallback": True}, EVIL[1], EVIL[0])
@example({"model": "m", "others": [{"model": line, "left_out": line} for line in EVIL]}, "", "a")
def test_nothing_of_a_container_or_user_runs_in_the_report(report, log, name):
    with TemporaryDirectory() as home:
        folder = Path(home)
        path = folder / "log.txt"
        add_log(path, log)
        page = page_of(report, path.read_text(encoding="utf-8"), case_name(name), folder)
        assert page.active == []
        assert page.scripts == 1  # its own
        assert case_name(name) in "".join(page.text)


kinds = st.sampled_from(["file", "folder", "link", "loop", "pipe", "socket", "second"])
places = st.tuples(st.sampled_from(["", "a", "a/b", "images/instance-labels"]), names)


def planted(folder, entries):
    """Make entries as far as the file system takes them."""
    for (place, name), kind in entries:
        inside = Path(folder) / place
        inside.mkdir(parents=True, exist_ok=True)
        path = inside / name.replace("/", "_").replace("\0", "_")
        try:
            if kind == "file":
                path.open("xb").close()
            elif kind == "folder":
                path.mkdir()
            elif kind in ("link", "loop"):
                path.symlink_to("/etc/hostname" if kind == "link" else ".")
            elif kind == "pipe":
                os.mkfifo(path)
            elif kind == "socket":
                with socket.socket(socket.AF_UNIX) as listener:
                    listener.bind(os.fsencode(path))
            else:
                path.hardlink_to(next(p for p in inside.iterdir() if p.is_file()))
        except (OSError, ValueError, UnicodeEncodeError, StopIteration):
            continue  # a name that is taken, too long or no name at all


@often
@given(st.lists(st.tuples(places, kinds), max_size=6))
@example([(("", "\udcff.tif"), "pipe")])
@example([(("images/instance-labels", "\x1b[2J.tif"), "file")])
def test_a_copied_output_holds_plain_files_of_plain_names_alone(entries):
    with TemporaryDirectory() as source, TemporaryDirectory() as target:
        planted(source, entries)
        count = None
        with suppress(Refused):
            count = take(Path(source), Path(target), 10**6)
        paths = list(Path(target).rglob("*"))
        modes = [path.lstat().st_mode for path in paths]
        assert all(stat.S_ISREG(mode) or stat.S_ISDIR(mode) for mode in modes)
        assert all(path.name.isprintable() for path in paths)
        assert count in (None, sum(map(stat.S_ISREG, modes)))
        if count is not None:
            contents = [
                {p.relative_to(top): p.read_bytes() for p in Path(top).rglob("*") if p.is_file()}
                for top in (source, target)
            ]
            assert contents[0] == contents[1]
        empty(Path(source))
        assert not any(Path(source).iterdir())
