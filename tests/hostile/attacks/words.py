"""Records and last words: what a container says of itself, and how it says why it fails."""

import json
import os
import sys

from .tools import HTML, beside, good, report


def record_with_html():
    """ok | bad output: record.json"""
    lines = {"model": HTML, "broken": [HTML], "warnings": [f"{HTML}: {HTML}"]}
    others = [{"model": HTML, "left_out": HTML, "terms": {HTML: 1.0}, "broken": [HTML]}]
    report(json.dumps({**lines, "terms": {HTML: 1.0}, "sources": {HTML: HTML}, "others": others}))


def record_with_escape_codes():
    """ok | bad output: record.json"""
    lines = ["\x1b]0;x\x07: \u202eabc\0", "a\nfailed: b"]
    report(json.dumps({"model": "\x1b[31mred", "warnings": lines}))


def crash_after_writing():
    """non-zero exit: ValueError: after all"""
    good()
    _say("after all")


def bytes_as_last_words():
    """non-zero exit"""
    os.write(2, b"a\0b\xff\xfe\n")
    sys.exit(1)


def _say(words):
    raise ValueError(words)


ATTACKS = {
    "ok | bad output: record.json": {
        "record_40000_deep": lambda: report('{"warnings": ' + "[" * 40000 + "]" * 40000 + "}"),
        "record_that_is_a_folder": lambda: beside("record.json").mkdir(),
    },
    "non-zero exit: <script>": {"html_as_last_words": lambda: _say(HTML)},
    r"non-zero exit: \x1b[31mred": {
        "escape_codes_as_last_words": lambda: _say("\x1b[31mred\x07\x1b[2K\u202e"),
    },
    "non-zero exit: xxx": {"a_megabyte_as_last_words": lambda: _say("x" * 2**20)},
    "non-zero exit: [x](javascript:1)": {
        "markdown_as_last_words": lambda: _say("| a | b |\\n[x](javascript:1) `c` <b>"),
    },
}
