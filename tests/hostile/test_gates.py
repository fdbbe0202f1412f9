"""Properties of the gates: whatever bytes, names and JSON go in, what comes out is harmless."""

import json
import os
from math import inf, nan
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cytosuite.benchmark.engines.collect import add_log
from cytosuite.benchmark.runs.record import (
    LIMIT_LINE,
    LIMIT_LINES,
    ModelChoice,
    Record,
    container_report,
    read_record,
    warnings_in,
)
from cytosuite.contract.progress import latest
from cytosuite.errors import LINE, InputError, plain
from cytosuite.files import parse_json, read_json, write_json
from cytosuite.folders.names import case_name

often = settings(max_examples=100)
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
@given(names | st.text(max_size=300), st.integers(3, 300))
@example("\x1b\u20ac" * LINE, LINE)
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
        found = parse_json(text)
    except ValueError:
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "value.json"
        try:
            write_json(path, found)
        except UnicodeEncodeError:
            assert not ascii_only  # a text with surrogates was never bytes
            return
        assert read_json(path) == found


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
        found = parse_json(text)
    except ValueError:
        return
    json.dumps(found, ensure_ascii=False, allow_nan=False).encode("utf-8")


def recorded(report, folder):
    """Return the record of a case with a report of its container, as the runner makes it."""
    path = folder / "report.json"
    text = report if isinstance(report, str) else json.dumps(report)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    found = container_report(path)
    model = found.get("model")
    return Record(
        **FIELDS,
        message=str(found)[:3000],
        model=model if isinstance(model, str) else "",
        selection=ModelChoice.of(found),
        warnings=warnings_in(found),
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
        lines = log.read_text(encoding="utf-8").split("\n")
        assert all(line.isprintable() for line in lines)
