"""Records and last words: what a container says of itself, and how it says why it fails."""

import json
import os
import sys

from .tools import HTML, OUT, good, report

KEYS = ("model", "version", "cost", "terms", "fallback", "broken", "sources", "others")
KEYS += ("warnings", "seconds")


def record_with_infinity():
    """ok | bad output: record.json"""
    report('{"model": "a", "seconds": Infinity}')


def record_with_nan():
    """ok | bad output: record.json"""
    report('{"cost": NaN}')


def record_with_1e999():
    """ok | bad output: record.json"""
    report('{"seconds": 1e999, "cost": -1e999}')


def record_with_400_digits():
    """ok | bad output: record.json"""
    report(json.dumps({"seconds": 10**399, "cost": 10**399}))


def record_with_5000_digits():
    """ok | bad output: record.json"""
    report('{"cost": 1' + "0" * 5000 + "}")


def record_with_lone_surrogates():
    """ok | bad output: record.json"""
    report(json.dumps({"model": "\ud800", "warnings": ["a: \udfff"], "sources": {"\ud800": "x"}}))


def record_that_is_a_list():
    """ok | bad output: record.json"""
    report("[1, 2]")


def record_that_is_no_json():
    """ok | bad output: record.json"""
    report("hello")


def record_of_bytes():
    """ok | bad output: record.json"""
    report(os.urandom(1000))


def record_of_200_kb():
    """ok | bad output: record.json"""
    report(json.dumps({"model": "m" * 200_000}))


def record_of_1_gb():
    """ok | bad output: record.json"""
    report("{}")
    os.truncate(OUT / "record.json", 2**30)


def record_40000_deep():
    """ok | bad output: record.json"""
    report('{"warnings": ' + "[" * 40000 + "]" * 40000 + "}")


def record_with_a_name_twice():
    """ok | bad output: record.json"""
    report('{"model": "a", "model": "b"}')


def record_of_texts():
    """ok | bad output: record.json"""
    report(json.dumps(dict.fromkeys(KEYS, "text")))


def record_of_lists():
    """ok | bad output: record.json"""
    report(json.dumps({key: [[1], {"a": 2}] for key in KEYS}))


def record_of_nulls():
    """ok | bad output: record.json"""
    report(json.dumps(dict.fromkeys(KEYS)))


def record_of_truths():
    """ok | bad output: record.json"""
    report(json.dumps(dict.fromkeys(KEYS, True)))


def record_of_huge_numbers():
    """ok | bad output: record.json"""
    report(json.dumps({"cost": 1e308, "terms": {"a": -1e308}, "seconds": -1e308}))


def record_with_html():
    """ok | bad output: record.json"""
    lines = {"model": HTML, "broken": [HTML], "warnings": [f"{HTML}: {HTML}"]}
    others = [{"model": HTML, "left_out": HTML, "terms": {HTML: 1.0}, "broken": [HTML]}]
    more = {"terms": {HTML: 1.0}, "sources": {HTML: HTML}, "others": others}
    report(json.dumps({**lines, **more}))


def record_with_escape_codes():
    """ok | bad output: record.json"""
    lines = ["\x1b]0;x\x07: \u202eabc\0", "a\nfailed: b"]
    report(json.dumps({"model": "\x1b[31mred", "warnings": lines}))


def record_with_10000_warnings():
    """ok | bad output: record.json"""
    report(json.dumps({"warnings": ["w: x"] * 10000}))


def record_that_is_a_link():
    """bad output: a link"""
    good()
    (OUT / "record.json").symlink_to("/etc/hostname")


def record_that_is_a_pipe():
    """bad output: a pipe"""
    good()
    os.mkfifo(OUT / "record.json")


def record_that_is_a_folder():
    """ok | bad output: record.json"""
    good()
    (OUT / "record.json").mkdir()


def crash_after_writing():
    """non-zero exit: ValueError: after all"""
    good()
    raise ValueError("after all")


def html_as_last_words():
    """non-zero exit: <script>"""
    raise ValueError(HTML)


def escape_codes_as_last_words():
    r"""non-zero exit: \x1b[31mred"""
    raise ValueError("\x1b[31mred\x07\x1b[2K\u202e")


def bytes_as_last_words():
    """non-zero exit"""
    os.write(2, b"a\0b\xff\xfe\n")
    sys.exit(1)


def a_megabyte_as_last_words():
    """non-zero exit: xxx"""
    raise ValueError("x" * 2**20)


def markdown_as_last_words():
    """non-zero exit: [x](javascript:1)"""
    raise ValueError("| a | b |\\n[x](javascript:1) `c` <b>")
